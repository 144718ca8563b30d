"""Random numbers that depend on their place in the data set only, not on who draws them nor in which order."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Independent sources of randomness, so that no part of the simulation disturbs another."""

    sentences = 0
    tuning = 1
    block = 2
    trial = 3
    participant = 4


def random_stream(seed: int, stream: Stream, *where: int) -> np.random.Generator:
    """A generator for one place (day, block, trial, ...) of one simulation."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(stream, *where))))
