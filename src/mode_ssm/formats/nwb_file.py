"""What every format of NWB files reads of one, by pynwb, and apart from this process: damaged bytes can crash HDF5."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVarTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError, printable
from mode_ssm.index import MalformedError, Remedy
from mode_ssm.t15.files import COPY_AGAIN
from mode_ssm.t15.scan_process import apart

AGAIN = Remedy("Write the file again (docs/data.md)", "remove it")
LIMIT_S = 300.0  # of processor time for a file, which is read whole and may be packed
HALF_FRAME = 0.5  # of a frame, within which a time counts as its start: times are floats
_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError)  # h5py's and hdmf's


Options = TypeVarTuple("Options")


class Content(NamedTuple):
    """What has been read of a file."""

    values: NDArray[Any]  # (frames, channels), all that trials are cut from
    bounds: list[tuple[int, int]]  # of each trial, its first frame and the one after its last
    columns: dict[str, list[Any]]  # of the trials table, by name
    notes: list[tuple[str, str]]  # as of files.Recording


def need_pynwb() -> None:
    """Raises: InputError, where pynwb is not installed."""
    if find_spec("pynwb") is None:
        raise InputError("NWB files are read and written by pynwb; install it: pip install 'mode-ssm[nwb]'.")


def read_apart(read: Callable[[Path, *Options], Content], path: Path, *options: *Options) -> Content:
    """What a function reads within `opened`, in that process.

    Raises:
        MalformedError: as the function, and where the file makes the HDF5 library crash, or hang.
    """
    return apart(read, path, *options, limit_s=LIMIT_S)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file as pynwb has it, while it is open.

    Raises:
        MalformedError: where it cannot be read, also within the block.
    """
    from hdmf.build.errors import BuildError, ConstructError, ContainerConfigurationError
    from pynwb import NWBHDF5IO

    try:
        with warnings.catch_warnings(action="ignore"), NWBHDF5IO(str(path), "r") as io:  # what it misses is told here
            yield io.read()
    except (*_BROKEN, BuildError, ConstructError, ContainerConfigurationError) as error:
        reason = printable(str(error) or type(error).__name__)
        raise MalformedError(f"is no NWB file that can be read ({reason})", COPY_AGAIN) from None


def trial_columns(file: Any, wanted: Iterable[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """Those of the wanted columns that the trials table has, and the names of the others that it has.

    Raises:
        MalformedError: where there is no trials table, or no time in it.
    """
    table = file.trials
    names = [] if table is None else list(table.colnames)
    for name in ("start_time", "stop_time"):
        if name not in names:
            raise MalformedError(f"has no trials table with {name}", AGAIN)
    read = {name: [_plain(value, name) for value in table[name][:]] for name in names if name in {*wanted}}
    return read, [name for name in names if name not in read]


def _plain(value: Any, name: str) -> Any:
    """A text, a number, or an array of numbers."""
    array = np.asarray(value)
    if array.dtype.kind == "O" and all(isinstance(each, str) for each in array.reshape(-1)):
        array = array.astype(str)
    if array.dtype.kind not in "biufU":
        raise MalformedError(f"has a column {name} of type {array.dtype}, needed are texts or numbers", AGAIN)
    return array if array.ndim else array[()]


def trial_times(columns: dict[str, list[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """start_time and stop_time of each trial, in seconds.

    Raises:
        MalformedError: where they are no numbers.
    """
    times = [np.asarray(columns[name]) for name in ("start_time", "stop_time")]
    if any(row.dtype.kind not in "iuf" or row.ndim != 1 for row in times) and len(times[0]):
        raise MalformedError("has start_time or stop_time that are no numbers", AGAIN)
    return times[0].astype(np.float64), times[1].astype(np.float64)


def numeric(values: NDArray[Any]) -> NDArray[Any]:
    """Raises: MalformedError, where they are not (frames, channels) of numbers."""
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        what = f"has a series of type {values.dtype} and shape {values.shape}"
        raise MalformedError(f"{what}, needed is (frames, channels) of numbers", AGAIN)
    return values
