"""What every format of files shares: an index of checked trials, and one trial's labels and features at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.checks import LabelArray, check_labels, check_shape, make_record
from mode_ssm.dictionary import read_dictionary
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.pronounced import Pronouncing
from mode_ssm.formats.recent import Recent
from mode_ssm.index import MalformedError, Problem, Record, Remedy, SplitIndex, Told
from mode_ssm.labels import Labels
from mode_ssm.t15.files import stat_file
from mode_ssm.t15.sessions import first_by_date

SPLITS = ("train", "val", "test")
NO_LABELS = "has sentences and no phonemes", "Give data.dictionary=FILE, a dictionary in CMU format, which makes them."
OWN_LABELS = "has labels of its own", "The dictionary data.dictionary is for trials that have sentences alone."
SessionFiles = Mapping[str, Mapping[str, tuple[Path, ...]]]  # of each session and split, the files that may hold some


@dataclass(frozen=True)
class Found:
    """A trial as its file has it: what FilesSource checks."""

    split: str | None  # None: the one that its file is for
    block: int
    number: int  # within the block
    shape: tuple[int, ...]  # of the features
    labels: LabelArray | None = None
    sentence: str | None = None
    fault: MalformedError | None = None  # what the format itself found wrong with it


class Recording(Protocol):
    """A file that has been opened. Its features are read, or computed, when they are asked for."""

    @property
    def trials(self) -> Sequence[Found]: ...

    @property
    def notes(self) -> Sequence[tuple[str, str]]:
        """What is odd and may be right, or is not read: "holds ...", and a whole sentence."""

    def features(self, place: int) -> NDArray[Any]:
        """(T, C), of any number type, of the trial at this place among `trials`.

        Raises:
            MalformedError: where they cannot be read.
        """


class _Trial(NamedTuple):
    record: Record
    labels: LabelArray | None
    path: Path
    place: int
    stamp: tuple[int, int]  # size and modification time of the file when it was indexed


class _Part(NamedTuple):
    """What a session has of a split."""

    trials: dict[str, _Trial]  # by group
    problems: list[Problem]
    notes: list[Problem]


class IndexedSource(ABC):
    """A mode_ssm.data.source.Source over files of any format, which says what of a file is a session's.

    Args:
        files: of each session and split, in order, the files that may hold some of it.
        max_sessions: the first so many by date.
        dictionary: in CMU format, which makes labels of the sentences of trials that have none.

    Raises:
        InputError: where max_sessions is no number of sessions, or the dictionary cannot be read.
    """

    features_name = "features"  # what messages call them
    write_again = Remedy("Write the trial again", "remove it")

    def __init__(
        self, root: Path, files: SessionFiles, labels: Labels, max_sessions: int | None, dictionary: str | None = None
    ) -> None:
        self.root, self.labels = root, labels
        self._dictionary: Pronouncing | None = None
        if dictionary is not None:
            self._dictionary = Pronouncing(read_dictionary(Path(dictionary)), dictionary, labels)
        self.sessions = first_by_date(files, max_sessions)
        self._files = {session: files[session] for session in self.sessions}
        self._parts: dict[tuple[str, str], _Part] = {}

    @abstractmethod
    def recording(self, session: str, path: Path) -> Recording:
        """What of a file is a session's.

        Raises:
            MalformedError: where it cannot be read.
        """

    def unread(self) -> list[Problem]:
        """What looks like recordings under the root and is not read."""
        return []

    def file(self, session: str, split: str) -> str:
        paths = self._files[session].get(split, ())
        name = paths[0].relative_to(self.root).as_posix() if paths else session
        return f"{name} ({split})"

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        index = SplitIndex(unread=self.unread())
        broken: list[Problem] = []
        for session in sessions:
            part = self._part(session, split)
            if part.trials or any(problem.trial for problem in part.problems):
                index.records[session] = tuple(trial.record for trial in part.trials.values())
            elif not part.problems:
                index.absent.append(session)
            broken += [problem for problem in part.problems if problem.trial is None]
            index.problems += [problem for problem in part.problems if problem.trial is not None]
            index.notes += part.notes
        index.problems[:0] = broken
        return index

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        trial = self._trial(key, record)
        return None if trial.labels is None else torch.tensor(trial.labels)

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        trial = self._trial(key, record)
        values = self.recording(key.session, trial.path).features(trial.place)
        with np.errstate(over="ignore"):  # what overflows is infinite, and told
            return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))

    def _trial(self, key: TrialKey, record: Record) -> _Trial:
        trial = self._part(key.session, key.split).trials.get(key.group)
        if trial is None or trial.record != record or trial.stamp != _stamp(trial.path):
            raise MalformedError("has changed since it was indexed", "Start the run again.")
        return trial

    def _part(self, session: str, split: str) -> _Part:
        if (session, split) not in self._parts:
            self._parts[session, split] = self._index_part(session, split)
        return self._parts[session, split]

    def _index_part(self, session: str, split: str) -> _Part:
        part, count = _Part({}, [], []), 0
        for path in self._files[session].get(split, ()):
            name = path.relative_to(self.root).as_posix()
            try:
                stamp, recording = _stamp(path), self.recording(session, path)
            except MalformedError as malformed:
                part.problems.append(malformed.problem(name, None, split))
                continue
            notes = (*recording.notes, *self._of_labels(recording.trials))
            part.notes.extend(Problem(name, None, what, sentence) for what, sentence in notes)
            for place, found in enumerate(recording.trials):
                if found.split in (None, split):
                    group, count = f"trial_{count:04d}", count + 1
                    try:
                        record, labels = self._check(group, found)
                        part.trials[group] = _Trial(record, labels, path, place, stamp)
                    except MalformedError as malformed:
                        told = self._told(session, found)
                        part.problems.append(malformed.problem(self.file(session, split), group, split, told))
        return part

    def _check(self, group: str, found: Found) -> tuple[Record, LabelArray | None]:
        """Raises: MalformedError, on the first thing that is wrong with the trial."""
        if found.fault is not None:
            raise found.fault
        shape = check_shape(found.shape, self.features_name, self.write_again)
        labels = found.labels if found.labels is not None and len(found.labels) else None
        labels = None if labels is None else check_labels(labels, self.labels, self.write_again)
        if labels is None and found.sentence and self._dictionary is not None:
            made = self._dictionary.labels(found.sentence)
            labels = made if len(made) else None
        return make_record(group, (found.block, found.number), shape, labels, found.sentence), labels

    def _of_labels(self, trials: Sequence[Found]) -> Iterator[tuple[str, str]]:
        """A note, where labels could be made and are not, or a dictionary is given and nothing asks for it."""
        if self.labels.made_from is not None:  # of the sentences, by a rule
            return
        sound = [found for found in trials if found.fault is None]
        own = [found.labels is not None and len(found.labels) > 0 for found in sound]
        if self._dictionary is None and any(f.sentence and not has for f, has in zip(sound, own, strict=True)):
            yield NO_LABELS
        if self._dictionary is not None and own and all(own):
            yield OWN_LABELS

    def _told(self, session: str, found: Found) -> Told:
        labels = found.labels
        try:
            labels = None if labels is None else check_labels(labels, self.labels, self.write_again)
        except MalformedError:
            labels = None
        said = None if labels is None else tuple(labels.tolist())
        return Told(session, found.block, found.number, said, found.sentence)


class FilesSource(IndexedSource):
    """An IndexedSource over files of one session each."""

    kept = 8  # files that are held open, or in memory

    def __init__(
        self, root: Path, files: SessionFiles, labels: Labels, max_sessions: int | None, dictionary: str | None = None
    ) -> None:
        super().__init__(root, files, labels, max_sessions, dictionary)
        self._recordings: Recent[Path, Recording] = Recent(self.kept)

    @abstractmethod
    def open(self, path: Path) -> Recording:
        """Read what a file says of its trials.

        Raises:
            MalformedError: where it cannot be read.
        """

    def recording(self, session: str, path: Path) -> Recording:  # noqa: ARG002
        return self._recordings.get(path, self.open)


def cue_labels(cue: str, symbols: Sequence[str], labels: Labels) -> LabelArray:
    """
    Raises:
        MalformedError: where a symbol of the cue is none of the labels.
    """
    try:
        return np.array(labels.ids(symbols), dtype=np.int64)
    except InputError as error:
        remedy = Remedy("Give a set of labels that has it: data.labels=FILE.yaml", "leave the trial out")
        what = f"has the cue '{printable(cue, 40)}': {str(error).partition(';')[0]}"
        raise MalformedError(what, remedy) from None


def _stamp(path: Path) -> tuple[int, int]:
    """Raises: MalformedError, where the path is no readable file."""
    status = stat_file(path)
    return status.st_size, status.st_mtime_ns
