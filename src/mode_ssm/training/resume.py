"""Whether a run can go on from its last checkpoint, and with what."""

from typing import Any

import torch
from torch import Tensor

from mode_ssm.config import CHOICES, Resume, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import Checkpoint, read_checkpoint
from mode_ssm.settings import walk
from mode_ssm.training.run_folder import RunFolder, read_metrics
from mode_ssm.training.splits import Splits

# The settings that decide a run's weights and batches.
FIXED = (
    "preprocessor.",
    *(f"{part}." for part in CHOICES),
    "training.batching",
    "training.batch_size",
    "training.sessions_per_batch",
    "training.gradient_accumulation_steps",
    "training.seed",
)


def find_resumable(folder: RunFolder, config: TrainConfig, splits: Splits) -> Checkpoint | None:
    """The checkpoint to go on from, the last or, where there is none, the best; None for a run that starts.

    Raises:
        InputError: when the run was started with other settings of FIXED, or on other sessions, or a record of its
            metrics is damaged.
    """
    if folder.metrics.exists():
        read_metrics(folder.path)  # in every process, so that each one ends
    there = [path for path in (folder.last, folder.best) if path.exists()]
    if config.training.resume is Resume.never or not there:
        return None
    checkpoint = read_checkpoint(there[0], with_optimizer=True)
    for key, (before, now) in changed_settings(checkpoint.config, config).items():
        if key.startswith(FIXED):
            raise InputError(
                f"The run in {folder.path} was started with {key}={before}, not {now}; "
                "resume with the same settings, or start a new run in another output_dir."
            )
    checkpoint.labels.require(splits.train.labels, f"The run in {folder.path}", config.data.place)
    if checkpoint.sessions != splits.sessions:
        raise InputError(
            f"The run in {folder.path} was started on {len(checkpoint.sessions)} sessions, and the data root has train "
            f"trials of {len(splits.sessions)} or of others; resume with the same data, or start a new run."
        )
    if checkpoint.participants != splits.participants:
        known = ", ".join(f"{who} ({channels} channels)" for who, channels in checkpoint.participants.items())
        raise InputError(
            f"The run in {folder.path} was started on the participants {known}, and the data are of others or of other "
            "numbers of channels; resume with the same data, or start a new run."
        )
    return checkpoint


def same_sentences(checkpoint: Checkpoint, hashes: Tensor) -> bool:
    """Whether a run was started on these train sentences; those of the run that it began with stand among its own."""
    if checkpoint.config.init:
        return bool(torch.isin(hashes, checkpoint.sentence_hashes).all())
    return torch.equal(checkpoint.sentence_hashes, hashes)


def changed_settings(before: TrainConfig, now: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """The settings that differ, each with both values; None for one that only the other has."""
    saved, given = dict(walk(before)), dict(walk(now))
    pairs = {key: (saved.get(key), given.get(key)) for key in saved | given}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
