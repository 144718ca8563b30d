"""Open HDF5 files and read from them so that a broken one says what it is instead of failing inside a library."""

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from mode_ssm.errors import printable
from mode_ssm.index import MalformedError, Remedy

MAX_OPEN_FILES = 8  # per process; T15 has 45 files a split
COPY_AGAIN = Remedy("Copy or download the file again", "move it out of the session folder")
_LOCKED = (errno.EAGAIN, errno.EACCES)  # what a lock answers that another program holds
_H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError)  # all that h5py makes of an HDF5 error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn any error of h5py within the block into MalformedError.

    Raises:
        MalformedError: "has {what} that cannot be read (reason)".
    """
    try:
        yield
    except _H5PY_ERRORS as error:
        raise MalformedError(f"has {what} that cannot be read ({_reason(error)})", COPY_AGAIN) from None


def open_file(path: Path) -> h5py.File:
    """Open for reading; on a disk that has no locks (a network file system, say), without one.

    Raises:
        MalformedError: where the path is no regular, readable, complete HDF5 file.
    """
    stat_file(path)
    try:
        return _open(path)
    except _H5PY_ERRORS as error:
        reason = _reason(error)
    if "lock file" in reason and not any(f"errno = {number}," in reason for number in _LOCKED):
        try:
            return _open(path, locking=False)
        except _H5PY_ERRORS as error:
            reason = _reason(error)
    raise _unopened(path, reason)


def _open(path: Path, **options: bool) -> h5py.File:
    """Each trial is read whole, once: HDF5's cache of chunks would only hold memory."""
    return h5py.File(path, "r", rdcc_nbytes=0, **options)


def stat_file(path: Path) -> os.stat_result:
    """Raises: MalformedError, where the path is no regular, readable file with something in it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise MalformedError("is not a file", Remedy("Put the session's file in its place", "remove it"))
        path.open("rb").close()
    except PermissionError:
        raise MalformedError(
            "may not be read by this user", "Give yourself permission to read it (chmod u+r)."
        ) from None
    except OSError as error:
        raise MalformedError(f"cannot be opened ({error.strerror})", "Mend the link or copy the file again.") from None
    if status.st_size == 0:
        raise MalformedError("is empty (0 bytes)", COPY_AGAIN)
    return status


def _unopened(path: Path, reason: str) -> MalformedError:
    if "truncated" in reason:
        return MalformedError(f"is cut short ({reason})", COPY_AGAIN)
    if "lock file" in reason:
        return MalformedError("is being written by another program", "Wait until that program has closed it.")
    if "open for write" in reason:
        return MalformedError(
            "was never closed by the program that wrote it", "Close it there, or mend it with `h5clear -s`."
        )
    if not h5py.is_hdf5(path):
        return MalformedError("is not an HDF5 file", COPY_AGAIN)
    return MalformedError(f"is a damaged HDF5 file ({reason})", COPY_AGAIN)


def _reason(error: BaseException) -> str:
    text = str(error.args[-1]) if error.args else type(error).__name__
    inner = text[text.find("(") + 1 : text.rfind(")")] if "(" in text else text
    return printable(inner or text).splitlines()[0]


class OpenFiles:
    """The most recently used HDF5 files of this process, at most MAX_OPEN_FILES of them.

    A copy in another process, by fork or by pickle, starts with none and opens its own.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()

    def __reduce__(self) -> tuple[type["OpenFiles"], tuple[()]]:
        return OpenFiles, ()

    def __len__(self) -> int:
        return len(self._files)

    def get(self, path: Path) -> h5py.File:
        """Raises: MalformedError, as open_file."""
        if self._process != os.getpid():
            self._process, self._files = os.getpid(), OrderedDict()
        if path not in self._files:
            file = open_file(path)
            while len(self._files) >= MAX_OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            self._files[path] = file
        self._files.move_to_end(path)
        return self._files[path]

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
