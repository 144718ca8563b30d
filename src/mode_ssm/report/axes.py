"""Axes of a chart: from values to places on it, and where the ticks go."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mode_ssm.report.records import Floats


@dataclass(frozen=True)
class Axis:
    """Values low..high on the places start..end; what lies outside is put on the edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, values: ArrayLike) -> Floats:
        v = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            v, low, high = np.log(v), math.log(low), math.log(high)
        result: Floats = self.start + (v - low) / (high - low) * (self.end - self.start)
        return result

    def ticks(self) -> list[float]:
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)


def fitted_axis(values: Floats, start: float, end: float, *, log: bool, floor: float | None = None) -> Axis:
    """An axis that holds all values, with a little air around them; `floor` is a value that it reaches down to."""
    values = values[np.isfinite(values) & (values > 0 if log else np.isfinite(values))]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.1, 1.0)
    if log:
        air = max((high / low) ** 0.06, 1.15)
        return Axis(low / air, high * air, start, end, log=True)
    if floor is not None:
        low = min(low, floor)
    air = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return Axis(low if low == floor else low - air, high + air, start, end)


def linear_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """
    >>> linear_ticks(0, 47)
    [0.0, 10.0, 20.0, 30.0, 40.0]
    """
    raw = (high - low) / about
    exponent = math.floor(math.log10(raw))
    power = 10.0**exponent
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(factor * power / raw)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * n, 2 - exponent) for n in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; between few of them also 2 and 5; of many only some; without any, round numbers.

    >>> log_ticks(0.5, 30)
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, (last - first) // 6)
    factors = (1, 2, 5) if high < 300 * low else (1,)
    ticks = [float(f"{factor}e{power}") for power in range(first, last + 1, every) for factor in factors]
    shown = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    return shown if len(shown) > 1 else linear_ticks(low, high)


def tick_text(value: float) -> str:
    """
    >>> [tick_text(v) for v in (0, 0.002, 1.5, 1500, 20_000, 3e6, 1e-7)]
    ['0', '0.002', '1.5', '1,500', '20k', '3M', '1e-07']
    """
    if 1e3 <= abs(value) < 1e4:
        return f"{value:,.0f}"
    for least, unit, letter in ((1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if least <= abs(value) < 1e9:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
