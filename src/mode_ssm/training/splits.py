"""The data of a run: the trials that its stages train on, and the val split where there is one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.config import ParticipantMap, StageConfig, TrainConfig
from mode_ssm.data import Problem, TrialDataset, open_split
from mode_ssm.data.agreement import check_order
from mode_ssm.data.meaning import doubtful
from mode_ssm.data.normalised import RunningNormalised
from mode_ssm.data.opening import is_aligned
from mode_ssm.data.participants import Channels, participant_channels
from mode_ssm.data.source import Source
from mode_ssm.errors import InputError
from mode_ssm.models.model import encoder_frames
from mode_ssm.models.preprocessor import Preprocessor
from mode_ssm.running_scale import Scale
from mode_ssm.training.augment import fewest_frames
from mode_ssm.training.terms import TERMS, Term, trained


@dataclass(frozen=True)
class Splits:
    train: TrialDataset  # the trials of all splits that some stage trains on
    val: TrialDataset | None
    unaligned: frozenset[TrialKey] = frozenset()  # trials to train on that CTC cannot align at their shortest
    doubts: tuple[Problem, ...] = ()  # what makes the run's numbers doubtful
    participants: Mapping[str, int] = field(default_factory=dict)  # with maps of their own, and C of each

    def trained_on(self, stage: StageConfig) -> TrialDataset:
        """The trials of a stage: those that one of its terms, at least, can use."""
        unused = self.unaligned if needs_alignment(stage) else frozenset()
        labelled = needs_labels(stage)
        chosen = [
            entry
            for entry in self.train.entries
            if entry.key.split in stage.splits and entry.key not in unused and not (labelled and entry.labels is None)
        ]
        return self.train if len(chosen) == len(self.train) else self.train.subset(chosen)

    @property
    def unlabelled(self) -> int:
        """How many trials to train on have no labels."""
        return sum(entry.labels is None for entry in self.train.entries)

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


def keep_reference(preprocessor: Preprocessor, source: Source, participants: Mapping[str, int]) -> None:
    """Keep with a network what a day after its training is normalised by at first, of each participant.

    Raises:
        InputError: where no trial has finite features.
    """
    if not isinstance(source, RunningNormalised):
        return
    for place, (who, channels) in enumerate(participants.items()):
        _keep(preprocessor.reference[place, :, :channels], source.last_scale(channels, who))
    if not participants:
        _keep(preprocessor.reference, source.last_scale(preprocessor.config.num_channels))


def _keep(reference: Tensor, scale: Scale | None) -> None:
    if scale is None:
        raise InputError(
            "No trial has finite features, so that there is nothing to normalise by; check the recordings."
        )
    reference.copy_(torch.from_numpy(np.stack(scale)))


def needs_alignment(stage: StageConfig) -> bool:
    """Whether all terms of a stage need trials that CTC can align."""
    weights = [TERMS[name].needs_alignment for name, weight in stage.weights.items() if weight > 0]
    return all(weights)


def needs_labels(stage: StageConfig) -> bool:
    """Whether all terms of a stage need trials with labels."""
    return all(TERMS[name].needs_labels for name, weight in stage.weights.items() if weight > 0)


def open_splits(config: TrainConfig) -> Splits:
    """Open what is trained on, and val; a trial must fit even at the shortest that augmentation may make it.

    A trial with too few frames for CTC to align its labels is of use where a stage has a term that can do without.

    Raises:
        InputError: when there is nothing to train on, or a bad trial and data.on_bad_trial=error.
    """
    aligned = all(needs_alignment(stage) for stage in config.training.stages if stage.epochs)

    def shortest(frames: int) -> int:
        return encoder_frames(config, fewest_frames(frames, config.augmentation))

    named = dict.fromkeys(split for stage in config.training.stages if stage.epochs for split in stage.splits)
    mapped = config.preprocessor.participant_map is not ParticipantMap.none
    participants = participant_channels(config.data, named) if mapped else {}
    channels: Channels = participants if mapped else config.preprocessor.num_channels
    parts = [
        open_split(
            config.data,
            split,
            num_channels=channels,
            encoder_frames=shortest,
            normalisation=config.preprocessor.normalisation,
            aligned=aligned,
        )
        for split in named
    ]
    train = _joined(parts)
    unaligned = frozenset(e.key for e in train.entries if not is_aligned(e.record, shortest(e.frames)))
    check_order(train.source, train.entries)
    if train.source.index("val", train.sessions).is_empty:
        return Splits(train, None, unaligned, tuple(doubtful(train.source, train.entries)), participants)
    val = open_split(
        config.data,
        "val",
        num_channels=channels,
        encoder_frames=lambda frames: encoder_frames(config, frames),
        normalisation=config.preprocessor.normalisation,
        aligned=False,
    )
    others = [entry for entry in train.entries if entry.key.split != "val"]
    doubts = [*doubtful(train.source, train.entries), *doubtful(val.source, val.entries, others)]
    return Splits(train, val, unaligned, tuple(dict.fromkeys([*doubts, *_trained_val(train, val)])), participants)


def _trained_val(train: TrialDataset, val: TrialDataset) -> Iterator[Problem]:
    known = {entry.key for entry in train.entries}
    both = [entry for entry in val.entries if entry.key in known]
    if both:
        what = f"is trained on, as {len(both)} of the {len(val)} val trials are: these are no error rates of new ones"
        yield Problem(both[0].file, both[0].key.group, what, "Other data say how good the network is.")


def _joined(parts: Sequence[TrialDataset]) -> TrialDataset:
    if len(parts) == 1:
        return parts[0]
    entries = tuple(entry for part in parts for entry in part.entries)
    problems = [problem for part in parts for problem in part.problems]
    return TrialDataset(parts[0].source, entries, problems, parts[0].on_bad_trial, parts[0].unread)


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
