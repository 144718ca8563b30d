"""N-gram models in KenLM's own files, scored where they lie: probing and trie, quantised or not."""

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import LN10, START
from mode_ssm.language.kenlm_file import Bytes, read_head, read_words
from mode_ssm.language.kenlm_tables import HashTables, Tables, Trie
from mode_ssm.language.ngram_scores import Ints, NGramScores, Scored


class KenLMFile(NGramScores):
    """As KenLM scores. States are numbered as they are met; there are at most as many as n-grams that can be contexts.

    Raises:
        InputError: on a file that cannot be read, is no whole binary of KenLM, or has no <s> or </s>.
    """

    def __init__(self, path: Path) -> None:
        file, self._path = Bytes(path), path
        head = read_head(file)
        self._tables: Tables = HashTables(file, head) if head.kind < 2 else Trie(file, head)
        super().__init__(head.order, read_words(file, self._tables.end, self._tables.words))
        self._counts = (len(self.words), *head.counts[1:])
        self._known: dict[int, int] = {0: 0}  # n-grams, node * order + its order: their states
        self._lengths = np.zeros(64, np.int64)  # of the context of each state
        self._words = np.zeros((64, head.order - 1), np.int64)  # the nearest first
        self._backoffs = np.zeros((64, head.order - 1), np.float32)  # of its last word, its last two, ...
        self.start = int(self.score([self.empty], [self._numbers[START]]).states[0])

    @property
    def counts(self) -> tuple[int, ...]:
        return self._counts

    @cached_property
    def unigrams(self) -> NDArray[np.float64]:
        """(W,) log-probability of each word without context."""
        return LN10 * self._tables.weights(1, np.arange(len(self.words))).log_probs.astype(np.float64)

    def score(self, states: ArrayLike, words: ArrayLike) -> Scored:
        """The states after the words, and the log-probability of each word in the state before; both (N,).

        Raises:
            InputError: where the file points out of itself.
        """
        try:
            return self._score(np.asarray(states, np.int64), np.asarray(words, np.int64))
        except IndexError:
            raise InputError(f"{self._path} is damaged; copy it again, or build it from its ARPA file.") from None

    def _score(self, before: Ints, said: Ints) -> Scored:
        places = np.zeros((len(said), self.order), np.int64)  # of the n-grams found, by order
        backoffs = np.full((len(said), self.order), -0.0, np.float32)
        places[:, 0] = said
        log_probs, backoffs[:, 0] = (part.copy() for part in self._tables.weights(1, said))
        found = np.ones(len(said), np.int64)  # words of the longest n-gram
        left = np.flatnonzero(self._lengths[before] > 0)
        for size in range(2, self.order + 1):
            nodes = self._tables.children(size, places[left, size - 2], self._words[before[left], size - 2])
            left, nodes = left[nodes >= 0], nodes[nodes >= 0]
            places[left, size - 1], found[left] = nodes, size
            log_probs[left], backoffs[left, size - 1] = self._tables.weights(size, nodes)
            left = left[self._lengths[before[left]] >= size]
        columns = np.arange(self.order - 1)
        passed = (columns >= found[:, None] - 1) & (columns < self._lengths[before, None])
        total = log_probs.astype(np.float64) + np.where(passed, self._backoffs[before], 0.0).sum(axis=1)
        return Scored(self._after(before, said, places, backoffs), LN10 * total)

    def _after(self, before: Ints, said: Ints, places: Ints, backoffs: NDArray[np.float32]) -> Ints:
        """The states: of the longest n-grams found that something depends on."""
        matters = ~((backoffs[:, :-1] == 0) & np.signbit(backoffs[:, :-1]))
        lengths = np.where(matters, np.arange(1, self.order), 0).max(axis=1)
        ends = places[np.arange(len(said)), np.maximum(lengths - 1, 0)]
        keys, rows, inverse = np.unique(
            np.where(lengths > 0, ends * self.order + lengths, 0), return_index=True, return_inverse=True
        )
        known = len(self._known)
        numbers = np.array([self._known.setdefault(key, len(self._known)) for key in keys.tolist()], np.int64)
        new = numbers >= known
        self._add(numbers[new], lengths[rows[new]], before[rows[new]], said[rows[new]], backoffs[rows[new]])
        return np.asarray(numbers[inverse])

    def _add(self, numbers: Ints, lengths: Ints, before: Ints, said: Ints, backoffs: NDArray[np.float32]) -> None:
        """Keep the words of new states; those beyond a context's length are never read."""
        while len(self._lengths) < len(self._known):
            for name in ("_lengths", "_words", "_backoffs"):
                kept = getattr(self, name)
                setattr(self, name, np.concatenate([kept, np.zeros_like(kept)]))
        self._lengths[numbers] = lengths
        self._words[numbers, 0], self._words[numbers, 1:] = said, self._words[before, :-1]
        self._backoffs[numbers] = backoffs[:, :-1]
