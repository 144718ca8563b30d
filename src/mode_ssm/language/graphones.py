"""Aligns the letters of a dictionary's words with their labels, by EM (Bisani and Ney 2008, Joint-sequence models for
grapheme-to-phoneme conversion, section 3): each letter stands for none, one or two labels.

A unit is what a letter can stand for: 0 is nothing, 1 + a is label a, and 1 + V + a V + b is a with b after it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST = 2  # labels of a letter
_ROUNDS = 6
_CHUNK = 20_000  # words that are aligned side by side
_START = (0.1, 1.0, 0.05)  # weight, before the first round, of all units of none, one and two labels


class Pairs(NamedTuple):
    """N words, letter by letter, and their labels; both padded with 0."""

    letters: Ints  # (N, L)
    labels: Ints  # (N, P)
    num_letters: Ints  # (N,)
    num_labels: Ints  # (N,)

    def units(self, size: int, width: int) -> Ints:
        """(P + 1 - size, N) the unit of `size` labels from each place on."""
        first = self.labels.T
        if size == 0:
            return np.zeros((first.shape[0] + 1, first.shape[1]), np.int64)
        return 1 + first if size == 1 else 1 + width + first[:-1] * width + first[1:]


def pad_pairs(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Pairs:
    """Lay out words whose letters suffice for their labels; at least two places for each, so that all units fit."""
    num_letters, num_labels = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    letters = np.zeros((len(pairs), num_letters.max()), np.int64)
    labels = np.zeros((len(pairs), max(num_labels.max(), MOST)), np.int64)
    for row, (spelt, said) in enumerate(pairs):
        letters[row, : len(spelt)] = spelt
        labels[row, : len(said)] = said
    return Pairs(letters, labels, num_letters, num_labels)


def align(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], num_letters: int, width: int) -> list[Ints]:
    """The unit of each letter of each word, in the best alignment; the sizes are those of letters and of labels."""
    chunks = [pad_pairs(pairs[start : start + _CHUNK]) for start in range(0, len(pairs), _CHUNK)]
    sizes = np.concatenate([[1], np.full(width, width), np.full(width * width, width * width)])
    table = np.tile(np.repeat(_START, (1, width, width * width)) / sizes, (num_letters, 1))
    for _ in range(_ROUNDS):
        counts = sum(_expected_counts(chunk, table, width) for chunk in chunks)
        table = counts / np.maximum(np.sum(counts, axis=1, keepdims=True), 1e-300)
    return [units for chunk in chunks for units in _best(chunk, table, width)]


def _steps(pairs: Pairs, table: Floats, width: int, place: int) -> list[Floats]:
    """Probability that the letter at a place stands for 0, 1 and 2 labels from each label on."""
    letters = pairs.letters[:, place]
    return [table[letters, pairs.units(size, width)] for size in range(MOST + 1)]


def _expected_counts(pairs: Pairs, table: Floats, width: int) -> Floats:
    """How often each letter stands for each unit, over all alignments (forward-backward)."""
    length, most, count = pairs.letters.shape[1], pairs.labels.shape[1], len(pairs.letters)
    forward = np.zeros((length + 1, most + 1, count))
    forward[0, 0] = 1.0
    for place in range(length):
        for size, step in enumerate(_steps(pairs, table, width, place)):
            forward[place + 1, size:] += forward[place, : most + 1 - size] * step
    words = np.arange(count)
    whole = np.maximum(forward[pairs.num_letters, pairs.num_labels, words], 1e-300)
    backward = np.zeros((most + 1, count))
    counts = np.zeros(table.size)
    for place in range(length - 1, -1, -1):
        ends = pairs.num_letters == place + 1
        backward[pairs.num_labels[ends], words[ends]] = 1.0 / whole[ends]
        before = np.zeros_like(backward)
        for size, step in enumerate(_steps(pairs, table, width, place)):
            after = step * backward[size:]
            cells = pairs.letters[:, place] * table.shape[1] + pairs.units(size, width)
            counts += np.bincount(cells.ravel(), (forward[place, : most + 1 - size] * after).ravel(), table.size)
            before[: most + 1 - size] += after
        backward = before
    return counts.reshape(table.shape)


def _best(pairs: Pairs, table: Floats, width: int) -> list[Ints]:
    """The best alignment of each word (Viterbi)."""
    length, most, count = pairs.letters.shape[1], pairs.labels.shape[1], len(pairs.letters)
    scores = np.zeros((most + 1, count))
    scores[0] = 1.0
    scores[1:] = 0.0
    taken = np.zeros((length, most + 1, count), np.int8)
    for place in range(length):
        options = np.zeros((MOST + 1, most + 1, count))
        for size, step in enumerate(_steps(pairs, table, width, place)):
            options[size, size:] = scores[: most + 1 - size] * step
        taken[place] = options.argmax(axis=0)
        scores = options.max(axis=0)
    found = np.zeros((count, length), np.int64)
    ends, words = pairs.num_labels.copy(), np.arange(count)
    for place in range(length - 1, -1, -1):
        within = place < pairs.num_letters
        sizes = np.where(within, taken[place, ends, words], 0)
        for size in range(1, MOST + 1):
            here = np.flatnonzero(sizes == size)
            found[here, place] = pairs.units(size, width)[ends[here] - size, here]
        ends = ends - sizes
    return [row[:number] for row, number in zip(found, pairs.num_letters, strict=True)]
