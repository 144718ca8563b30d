"""What is known of a split before any features are read: a record of each sound trial, a problem of each bad one."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Record(NamedTuple):
    """What a trial is, without its features."""

    group: str  # trial_0007, its name within its session's part of the split
    block: int
    number: int  # trial_num within the block
    frames: int  # T
    channels: int  # C
    labels: int | None  # U; None where the trial is not labelled
    repeats: int  # pairs of equal neighbours among the labels: CTC needs a blank between them
    sentence: str | None


class Reason(StrEnum):
    """Why a trial is left out, as it is counted."""

    unreadable = "unreadable"
    not_finite = "NaN or infinite features"
    channels = "another number of feature channels"
    too_short = "too short for an encoder frame"
    too_many_labels = "too short for CTC to align its labels"  # in training alone
    unlabelled = "no labels"
    unwritable = "a sentence that the labels cannot write"


class Told(NamedTuple):
    """What can be known of a bad trial all the same: who it is, and what was said, which counts where it is scored."""

    session: str
    block: int | None
    number: int | None
    labels: tuple[int, ...] | None
    sentence: str | None


class Remedy(NamedTuple):
    """What to do about a bad trial or file that may be taken away, unless it is counted by its place, as in test."""

    repair: str  # no full stop
    removal: str

    def sentence(self, split: str, trial: str | None) -> str:
        """
        >>> Remedy("Write it again", "remove it").sentence("test", "trial_0004")
        'Write it again, or leave it in its place: the ids of a submission count every test trial.'
        """
        if split != "test":
            return f"{self.repair}, or {self.removal}."
        if trial is None:
            return f"{self.repair}; it cannot be left out, since the ids of a submission count its trials too."
        return f"{self.repair}, or leave it in its place: the ids of a submission count every test trial."


@dataclass(frozen=True)
class Problem:
    """One bad trial, or one bad file where `trial` is None.

    >>> print(Problem("t15.2023.08.13/data_val.hdf5", "trial_0004", "has no attribute seq_len", "Write it."))
    t15.2023.08.13/data_val.hdf5 trial_0004 has no attribute seq_len. Write it.
    """

    file: str  # <session>/data_<split>.hdf5
    trial: str | None  # Record.group
    what: str  # goes on after the name: "has no ..."
    remedy: str  # a whole sentence
    reason: Reason = field(default=Reason.unreadable, compare=False)
    told: Told | None = field(default=None, compare=False)  # of a trial

    def __str__(self) -> str:
        name = self.file if self.trial is None else f"{self.file} {self.trial}"
        return f"{name} {self.what}. {self.remedy}"


class MalformedError(Exception):
    """Raised inside the reader of one trial or file; becomes a Problem where the names are known."""

    def __init__(self, what: str, remedy: str | Remedy, reason: Reason = Reason.unreadable) -> None:
        super().__init__(what, remedy, reason)  # all of them, for it travels between processes
        self.what, self.remedy, self.reason = what, remedy, reason

    def problem(self, file: str, trial: str | None = None, split: str = "", told: Told | None = None) -> Problem:
        remedy = self.remedy if isinstance(self.remedy, str) else self.remedy.sentence(split, trial)
        return Problem(file, trial, self.what, remedy, self.reason, told)


@dataclass
class SplitIndex:
    records: dict[str, tuple[Record, ...]] = field(default_factory=dict)  # of each session that can be read, in order
    problems: list[Problem] = field(default_factory=list)  # of whole files first, then of single trials
    notes: list[Problem] = field(default_factory=list)  # what is odd, and may be right
    absent: list[str] = field(default_factory=list)  # sessions that have nothing of the split
    gaps: list[Problem] = field(default_factory=list)  # numbers that are missing among the trials of a file
    unread: list[Problem] = field(default_factory=list)  # what looks like recordings, of any split, and is not read

    @property
    def is_empty(self) -> bool:
        """Whether no session has anything of the split, readable or not."""
        return not self.records and not self.problems
