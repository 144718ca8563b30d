"""What is known of a split before any features are read: a record of each sound trial, a problem of each bad one."""

from dataclasses import dataclass, field
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

    def __str__(self) -> str:
        name = self.file if self.trial is None else f"{self.file} {self.trial}"
        return f"{name} {self.what}. {self.remedy}"


class MalformedError(Exception):
    """Raised inside the reader of one trial or file; becomes a Problem where the names are known."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def problem(self, file: str, trial: str | None = None) -> Problem:
        return Problem(file, trial, self.what, self.remedy)


@dataclass
class SplitIndex:
    records: dict[str, tuple[Record, ...]] = field(default_factory=dict)  # of each session that can be read, in order
    problems: list[Problem] = field(default_factory=list)  # of whole files first, then of single trials
    notes: list[Problem] = field(default_factory=list)  # what is odd, and may be right
    absent: list[str] = field(default_factory=list)  # sessions that have nothing of the split

    @property
    def is_empty(self) -> bool:
        """Whether no session has anything of the split, readable or not."""
        return not self.records and not self.problems
