"""Finding the files of a data root by their names, and naming those that look like recordings and are not read."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mode_ssm.formats.files import SessionFiles
from mode_ssm.index import Problem
from mode_ssm.t15.sessions import listed

FILES = "the recordings"
_RECORDINGS = re.compile(r"\.(npz|npy|mat|nwb|h5|hdf5)$", re.IGNORECASE)


def root_files(data_root: str) -> tuple[Path, list[Path]]:
    """A data root, and the files and folders in it by name, without hidden ones.

    Raises:
        InputError: where it is not there, or cannot be listed.
    """
    root = Path(data_root)
    return root, sorted(path for path in listed(root, FILES) if not path.name.startswith("."))


def folder_files(folder: Path) -> list[Path]:
    """What lies in a folder of the root, by name; nothing where it is none, or is closed."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []


def unread_files(root: Path, read: SessionFiles, remedy: str) -> list[Problem]:
    """What of the root and its folders looks like recordings and is none of the files that are read."""
    known = {path for splits in read.values() for paths in splits.values() for path in paths}
    return [
        Problem(path.relative_to(root).as_posix(), None, "looks like recordings and is not read", remedy)
        for path in _all_files(folder_files(root))
        if _RECORDINGS.search(path.name) and path not in known
    ]


def files_below(root: Path, suffix: str) -> list[Path]:
    """The files with a suffix in the root and its folders, as deep as `unread_files` looks, by path."""
    return sorted(path for path in _all_files(folder_files(root)) if path.suffix == suffix)


def _all_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Down to two folders below the root."""
    for path in paths:
        yield path
        for inner in folder_files(path):
            yield inner
            yield from folder_files(inner)
