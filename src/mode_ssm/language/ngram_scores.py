"""What an n-gram model is to a search: words by number, and their log-probabilities after what was said."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import END, START, UNKNOWN

Ints = NDArray[np.int64]


class Scored(NamedTuple):
    states: Ints  # (N,)
    log_probs: NDArray[np.float64]  # (N,) natural logarithms


class NGramScores(ABC):
    """A back-off model. A state is a number: that of the longest context the model has of which something depends.

    Words have numbers too; any word that the model lacks is `unknown`. Log-probabilities are natural: float64 sums of
    what is stored in float32.

    Raises:
        InputError: for a model without <s>, </s> or <unk>.
    """

    empty = 0  # the state without context
    start: int  # the state after <s>

    def __init__(self, order: int, words: Sequence[str]) -> None:
        self.order = order
        self.words = tuple(words)  # W, as the model writes them; <s>, </s> and <unk> among them
        for word in (START, END, UNKNOWN):
            if word not in self._numbers:
                raise InputError(f"The n-gram model has no {word}; it must be estimated from whole sentences.")
        self.unknown = self._numbers[UNKNOWN]
        self._end = self._numbers[END]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def index(self, word: str) -> int:
        """The number of a word: as it stands, in lower or upper case or capitalised, the first that there is."""
        for form in (word, word.lower(), word.upper(), word.capitalize()):
            if form in self._numbers:
                return self._numbers[form]
        return self.unknown

    @property
    @abstractmethod
    def counts(self) -> tuple[int, ...]:
        """The number of n-grams by order."""

    @property
    @abstractmethod
    def unigrams(self) -> NDArray[np.float64]:
        """(W,) log-probability of each word without context."""

    @abstractmethod
    def score(self, states: ArrayLike, words: ArrayLike) -> Scored:
        """The states after the words, and the log-probability of each word in the state before; both (N,)."""

    def finish(self, states: ArrayLike) -> NDArray[np.float64]:
        """Log-probability (N,) that the sentence ends in each state (N,)."""
        contexts = np.asarray(states, np.int64)
        return self.score(contexts, np.full(len(contexts), self._end)).log_probs

    def sentence_score(self, words: Sequence[int]) -> float:
        """Log-probability of a whole sentence, its end included."""
        state, total = np.array([self.start]), 0.0
        for word in (*words, self._end):
            state, gained = self.score(state, [word])
            total += float(gained[0])
        return total
