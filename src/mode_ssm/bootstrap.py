"""How far an error rate may be chance: what other trials might have given, by drawing as many of them again.

Bisani and Ney 2004, Bootstrap estimates for confidence intervals in ASR performance evaluation.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.scoring import ErrorRate

Floats = NDArray[np.float64]
RESAMPLES = 2000
SEED = 0
_AT_ONCE = 1_000_000  # numbers drawn, for memory


class Interval(NamedTuple):
    """The middle 95 % of the draws."""

    low: float
    high: float


def resampled(edits: Floats, said: Floats) -> Interval:
    """Of pooled rates: the sum of edits (N,), which may be differences, over the sum of units said (N,)."""
    random, trials = np.random.default_rng(SEED), len(said)
    even, rates = np.full(trials, 1 / max(trials, 1)), []
    size = max(_AT_ONCE // max(trials, 1), 1)
    for start in range(0, RESAMPLES, size):
        draws = random.multinomial(trials, even, size=min(size, RESAMPLES - start))
        rates.append((draws @ edits) / np.maximum(draws @ said, 1))
    low, high = np.percentile(np.concatenate(rates), [2.5, 97.5])
    return Interval(float(low), float(high))


def error_interval(errors: Iterable[ErrorRate]) -> Interval | None:
    """Of a rate pooled over trials, as a fraction; None for fewer than two trials, which tell nothing of others."""
    rates = list(errors)
    if len(rates) < 2:
        return None
    counts = np.array([(rate.edits, rate.reference_length) for rate in rates], dtype=np.float64)
    return resampled(counts[:, 0], counts[:, 1])
