"""MATLAB files of version 5 to 7.2, by scipy: what of one is read, and what is told of one that is none."""

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError, printable
from mode_ssm.index import MalformedError, Remedy
from mode_ssm.t15.files import COPY_AGAIN

_HDF5_MARK = b"MATLAB 7.3"
AGAIN = Remedy("Download the file again", "remove it")


def read_mat(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Those of the variables that the file has.

    Raises:
        InputError: where scipy is not installed.
        MalformedError: where it cannot be read.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError:
        raise InputError("MATLAB files are read by scipy; install it: pip install 'mode-ssm[mat]'.") from None
    with path.open("rb") as stream:
        if stream.read(len(_HDF5_MARK)) == _HDF5_MARK:
            raise MalformedError("is a MATLAB file of version 7.3 (HDF5)", "In MATLAB, save it again with '-v7'.")
    broken = (MatReadError, OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, OverflowError)
    try:
        found = loadmat(path, variable_names=list(names))
    except (*broken, MemoryError, RuntimeError, EOFError, zlib.error) as error:
        reason = printable(str(error) or type(error).__name__)
        raise MalformedError(f"is no MATLAB file that can be read ({reason})", COPY_AGAIN) from None
    return {name: found[name] for name in names if name in found}


def variable(found: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    """Raises: MalformedError, where the file has no such variable."""
    if name not in found:
        raise MalformedError(f"has no variable {name}", AGAIN)
    return found[name]


def row(found: dict[str, NDArray[Any]], name: str, count: int) -> list[Any]:
    """A vector of so many entries, whichever way it lies.

    Raises:
        MalformedError: where it is absent or another number of them.
    """
    values = variable(found, name)
    if values.size != count:
        raise MalformedError(f"has {name} of shape {values.shape}, needed is one entry for each of {count}", AGAIN)
    return list(values.reshape(-1))


def matrix(value: Any, name: str) -> NDArray[Any]:
    """(T, C) numbers.

    Raises:
        MalformedError: where it is something else.
    """
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise MalformedError(
            f"has {name} of type {array.dtype} and shape {array.shape}, needed is (T, C) numbers", AGAIN
        )
    return array
