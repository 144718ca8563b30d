"""What the feature values of some trials look like, per channel and in all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.data.dataset import TrialEntry, check_finite
from mode_ssm.data.source import Source
from mode_ssm.index import MalformedError, Problem

Values = NDArray[np.float64]

HUGE = 1e3  # standard deviations, in features that are z-scored


@dataclass
class FeatureStatistics:
    """Of the finite values, in float64; the arrays are (C,)."""

    trials: int
    not_finite: int
    count: Values
    total: Values
    squares: Values
    low: Values
    high: Values
    still: list[TrialEntry]  # trials that never change
    huge: list[tuple[float, TrialEntry]]  # trials with a value beyond HUGE, and that

    @classmethod
    def empty(cls, channels: int) -> "FeatureStatistics":
        zeros = np.zeros(channels)
        return cls(0, 0, zeros, zeros, zeros, zeros + np.inf, zeros - np.inf, [], [])

    @property
    def not_finite_share(self) -> float:
        return float(self.not_finite / (self.not_finite + self.count.sum()))

    @property
    def mean(self) -> float:
        return float(self.total.sum() / self.count.sum())

    @property
    def sd(self) -> float:
        return float(np.sqrt(max(self.squares.sum() / self.count.sum() - self.mean**2, 0.0)))

    @property
    def channel_mean(self) -> Values:
        return self.total / np.maximum(self.count, 1)

    @property
    def channel_sd(self) -> Values:
        return np.sqrt(np.maximum(self.squares / np.maximum(self.count, 1) - self.channel_mean**2, 0.0))

    @property
    def constant_channels(self) -> list[int]:
        """Channels of one value throughout, or of none that is finite."""
        return [int(channel) for channel in np.flatnonzero(self.low >= self.high)]

    def add(self, entry: TrialEntry, features: Tensor) -> None:
        """Take in a trial (T, C)."""
        values = features.double().numpy()
        finite = np.isfinite(values)
        kept = np.where(finite, values, 0.0)
        self.trials += 1
        self.not_finite += int((~finite).sum())
        self.count = self.count + finite.sum(axis=0)
        self.total = self.total + kept.sum(axis=0)
        self.squares = self.squares + (kept**2).sum(axis=0)
        if len(values) > 1 and (values == values[0]).all():
            self.still.append(entry)
        if (peak := float(np.abs(kept).max())) > HUGE:
            self.huge.append((peak, entry))
        self.low = np.minimum(self.low, np.where(finite, values, np.inf).min(axis=0))
        self.high = np.maximum(self.high, np.where(finite, values, -np.inf).max(axis=0))


def feature_statistics(
    source: Source, entries: Sequence[TrialEntry], channels: int
) -> tuple[FeatureStatistics, list[Problem]]:
    """Read the features of these trials, all of `channels` channels, one at a time; returns what is bad beside."""
    statistics = FeatureStatistics.empty(channels)
    problems = []
    for entry in entries:
        try:
            features = source.read_features(entry.key, entry.record)
            statistics.add(entry, features)
            check_finite(features)
        except MalformedError as malformed:
            problems.append(malformed.problem(entry.file, entry.key.group, entry.key.split))
    return statistics, problems
