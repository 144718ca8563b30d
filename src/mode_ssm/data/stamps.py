"""The size and the time of each file of a data root, which say whether it has changed."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mode_ssm.errors import printable

Stamps = dict[str, list[int]]  # of each file its size in bytes and its time of modification in ns


def stamps_of(root: Path, others: Iterable[Path]) -> Stamps:
    """Of what a data root holds but hidden files, and of files elsewhere."""
    found = {path.relative_to(root).as_posix(): path for path in _files_below(root)} or {root.name: root}
    found |= {str(path): path for path in others}
    stamps = {}
    for name, path in sorted(found.items()):
        try:
            status = path.stat()
        except OSError:  # a link to nowhere, or gone: who reads it will tell
            continue
        stamps[utf8(name)] = [status.st_size, status.st_mtime_ns]
    return stamps


def utf8(text: str) -> str:
    """A name of a file that is no text, as text."""
    return text.encode("utf-8", "backslashreplace").decode()


def changed_file(before: Stamps, now: Stamps) -> str | None:
    """What happened to the first file that is not as it was: "a.npz is new"."""
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            what = "is new" if name not in before else "is gone" if name not in now else "is another one"
            return f"{printable(name)} {what}"
    return None


def _files_below(folder: Path) -> Iterator[Path]:
    """Through links too, each folder once."""
    seen = set()
    for at, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(at)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(at, name) for name in names if not name.startswith("."))
