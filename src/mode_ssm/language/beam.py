"""The hypotheses of a word search, those of all its trials side by side in flat arrays.

A hypothesis is a sequence of words and a way into the next one, that is a node of the lexicon's tree. Two with the same
words and node are one; they are told apart by 64-bit hashes, of which a beam of 10,000 hypotheses has two equal ones by
chance once in 10^11 frames.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mode_ssm.language.history import START
from mode_ssm.language.segments import Flags, Floats, Ints
from mode_ssm.language.trie import ROOT

Hashes = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(slots=True)
class Beam:
    """Each field (N,); the hypotheses of a trial stand together. Scores are natural logarithms, all weights applied."""

    trial: Ints
    words: Hashes  # of the words that have ended
    node: Ints  # of the prefix tree
    lm: Ints  # the n-gram model's state after the words
    lm_score: Floats  # of the words that have ended, without weight
    in_blank: Floats  # best or summed score of the paths that end in a blank
    in_label: Floats  # of those that end in the last label
    blank_trace: Ints  # the last emission of the best path that ends in a blank
    label_trace: Ints

    def __len__(self) -> int:
        return len(self.trial)

    def take(self, rows: Ints | Flags) -> "Beam":
        return Beam(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def key(self) -> Hashes:
        """(N,) equal where words and node are."""
        return prefix_key(self.words, self.node)


def join(beams: list[Beam]) -> Beam:
    return Beam(*(np.concatenate([getattr(beam, field.name) for beam in beams]) for field in fields(Beam)))


def first_beam(trials: int, lm: int) -> Beam:
    """One hypothesis a trial: nothing said yet."""
    zeros = np.zeros(trials)
    nothing = np.zeros(trials, np.int64)
    return Beam(
        trial=np.arange(trials),
        words=np.full(trials, _GOLDEN),
        node=nothing + ROOT,
        lm=nothing + lm,
        lm_score=zeros.copy(),
        in_blank=zeros - np.inf,
        in_label=zeros.copy(),
        blank_trace=nothing + START,
        label_trace=nothing + START,
    )


def prefix_key(words: Hashes, node: Ints) -> Hashes:
    return np.asarray(words + node.astype(np.uint64) * _GOLDEN)


def append_word(words: Hashes, word: Ints) -> Hashes:
    """The hash of word sequences with one word more (splitmix64; Steele et al. 2014)."""
    mixed = words * np.uint64(5) + (word + 1).astype(np.uint64) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
