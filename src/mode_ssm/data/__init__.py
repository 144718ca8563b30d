"""Recordings in the T15 layout: from session folders to batches.

session folders -> index (kept as JSON) -> TrialDataset -> epoch_batches -> deal -> read_batches -> Batch
"""

from mode_ssm.data.batching import deal, epoch_batches, padded_frames, sequential_batches
from mode_ssm.data.dataset import TrialDataset, TrialEntry
from mode_ssm.data.loading import read_batches
from mode_ssm.data.opening import open_split
from mode_ssm.data.problems import Problem

__all__ = [
    "Problem",
    "TrialDataset",
    "TrialEntry",
    "deal",
    "epoch_batches",
    "open_split",
    "padded_frames",
    "read_batches",
    "sequential_batches",
]
