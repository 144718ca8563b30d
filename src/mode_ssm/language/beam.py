"""The hypotheses of a word search, those of all its trials side by side in flat arrays.

A hypothesis is a sequence of words and a way into the next one, that is a node of the lexicon's tree; for a transducer,
its labels too. They are told apart by 64-bit hashes, of which a beam of 10,000 hypotheses has two equal ones by chance
once in 10^11 frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from mode_ssm.decoding.sequence_hashes import GOLDEN, Hashes, append
from mode_ssm.language.history import START
from mode_ssm.language.segments import Flags, Floats, Ints
from mode_ssm.language.trie import ROOT


@dataclass(slots=True)
class Beam:
    """Each field (N,); the hypotheses of a trial stand together. Scores are natural logarithms, all weights applied."""

    trial: Ints
    words: Hashes  # of the words that have ended
    node: Ints  # of the prefix tree
    lm: Ints  # the state of the words' scores
    lm_score: Floats  # of the words that have ended, without weight

    def __len__(self) -> int:
        return len(self.trial)

    def take(self, rows: Ints | Flags) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def join(cls, beams: Sequence[Self]) -> Self:
        if len(beams) == 1:
            return beams[0]
        return cls(*(np.concatenate([getattr(beam, field.name) for beam in beams]) for field in fields(cls)))


@dataclass(slots=True)
class CTCBeam(Beam):
    """Of a word and node, the paths that end in a blank apart from those that end in its last label."""

    in_blank: Floats  # best or summed score of the paths that end in a blank
    in_label: Floats  # of those that end in the last label
    blank_trace: Ints  # the last emission of the best path that ends in a blank
    label_trace: Ints

    @property
    def trace(self) -> Ints:
        """(N,) the last emission of each hypothesis' best path."""
        return np.where(self.in_blank >= self.in_label, self.blank_trace, self.label_trace)

    @property
    def key(self) -> Hashes:
        """(N,) equal where words and node are."""
        return prefix_key(self.words, self.node)


@dataclass(slots=True)
class TransducerBeam(Beam):
    """Of words, node and labels, all alignments."""

    prefix: Ints  # the row of the labels among `LabelPrefixes`
    score: Floats  # best or summed score of the alignments, without CTC's
    trace: Ints  # the last emission of the best one

    @property
    def key(self) -> Hashes:
        """(N,) equal where words, node and labels are."""
        return prefix_key(append(self.words, self.prefix), self.node)


def _first(trials: int, lm: int) -> tuple[Ints, Hashes, Ints, Ints, Floats]:
    nothing = np.zeros(trials, np.int64)
    return np.arange(trials), np.full(trials, GOLDEN), nothing + ROOT, nothing + lm, np.zeros(trials)


def first_ctc_beam(trials: int, lm: int) -> CTCBeam:
    """One hypothesis a trial: nothing said yet."""
    zeros, start = np.zeros(trials), np.full(trials, START)
    return CTCBeam(*_first(trials, lm), in_blank=zeros - np.inf, in_label=zeros, blank_trace=start, label_trace=start)


def first_transducer_beam(trials: int, lm: int) -> TransducerBeam:
    """One hypothesis a trial: nothing said yet."""
    return TransducerBeam(
        *_first(trials, lm), prefix=np.arange(trials), score=np.zeros(trials), trace=np.full(trials, START)
    )


def append_word(words: Hashes, word: Ints) -> Hashes:
    """The hash of word sequences with one word more."""
    return append(words, word)


def prefix_key(words: Hashes, node: Ints) -> Hashes:
    return np.asarray(words + node.astype(np.uint64) * GOLDEN)
