"""Counts the n-grams of a text, an array of word numbers, chunk by chunk: only different n-grams take memory.

Places count the words of the text with <s> and </s> of every sentence, T in all; an n-gram stands at the place of its
first word. The n-grams of an order are numbered as their keys rise: number of the first words * W + last word.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_END = 1  # the number of </s>
_CHUNK = 1 << 20  # places


class Counted(NamedTuple):
    """The M n-grams of one order."""

    keys: Ints  # (M,) rising
    counts: Ints  # (M,)
    places: Ints  # (M,) a place at which each stands
    at: NDArray[np.int32]  # (T,) the n-gram at each place; -1 where the sentence ends before it does


def count_words(tokens: NDArray[np.int32], width: int) -> Counted:
    """Order 1: the n-gram of a word has the word's number."""
    places = np.zeros(width, np.int64)
    places[tokens[::-1]] = np.arange(len(tokens))[::-1]
    return Counted(np.arange(width), np.bincount(tokens, minlength=width), places, tokens)


def count_longer(below: Counted, tokens: NDArray[np.int32], width: int, size: int) -> Counted:
    """The n-grams of `size` words, from those of a word less; none goes on into the next sentence, after </s>."""
    runs: list[tuple[Ints, Ints, Ints]] = []
    for places, keys in _chunks(below, tokens, width, size):
        if not len(keys):
            continue
        unique, first, counts = np.unique(keys, return_index=True, return_counts=True)
        runs.append((unique, counts.astype(np.int64), places[first]))
        while len(runs) > 1 and len(runs[-2][0]) < 2 * len(runs[-1][0]):
            runs.append(_merged(runs.pop(), runs.pop()))
    while len(runs) > 1:
        runs.append(_merged(runs.pop(), runs.pop()))
    found = runs[0]
    at = np.full(len(tokens), -1, np.int32)
    for places, keys in _chunks(below, tokens, width, size):
        at[places] = np.searchsorted(found[0], keys)
    return Counted(*found, at)


def _chunks(below: Counted, tokens: NDArray[np.int32], width: int, size: int) -> Iterator[tuple[Ints, Ints]]:
    """Places of n-grams and their keys."""
    for start in range(0, len(tokens) - size + 1, _CHUNK):
        stop = min(start + _CHUNK, len(tokens) - size + 1)
        shorter = below.at[start:stop]
        goes_on = (shorter >= 0) & (tokens[start + size - 2 : stop + size - 2] != _END)
        places = np.flatnonzero(goes_on) + start
        yield places, below.at[places].astype(np.int64) * width + tokens[places + size - 1]


def _merged(one: tuple[Ints, Ints, Ints], other: tuple[Ints, Ints, Ints]) -> tuple[Ints, Ints, Ints]:
    keys, counts, places = (np.concatenate(parts) for parts in zip(one, other, strict=True))
    ranks = np.argsort(keys, kind="stable")
    keys = keys[ranks]
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[first], np.add.reduceat(counts[ranks], first), places[ranks][first]
