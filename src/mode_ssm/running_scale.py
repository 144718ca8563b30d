"""Normalisation that knows the past alone: features are z-scored by the trials before them.

A recording can be z-scored by the mean and the standard deviation of its whole block; while one speaks, the block's
future is not there. BRAND's speech decoder node takes the last 20 trials and, for the first 10 of a day, a mixture with
a reference of before; so does this, and as there a value beyond 10 standard deviations becomes 0.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

WINDOW = 20  # trials that count
FULL = 10  # trials of a day, from which on the reference counts no more
LARGEST = 10.0  # standard deviations
SMALLEST_SD = 1e-6  # of a channel that varies


class Moments(NamedTuple):
    """Of the feature frames of one trial or of several; the arrays are (C,)."""

    frames: int
    total: Doubles
    squares: Doubles

    @classmethod
    def of(cls, features: Floats) -> "Moments":
        """Those of (T, C) features."""
        values = features.astype(np.float64)
        return cls(len(values), values.sum(axis=0), np.square(values).sum(axis=0))

    @classmethod
    def together(cls, several: Iterable["Moments"]) -> "Moments":
        """Those of all trials; there is at least one."""
        frames, totals, squares = zip(*several, strict=True)
        return cls(sum(frames), np.sum(totals, axis=0), np.sum(squares, axis=0))

    @property
    def scale(self) -> "Scale":
        mean = self.total / self.frames
        return Scale(mean, np.maximum(self.squares / self.frames - mean**2, 0.0))


class Scale(NamedTuple):
    """What features are z-scored with, (C,) each."""

    mean: Doubles
    variance: Doubles

    def normalised(self, features: Floats) -> Floats:
        """(T, C) z-scores; 0 where they are beyond LARGEST, and where a channel never varied."""
        sd = np.sqrt(self.variance)
        weight = np.where(sd > SMALLEST_SD, 1 / np.maximum(sd, SMALLEST_SD), 0.0)
        found: Floats = ((features - self.mean.astype(np.float32)) * weight.astype(np.float32)).astype(np.float32)
        found[np.abs(found) > LARGEST] = 0.0
        return found


def running_scale(before: Iterable[Moments], reference: Scale | None) -> Scale:
    """For the next trial of a day.

    Args:
        before: the trials of the day so far, the newest last; the last WINDOW of them count.
        reference: of earlier days; None where there are none, and then there is a trial before.
    """
    recent = deque(before, maxlen=WINDOW)
    if not recent:
        if reference is None:
            raise ValueError("nothing is known of the features: neither a trial before nor a reference")
        return reference
    today = Moments.together(recent).scale
    share = min(len(recent) / FULL, 1.0)
    if reference is None or share == 1.0:
        return today
    return Scale(
        share * today.mean + (1 - share) * reference.mean, share * today.variance + (1 - share) * reference.variance
    )
