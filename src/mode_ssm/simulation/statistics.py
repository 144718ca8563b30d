"""Statistics of features, trial by trial in bounded memory, and what was published of T15's."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

# Of the T15 data set (doi:10.5061/dryad.dncjsxm85), as its authors and others printed them.
PUBLISHED = {
    "T mean (frames)": 891,
    "T sd": 306,
    "T min": 138,
    "T max": 2475,
    "first speech, median (s)": 3.4,
    "silence at the end, median (s)": 1.7,
    "blank share of frames": 0.75,
    "T against words, correlation": 0.85,
    "labels per training trial": 26.5,
    "feature mean": 0,
    "feature sd": 1.0,
    "feature median": -0.33,
    "feature min": -2.4,
    "feature max": 10,
    "crossings against power, array means": 0.8,
    "lag-1 autocorrelation of a channel": 0.09,
}

_BIN = 0.01  # of the histogram that the median is read from
_EDGES = np.arange(-12.0, 12.0 + _BIN / 2, _BIN)
_ARRAY_ELECTRODES = 64


@dataclass
class FeatureStatistics:
    """Add trials, then ask for `values`. Channels are crossings, then power; each array has 64 of both."""

    trials: int = 0
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_EDGES) - 1, dtype=np.int64))
    _low: float = np.inf
    _high: float = -np.inf
    _sum: float = 0.0
    _square: float = 0.0
    _count: int = 0
    _arrays: list[float] = field(default_factory=list)
    _electrodes: list[float] = field(default_factory=list)
    _lag: list[float] = field(default_factory=list)

    def add(self, features: FloatArray) -> None:
        """One trial, (T, channels)."""
        self.trials += 1
        self.histogram += np.histogram(features, _EDGES)[0]
        self._low, self._high = min(self._low, float(features.min())), max(self._high, float(features.max()))
        self._sum += float(features.sum(dtype=np.float64))
        self._square += float(np.square(features, dtype=np.float64).sum())
        self._count += features.size
        centred = features - features.mean(axis=0)
        square = np.einsum("tc,tc->c", centred, centred)
        moving = square > 0
        if moving.any():
            self._lag.append(float((np.einsum("tc,tc->c", centred[1:], centred[:-1])[moving] / square[moving]).mean()))
        half = features.shape[1] // 2
        if half % _ARRAY_ELECTRODES == 0:
            self._electrodes += _mean_correlation(centred[:, :half], centred[:, half:])
            means = centred.reshape(len(centred), -1, _ARRAY_ELECTRODES).mean(axis=2)
            self._arrays += _mean_correlation(*np.split(means, 2, axis=1))

    def values(self) -> dict[str, float]:
        """By the names of PUBLISHED; correlations are means over trials and channels, absent where nothing varies."""
        mean = self._sum / self._count
        values = {
            "feature mean": mean,
            "feature sd": float(np.sqrt(self._square / self._count - mean**2)),
            "feature median": float(_EDGES[np.searchsorted(np.cumsum(self.histogram), self.histogram.sum() / 2)]),
            "feature min": self._low,
            "feature max": self._high,
        }
        correlations = {
            "lag-1 autocorrelation of a channel": self._lag,
            "crossings against power, array means": self._arrays,
            "crossings against power, one electrode": self._electrodes,
        }
        return values | {name: float(np.mean(found)) for name, found in correlations.items() if found}


def _mean_correlation(x: FloatArray, y: FloatArray) -> list[float]:
    """Of equal columns that are centred, over the columns that vary in both; empty where none does."""
    norm = np.sqrt(np.einsum("tc,tc->c", x, x) * np.einsum("tc,tc->c", y, y))
    varying = norm > 0
    return [float((np.einsum("tc,tc->c", x, y)[varying] / norm[varying]).mean())] if varying.any() else []
