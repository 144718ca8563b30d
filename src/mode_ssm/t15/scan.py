"""What one HDF5 file holds: a Record of each good trial and a Problem of each bad one, without reading features."""

import re
from dataclasses import dataclass
from pathlib import Path

from mode_ssm.index import MalformedError, Problem, Record
from mode_ssm.labels import Labels
from mode_ssm.t15.files import open_file, reading, stat_file
from mode_ssm.t15.groups import read_record, read_told
from mode_ssm.t15.sessions import file_name

_TRIAL_GROUP = re.compile(r"trial_([0-9]{1,18})")


@dataclass(frozen=True)
class FileIndex:
    size: int  # bytes
    mtime_ns: int
    records: tuple[Record, ...]  # by trial number
    problems: tuple[Problem, ...]
    others: tuple[str, ...]  # what lies beside the trial_NNNN groups, and is not read


def trial_number(group: str) -> int:
    """
    >>> trial_number("trial_0007")
    7
    """
    return int(group.removeprefix("trial_"))


def scan_file(root: Path, session: str, split: str, labels: Labels) -> FileIndex:
    """Read the file <root>/<session>/data_<split>.hdf5.

    Raises:
        MalformedError: where it cannot be opened, or holds no trial group.
    """
    name = file_name(session, split)
    status = stat_file(root / name)
    with open_file(root / name) as file:
        with reading("a table of contents"):
            members = [name if isinstance(name, str) else repr(name) for name in file]  # bytes, where not UTF-8
        trials = sorted((trial_number(match[0]), match[0]) for match in map(_TRIAL_GROUP.fullmatch, members) if match)
        if not trials:
            raise MalformedError(
                "holds no trial groups (trial_0000, trial_0001, ...)", "Put the session's HDF5 file in its place."
            )
        records, problems = [], []
        for _, trial in trials:
            try:
                records.append(read_record(file, trial, session, labels)[0])
            except MalformedError as malformed:
                told = read_told(file, trial, session, labels)
                problems.append(malformed.problem(name, trial, split, told))
    others = tuple(member for member in members if not _TRIAL_GROUP.fullmatch(member))
    return FileIndex(status.st_size, status.st_mtime_ns, tuple(records), tuple(problems), others)
