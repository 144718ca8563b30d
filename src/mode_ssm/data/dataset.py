"""A split of a data root as a map-style data set that holds no features: a trial is read when it is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import Dataset

from mode_ssm.batch import Trial, TrialKey
from mode_ssm.config import BadTrial
from mode_ssm.data.file_index import trial_group
from mode_ssm.data.hdf5 import OpenFiles
from mode_ssm.data.problems import MalformedError, Problem
from mode_ssm.data.sessions import file_name
from mode_ssm.data.trials import Record, check_finite, read_features, read_record
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels


@dataclass(frozen=True)
class TrialEntry:
    """A trial that passed every check which needs no features."""

    key: TrialKey
    path: Path
    record: Record

    @property
    def file(self) -> str:
        """<session>/data_<split>.hdf5, as it is named in messages."""
        return file_name(self.key.session, self.key.split)

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
    """Can be pickled, and forked: each process opens files of its own, a few at a time."""

    def __init__(
        self,
        sessions: tuple[str, ...],
        labels: Labels,
        entries: tuple[TrialEntry, ...],
        problems: list[Problem],
        on_bad_trial: BadTrial,
    ) -> None:
        self.sessions = sessions  # all of the data root after max_sessions, in date order, the same for each split
        self.labels = labels  # the set that the trials are labelled with
        self.entries = entries  # by session, then as numbered in the file
        self.problems = problems  # found before any features were read
        self.on_bad_trial = on_bad_trial
        self._files = OpenFiles()

    def subset(self, entries: Iterable[TrialEntry]) -> "TrialDataset":
        """The same data with some of its trials."""
        return TrialDataset(self.sessions, self.labels, tuple(entries), [], self.on_bad_trial)

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
            return self._read(entry)
        except MalformedError as malformed:
            return malformed.problem(entry.file, entry.key.group)

    def _read(self, entry: TrialEntry) -> Trial:
        group = trial_group(self._files.get(entry.path), entry.key.group)
        record, labels = read_record(group, entry.key.session, self.labels)
        if record != entry.record:
            raise MalformedError(
                "has changed since it was indexed", "Start the run again; if this stays so, `touch` the file."
            )
        features = read_features(group, record)
        check_finite(features)
        return Trial(entry.key, features, labels, record.sentence)
