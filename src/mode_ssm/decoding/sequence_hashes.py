"""Hashes of growing sequences of numbers: equal sequences have equal ones, however they came about."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def append(hashes: Hashes, numbers: Ints) -> Hashes:
    """The hash of sequences with one number more (splitmix64; Steele et al. 2014)."""
    mixed = hashes * np.uint64(5) + (numbers + 1).astype(np.uint64) * GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
