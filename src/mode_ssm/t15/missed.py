"""What a data root may have lost or hides: numbers missing among its trials, and names that are almost those read."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from mode_ssm.index import Problem
from mode_ssm.t15.scan import FileIndex, trial_number
from mode_ssm.t15.sessions import SESSION_NAME, split_file
from mode_ssm.t15.truth import TRUTH

_READ = {*map(split_file, ("train", "val", "test")), TRUTH}
_LIKE_A_FILE = re.compile(r"\.(h5|hdf5|he5|hdf|mat|nwb)\b|^data[_-]?(train|val|test|dev|eval)", re.IGNORECASE)
RENAME = (
    f"Read are folders <participant>.YYYY.MM.DD with {', '.join(sorted(_READ - {TRUTH}))}; rename what is missing "
    "and move the rest elsewhere."
)


def gaps(name: str, found: FileIndex) -> Iterator[Problem]:
    """Missing numbers of trials, which stand from 0 on in a file that is whole."""
    groups = [record.group for record in found.records] + [p.trial for p in found.problems if p.trial is not None]
    there = {trial_number(group) for group in groups}
    count = max(there, default=-1) + 1 - len(there)  # a name may hold any number, such as a date
    if count:
        first = islice((number for number in range(max(there)) if number not in there), 5)
        names = ", ".join(f"trial_{number:04d}" for number in first) + (", ..." if count > 5 else "")
        remedy = "Copy or download the file again, unless they were taken out on purpose."
        yield Problem(name, None, f"lacks {count} of its trial numbers ({names})", remedy)


def unread(root: Path, sessions: Sequence[str]) -> Iterator[Problem]:
    """Names under a data root that look like a session or its recordings and are not read, whatever the split."""
    for name in _names(root):
        if SESSION_NAME.fullmatch(name):
            continue
        if SESSION_NAME.match(name) or _LIKE_A_FILE.search(name) or any(map(_LIKE_A_FILE.search, _names(root / name))):
            yield Problem(name, None, "looks like recordings and is not read", RENAME)
    for session in sessions:
        for name in _names(root / session):
            if name not in _READ and _LIKE_A_FILE.search(name):
                yield Problem(f"{session}/{name}", None, "looks like recordings and is not read", RENAME)


def _names(folder: Path) -> Iterable[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:  # what cannot be listed is told where it is read
        return []
