"""Recordings of any format: from a data root to batches.

Source -> index of a split -> TrialDataset -> epoch_batches -> deal -> read_batches -> Batch
"""

from mode_ssm.data.batching import deal, epoch_batches, padded_frames, sequential_batches, spread
from mode_ssm.data.dataset import TrialDataset, TrialEntry
from mode_ssm.data.loading import read_batches
from mode_ssm.data.opening import open_split
from mode_ssm.data.scored import LeftOut, LostTrial, denominator
from mode_ssm.data.source import SOURCES, Source, open_source
from mode_ssm.index import Problem

__all__ = [
    "SOURCES",
    "LeftOut",
    "LostTrial",
    "Problem",
    "Source",
    "TrialDataset",
    "TrialEntry",
    "deal",
    "denominator",
    "epoch_batches",
    "open_source",
    "open_split",
    "padded_frames",
    "read_batches",
    "sequential_batches",
    "spread",
]
