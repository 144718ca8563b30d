"""How long steps took: a histogram of bounded size, read as percentiles, never as a mean alone."""

import numpy as np

STEP_MS = 80.0  # within which a step must be done, lest frames wait


class Latency:
    """Durations of steps in milliseconds, to 2 % each."""

    def __init__(self) -> None:
        self._edges = np.geomspace(0.01, 100_000.0, 1 + round(np.log(1e7) / np.log(1.02)))
        self._counts = np.zeros(len(self._edges) + 1, dtype=np.int64)
        self._in_time = 0

    def add(self, ms: float) -> None:
        self._counts[np.searchsorted(self._edges, ms)] += 1
        self._in_time += ms <= STEP_MS

    @property
    def steps(self) -> int:
        return int(self._counts.sum())

    def percentile(self, percent: float) -> float:
        """The duration that so many percent of the steps did not exceed, in ms; NaN where there was none."""
        if not self.steps:
            return float("nan")
        place = np.searchsorted(np.cumsum(self._counts), np.ceil(self.steps * percent / 100))
        return float(self._edges[min(int(place), len(self._edges) - 1)])

    @property
    def in_time(self) -> float:
        """Share of the steps within STEP_MS, in percent; NaN where there was none."""
        return 100 * self._in_time / self.steps if self.steps else float("nan")

    def summary(self) -> dict[str, float | int]:
        """Steps, p50, p99 and p99.9 in ms, and the share within STEP_MS."""
        percentiles = {f"p{p:g}_ms": round(self.percentile(p), 3) for p in (50, 99, 99.9)}
        return {"steps": self.steps, **percentiles, "percent_in_time": round(self.in_time, 3)}
