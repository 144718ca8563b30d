"""A scale of the transducer's loss under which both losses pull equally hard on the encoder.

The value of a loss says little about its gradient: after a long CTC stage the CTC loss is small while that of a new
transducer is not, and a divisor that suited the first update no longer suits the last. Here the norms of the two
gradients at the encoder's output are measured, which is where they meet, and the scale that would have made them equal
is followed. (GradNorm, Chen et al. 2018, balances tasks by their gradients too, but learns the weights.)
"""

import math
from collections.abc import Sequence
from statistics import median

WINDOW_UPDATES = 15  # of the running median
MAX_CHANGE = 1.1  # of the scale, from one update to the next
RANGE = 0.01, 100.0  # of the scale, which multiplies nats per label


def equalising_scale(scale: float, ctc_norm: float, rnnt_norm: float) -> float | None:
    """The scale under which the two norms would have been equal; None where that is not defined.

    Args:
        scale: what the transducer's loss was multiplied by.
        ctc_norm, rnnt_norm: of the gradients of both losses without their weights, at the encoder's output.

    >>> equalising_scale(0.1, ctc_norm=2.0, rnnt_norm=8.0)
    0.025
    """
    measured = (scale, ctc_norm, rnnt_norm)
    if not all(math.isfinite(value) and value > 0 for value in measured):
        return None
    return scale * (ctc_norm / rnnt_norm)


def followed_scale(scale: float, equalising: Sequence[float]) -> float:
    """The scale of the next update: nearer to the median of what would have been right in the last ones.

    It stays within `RANGE`: a CTC loss that has nothing left to learn must not switch the transducer off.

    >>> followed_scale(1.0, [2.0, 0.96, 0.95])
    0.96
    >>> followed_scale(1.0, [2.0])
    1.1
    """
    if not equalising:
        return scale
    wanted = min(max(median(equalising), RANGE[0]), RANGE[1])
    return scale * min(max(wanted / scale, 1 / MAX_CHANGE), MAX_CHANGE)
