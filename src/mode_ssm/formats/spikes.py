"""Spike times to counts: the units of an NWB file as frames of 20 ms, each trial from its own start."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import MAX_FRAMES

BIN_S = 0.02
_ROUNDING = 1e-6  # of a bin: times are floats


def bin_edges(start: float, stop: float) -> NDArray[np.float64]:
    """Where the whole bins between two times begin, and the end of the last.

    >>> bin_edges(1.0, 1.07).round(2).tolist()
    [1.0, 1.02, 1.04, 1.06]
    """
    bins = np.nan_to_num(np.floor((stop - start) / BIN_S + _ROUNDING))
    return start + BIN_S * np.arange(np.clip(bins, 0, MAX_FRAMES + 1) + 1, dtype=np.float64)


def count_spikes(units: Sequence[NDArray[Any]], edges: NDArray[np.float64]) -> NDArray[np.int32]:
    """(bins, units): as numpy.histogram counts the spikes of each, a spike on the last edge in the last bin."""
    counts = np.empty((len(edges) - 1, len(units)), dtype=np.int32)
    for unit, spikes in enumerate(units):
        counts[:, unit] = np.histogram(spikes, edges)[0] if len(counts) else 0
    return counts
