"""Features by block as models expect them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mode_ssm.index import MalformedError


def z_score(features: Sequence[NDArray[np.float32] | MalformedError], blocks: Sequence[int]) -> None:
    """In place, by block (mean and standard deviation, and 1e-8); trials that are wrong say nothing of their block."""
    for block in {*blocks}:
        sound = [f for f, b in zip(features, blocks, strict=True) if b == block and isinstance(f, np.ndarray)]
        if sound:
            rows = np.concatenate(sound)
            mean, sd = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64) + 1e-8
            for trial in sound:
                trial[:] = (trial - mean) / sd
