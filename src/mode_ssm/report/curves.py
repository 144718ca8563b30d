"""Long curves made short: the median and the range of every few updates, so that a spike still shows."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mode_ssm.report.records import Floats, Series

POINTS = 120  # of a curve, about


class Curve(NamedTuple):
    """Each point stands for a run of neighbouring updates of one stage."""

    x: Floats  # their mean
    y: Floats
    low: Floats
    high: Floats


def shorten(
    series: Series, breaks: Sequence[float] = (), points: int = POINTS, typical: Callable[[Floats], object] = np.median
) -> Curve:
    """A curve of about `points` points; no point mixes updates from before and after one of `breaks`.

    Args:
        typical: from the values of some updates to the one that is drawn.
    """
    starts: list[int] = []
    edges = [0, *np.searchsorted(series.x, sorted(breaks)).tolist(), len(series.x)]
    for first, after in pairwise(edges):
        count = min(after - first, max(1, round(points * (after - first) / max(len(series.x), 1))))
        starts += np.linspace(first, after, count, endpoint=False).astype(int).tolist()
    if not starts:
        return Curve(*(np.zeros(0) for _ in range(4)))
    x, y = (np.split(values, starts[1:]) for values in series)
    return Curve(
        np.array([part.mean() for part in x]),
        np.array([typical(part) for part in y], dtype=np.float64),
        np.minimum.reduceat(series.y, starts),
        np.maximum.reduceat(series.y, starts),
    )


def as_they_are(series: Series) -> Curve:
    """Every point, with no range."""
    return Curve(series.x, series.y, series.y, series.y)
