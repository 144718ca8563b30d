"""A trial as a word search sees it: what was said, where that is known, and what the networks heard."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.batch import TrialKey


@dataclass(frozen=True)
class SpokenTrial:
    key: TrialKey
    sentence: str | None
    labels: list[int]  # empty where the trial is not labelled
    ctc: NDArray[np.float32]  # (S, V) log-probabilities
    lost: str = field(default="", kw_only=True)  # why it could not be decoded: then it has no frames
    encoded: Tensor  # (S, J) encoder projections, an ensemble's side by side; J is 0 where CTC is all
