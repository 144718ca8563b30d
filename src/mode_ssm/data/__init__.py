"""Recordings in the T15 layout: from session folders to batches.

session folders -> index (kept as JSON) -> TrialDataset -> epoch_batches -> read_batches -> Batch
"""

from mode_ssm.data.batching import epoch_batches, sequential_batches
from mode_ssm.data.dataset import TrialDataset, TrialEntry
from mode_ssm.data.loading import read_batches
from mode_ssm.data.opening import open_split
from mode_ssm.data.problems import Problem

__all__ = [
    "Problem",
    "TrialDataset",
    "TrialEntry",
    "epoch_batches",
    "open_split",
    "read_batches",
    "sequential_batches",
]
