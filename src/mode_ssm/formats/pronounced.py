"""Phonemes of a sentence by a pronouncing dictionary, for recordings that come with sentences alone."""

import re
from collections.abc import Iterable

import numpy as np

from mode_ssm.checks import LabelArray
from mode_ssm.dictionary import DictionaryLine
from mode_ssm.errors import InputError, printable
from mode_ssm.index import MalformedError, Reason, Remedy
from mode_ssm.labels import Labels

_NO_LETTER = re.compile(r"[^a-z']+")


def sentence_words(sentence: str) -> list[str]:
    """Lower case, hyphens as spaces, everything but letters and apostrophes out, and no apostrophes around a word.

    >>> sentence_words("Don't 'stop', well-known  man!")
    ["don't", 'stop', 'well', 'known', 'man']
    """
    words = _NO_LETTER.sub(" ", sentence.lower().replace("\u2019", "'")).split()
    return [bare for word in words if (bare := word.strip("'"))]


class Pronouncing:
    """The first pronunciation of each word, without stress, and the boundary after it where the set has one.

    Args:
        dictionary: its entries.
        name: what messages call it.

    Raises:
        InputError: where it has phonemes that the set of labels has not.
    """

    def __init__(self, dictionary: Iterable[DictionaryLine], name: str, labels: Labels) -> None:
        self._labels, self._file = labels.recorded, name
        self._words: dict[str, list[int]] = {}
        for line in dictionary:
            word = line.word.lower()
            if word not in self._words and line.symbols:
                try:
                    self._words[word] = self._labels.ids(line.symbols)
                except InputError as error:
                    raise InputError(f"{line.place}: {error}") from None

    def labels(self, sentence: str) -> LabelArray:
        """
        Raises:
            MalformedError: where a word is not in the dictionary.
        """
        words, boundary = sentence_words(sentence), self._labels.boundary
        unknown = [word for word in words if word not in self._words]
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise MalformedError(
                f"says '{printable(unknown[0], 40)}'{more}, which {self._file} does not have",
                Remedy("Add the word to the dictionary", "leave the trial out"),
                Reason.unlabelled,
            )
        after = [] if boundary is None else [boundary]
        return np.array([label for word in words for label in (*self._words[word], *after)], dtype=np.int64)
