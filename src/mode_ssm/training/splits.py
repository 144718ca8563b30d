"""The data of a run: the trials that its stages train on, and the val split where there is one."""

from collections.abc import Sequence
from dataclasses import dataclass

from mode_ssm.config import StageConfig, TrainConfig
from mode_ssm.data import Problem, TrialDataset, open_split
from mode_ssm.errors import InputError
from mode_ssm.models.model import encoder_frames
from mode_ssm.training.augment import fewest_frames
from mode_ssm.training.terms import Term, trained


@dataclass(frozen=True)
class Splits:
    train: TrialDataset  # the trials of all splits that some stage trains on
    val: TrialDataset | None

    def trained_on(self, stage: StageConfig) -> TrialDataset:
        """The trials of a stage."""
        chosen = [entry for entry in self.train.entries if entry.key.split in stage.splits]
        return self.train if len(chosen) == len(self.train) else self.train.subset(chosen)

    @property
    def sessions(self) -> tuple[str, ...]:
        """Those that there are trials to train on of, in date order; no other can have a session layer of its own."""
        known = {entry.key.session for entry in self.train.entries}
        return tuple(session for session in self.train.sessions if session in known)

    @property
    def session_index(self) -> dict[str, int]:
        return {session: index for index, session in enumerate(self.sessions)}

    @property
    def problems(self) -> list[Problem]:
        return self.train.problems + (self.val.problems if self.val else [])


def open_splits(config: TrainConfig) -> Splits:
    """Open what is trained on, and val; a trial must fit even at the shortest that augmentation may make it.

    Raises:
        InputError: when there is nothing to train on, or a bad trial and data.on_bad_trial=error.
    """
    channels = config.preprocessor.num_channels
    named = dict.fromkeys(split for stage in config.training.stages if stage.epochs for split in stage.splits)
    parts = [
        open_split(
            config.data,
            split,
            num_channels=channels,
            encoder_frames=lambda frames: encoder_frames(config, fewest_frames(frames, config.augmentation)),
        )
        for split in named
    ]
    train = _joined(parts)
    if train.source.index("val", train.sessions).is_empty:
        return Splits(train, None)
    val = open_split(
        config.data,
        "val",
        num_channels=channels,
        encoder_frames=lambda frames: encoder_frames(config, frames),
    )
    return Splits(train, val)


def _joined(parts: Sequence[TrialDataset]) -> TrialDataset:
    if len(parts) == 1:
        return parts[0]
    entries = tuple(entry for part in parts for entry in part.entries)
    problems = [problem for part in parts for problem in part.problems]
    return TrialDataset(parts[0].source, entries, problems, parts[0].on_bad_trial)


def check_labels(config: TrainConfig, splits: Splits, terms: Sequence[Term]) -> None:
    """Raises: InputError, for a stage with a term that needs labels where none of its trials has any."""
    for index, stage in enumerate(config.training.stages):
        needing = [term.name for term in trained(terms, stage) if term.needs_labels]
        if not stage.epochs or not needing or any(entry.labels for entry in splits.trained_on(stage).entries):
            continue
        key = f"training.stages.{index}"
        raise InputError(
            f"{key} trains {' and '.join(needing)}, which needs labels, and no trial of its splits "
            f"({', '.join(stage.splits)}) has any; set {key}.splits=[train], or {key}.{needing[0]}_weight=0."
        )
