"""What is wrong with a file or a trial, in words that name it and say what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One bad trial, or one bad file where `trial` is None.

    >>> print(Problem("t15.2023.08.13/data_val.hdf5", "trial_0004", "has no attribute seq_len", "Write it."))
    t15.2023.08.13/data_val.hdf5 trial_0004 has no attribute seq_len. Write it.
    """

    file: str  # <session>/data_<split>.hdf5
    trial: str | None  # the HDF5 group
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
