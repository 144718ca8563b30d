"""A split of a data root as a map-style data set that holds no features: a trial is read when it is asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mode_ssm.batch import Trial, TrialKey
from mode_ssm.config import BadTrial
from mode_ssm.data.source import Source
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError, Problem, Reason, Record, Remedy, Told
from mode_ssm.labels import Labels


@dataclass(frozen=True)
class TrialEntry:
    """A trial that passed every check which needs no features."""

    key: TrialKey
    file: str  # <session>/data_<split>.hdf5, as it is named in messages
    record: Record

    @property
    def frames(self) -> int:
        """T."""
        return self.record.frames

    @property
    def labels(self) -> int | None:
        """U; None where the trial is not labelled."""
        return self.record.labels

    @property
    def sentence(self) -> str | None:
        return self.record.sentence


class TrialDataset(Dataset[Trial | Problem]):
    """Can be pickled, and forked, as its source can."""

    def __init__(
        self,
        source: Source,
        entries: tuple[TrialEntry, ...],
        problems: list[Problem],
        on_bad_trial: BadTrial,
        unread: Sequence[Problem] = (),
    ) -> None:
        self.source = source
        self.entries = entries  # by session, then in the order of the source
        self.problems = problems  # found before any features were read
        self.on_bad_trial = on_bad_trial
        self.unread = tuple(unread)  # what looks like recordings under the data root and is not read

    @property
    def sessions(self) -> tuple[str, ...]:
        """All of the data root after max_sessions, in date order, the same for each split."""
        return self.source.sessions

    @property
    def labels(self) -> Labels:
        """The set that the trials are labelled with."""
        return self.source.labels

    def subset(self, entries: Iterable[TrialEntry]) -> "TrialDataset":
        """The same data with some of its trials."""
        return TrialDataset(self.source, tuple(entries), [], self.on_bad_trial)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Trial | Problem:
        """Read a trial, or say what is wrong with it.

        Raises:
            InputError: where it is bad and on_bad_trial=error.
        """
        found = self.read(index)
        if isinstance(found, Problem) and self.on_bad_trial is BadTrial.error:
            raise InputError(str(found))
        return found

    def read(self, index: int) -> Trial | Problem:
        """As indexing, but a bad trial is always returned as its Problem."""
        entry = self.entries[index]
        try:
            return read_trial(self.source, entry)
        except MalformedError as malformed:
            return bad_trial(self.source, entry, malformed)


def bad_trial(source: Source, entry: TrialEntry, malformed: MalformedError) -> Problem:
    """What is wrong with a trial, and what was said in it all the same: where trials are scored, that counts."""
    labels = None
    if entry.labels is not None:
        try:
            labels = source.read_labels(entry.key, entry.record)
        except MalformedError:
            labels = None
    said = None if labels is None else tuple(labels.tolist())
    told = Told(entry.key.session, entry.key.block, entry.key.number, said, entry.sentence)
    return malformed.problem(entry.file, entry.key.group, entry.key.split, told)


def read_trial(source: Source, entry: TrialEntry) -> Trial:
    """Raises: MalformedError."""
    labels = source.read_labels(entry.key, entry.record)
    features = source.read_features(entry.key, entry.record)
    check_finite(features)
    return Trial(entry.key, features, labels, entry.sentence)


def check_finite(features: Tensor) -> None:
    """Raises: MalformedError, where (T, C) features hold NaN or infinity."""
    finite = torch.isfinite(features)
    if not finite.all():
        frame, channel = (~finite).nonzero()[0].tolist()
        raise MalformedError(
            f"has {int((~finite).sum())} NaN or infinite feature values, the first at frame {frame}, channel {channel}",
            Remedy("Repair the features", "remove the trial from the file"),
            Reason.not_finite,
        )
