"""Arrays of ragged rows: what the entries of many beams, a trial's side by side, are computed with."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def expand(first: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Each row i as its places first[i], ..., first[i] + count[i] - 1: the row of each, and the place."""
    rows = np.repeat(np.arange(len(count)), count)
    ends = np.cumsum(count)
    return rows, np.arange(len(rows)) + (first - ends + count)[rows]


def heads(*keys: NDArray[np.generic]) -> Flags:
    """True where a row of sorted keys differs from the one before it."""
    result = np.ones(len(keys[0]), dtype=np.bool_)
    if len(result):
        result[1:] = False
        for key in keys:
            result[1:] |= key[1:] != key[:-1]
    return result


def best_rows(score: Floats, trial: Ints, size: int, threshold: float) -> Ints:
    """The rows of each trial's `size` best scores, none below its best by more than the threshold; in their order.

    Rows of a trial stand together; of equal scores the earlier row is kept.
    """
    starts = np.flatnonzero(heads(trial))
    counts = np.diff(starts, append=len(trial))
    kept: Flags = score >= np.repeat(np.maximum.reduceat(score, starts) - threshold, counts)
    if counts.max() > size:
        order = np.lexsort((-score, trial))
        rank = np.arange(len(trial)) - np.repeat(starts, counts)
        kept[order[rank >= size]] = False
    return np.flatnonzero(kept)
