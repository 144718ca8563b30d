"""Which other words could stand where a word was found: a search for one word in the frames that are its own.

An n-best list of sentences spends itself on a few places; here every place is searched for itself. A sentence's labels
are aligned to the CTC posteriors; the frames from the end of the word before to the beginning of the word after are a
word's window. All windows of a trial go through the CTC word search side by side, each from the n-gram model's state
after the words before it, and what is found there is scored with the words after it.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.decoding.alignment import ctc_alignment
from mode_ssm.language.ctc_search import CTCWordSearch, CTCWordStream
from mode_ssm.language.history import NO_WORD
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.segments import Floats, Ints
from mode_ssm.language.trie import ROOT, PrefixTree

# How much more the n-gram model weighs in a window than in the search. Posteriors of neighbouring frames are not
# independent, so the share of the acoustic side in a single word is too large (`benchmarks/confidence.py`).
LM_FACTOR = 2.0
KEPT = 40  # words a window, the found one among them
_AFTER = 2  # words that follow a window and are scored with it

T = TypeVar("T")


class Rival(NamedTuple):
    """A word of a window and what the sentence with it in the found word's place is worth there."""

    word: str
    score: float  # natural logarithm


class WordWindows:
    """A lexicon, an n-gram model and the weights of a search."""

    def __init__(self, model: WordModel, tree: PrefixTree, settings: WordSearchConfig) -> None:
        self._weight = LM_FACTOR * settings.lm_weight
        settings = replace(settings, merge=Merge.sum, lm_weight=self._weight)
        self._search = CTCWordSearch(model, tree, settings, nbest=1)
        self._numbers = {word: number for number, word in enumerate(model.words)}
        self._blank, self._boundary = tree.labels.blank, int(tree.label[ROOT])

    def __call__(self, ctc: NDArray[np.floating], sentence: WordHypothesis) -> list[list[Rival]]:
        """For each word of a sentence found in log-probabilities (S, V): the words of its window, best first.

        The found word is always among them. None at all where the sentence's labels need more frames than there are.
        """
        return finished(self.in_pieces(ctc, sentence, max(len(ctc), 1)))

    def in_pieces(
        self, ctc: NDArray[np.floating], sentence: WordHypothesis, frames: int
    ) -> "Worked[list[list[Rival]]]":
        """The same, so many frames of all windows at a time, for who has something else to do between."""
        labels = sentence.labels[: _whole(sentence.labels, self._boundary)]
        if not sentence.words or not _fits(labels, len(ctc)):
            return []
        found = ctc_alignment(torch.as_tensor(ctc), torch.tensor(labels), self._blank).tolist()
        words = [self._numbers[word] for word in sentence.words]
        windows = [ctc[start:end] for start, end in word_windows(labels, found, self._boundary, len(ctc))]
        before = self._states(words)
        stream = self._search.begin(len(words))
        stream.beam.lm = np.array(before, np.int64)
        for start in range(0, max(map(len, windows)), frames):
            yield
            stream.step([window[start : start + frames] for window in windows])
        yield
        return [self._rivals(*_single_words(stream, place), words, before[place], place) for place in range(len(words))]

    def _states(self, words: Sequence[int]) -> list[int]:
        """The n-gram model's state before each word."""
        scores = self._search.graph.scores
        states = [np.array([scores.start], np.int64)]
        for word in words[:-1]:
            states.append(scores.score(states[-1], np.array([word]))[0])
        return [int(state[0]) for state in states]

    def _rivals(self, found: Ints, score: Floats, words: Sequence[int], before: int, place: int) -> list[Rival]:
        """The best words of a window (N,) with the words after it, from their scores (N,) up to it."""
        best: dict[int, float] = {}
        for word, value in zip(found.tolist(), score.tolist(), strict=True):
            best[word] = max(value, best.get(word, -np.inf))
        own = words[place]
        kept = sorted(best, key=lambda word: -best[word])[:KEPT]
        if own not in best:  # it did not fit into its own window: no more likely than the last that did
            best[own] = min((best[word] for word in kept), default=0.0)
        if own not in kept:
            kept = [*kept[: KEPT - 1], own]
        with_rest = np.array([best[word] for word in kept]) + self._weight * self._rest(kept, words, before, place)
        order = np.argsort(-with_rest, kind="stable")
        return [Rival(self._search.graph.scores.names[kept[row]], float(with_rest[row])) for row in order]

    def _rest(self, kept: Sequence[int], words: Sequence[int], before: int, place: int) -> Floats:
        """(N,) log-probability of the words that follow the place after each of some words in it."""
        scores = self._search.graph.scores
        state, _ = scores.score(np.full(len(kept), before), np.array(kept))
        gained = np.zeros(len(kept))
        for word in words[place + 1 :][:_AFTER]:
            state, gain = scores.score(state, np.full(len(kept), word))
            gained += gain
        return gained + scores.finish(state) if place + _AFTER >= len(words) else gained


Worked = Generator[None, None, T]  # what is found in the end, with places to pause before


def finished(work: Worked[T]) -> T:
    """Work without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found


def word_windows(labels: Sequence[int], frames: Sequence[int], boundary: int, size: int) -> list[tuple[int, int]]:
    """Of each word that a boundary ends: the first frame after the word before, and the first of the word after."""
    ends = [place for place, label in enumerate(labels) if label == boundary]
    starts = [0, *(frames[place] + 1 for place in ends[:-1])]
    stops = [*(frames[place + 1] for place in ends[:-1]), size]
    return list(zip(starts, stops, strict=True))


def _whole(labels: Sequence[int], boundary: int) -> int:
    """How many labels there are up to the last boundary."""
    return max((place + 1 for place, label in enumerate(labels) if label == boundary), default=0)


def _fits(labels: Sequence[int], frames: int) -> bool:
    """Whether a CTC path has room for the labels; equal neighbours need a blank between them."""
    return len(labels) + sum(a == b for a, b in pairwise(labels)) <= frames


def _single_words(stream: CTCWordStream, window: int) -> tuple[Ints, Floats]:
    """The hypotheses of a window that hold one whole word and nothing else: the words, and their scores."""
    rows = np.flatnonzero((stream.beam.trial == window) & (stream.beam.node == ROOT))
    ended, _ = stream.trace.ended(stream.traces[rows]) if len(rows) else (np.zeros((0, 0), np.int64), None)
    if not len(ended):
        return np.zeros(0, np.int64), np.zeros(0)
    one = ended[0] != NO_WORD
    if len(ended) > 1:
        one &= ended[1] == NO_WORD
    return ended[0, one], stream.scores[rows[one]]
