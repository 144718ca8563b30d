"""A text as an array of word numbers: four bytes a word."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mode_ssm.language.arpa import END, START, UNKNOWN

FIRST = (START, END, UNKNOWN)  # words 0, 1 and 2 of every corpus


class Corpus:
    """Takes sentences one by one; words are numbered as they come."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict(
            lambda: len(self._numbers), zip(FIRST, range(3), strict=True)
        )
        self._tokens = array("i")

    def add(self, words: Iterable[str]) -> None:
        """Add a sentence; one without words is left out."""
        numbers = [self._numbers[word] for word in words]
        if numbers:
            self._tokens.extend((0, *numbers, 1))

    def counts(self) -> dict[str, int]:
        """How often each word was said, in the order in which they came."""
        counts = np.bincount(np.frombuffer(self._tokens, np.int32), minlength=len(self._numbers)).tolist()
        return dict(list(zip(self._numbers, counts, strict=True))[len(FIRST) :])

    def tokens(self, vocabulary: Sequence[str]) -> NDArray[np.int32]:
        """The text in the numbers of (<s>, </s>, <unk>, *vocabulary); any other word is <unk>."""
        renumbered = np.full(len(self._numbers), 2, np.int32)
        renumbered[:2] = 0, 1
        for number, word in enumerate(vocabulary, start=len(FIRST)):
            if word in self._numbers:
                renumbered[self._numbers[word]] = number
        return renumbered[np.frombuffer(self._tokens, np.int32)]
