"""The arrays of an .npz file, one at a time and without pickles; one that is stored as it is can be mapped."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mode_ssm.errors import printable
from mode_ssm.index import MalformedError, Remedy
from mode_ssm.t15.files import COPY_AGAIN

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip's member: its mark, and the lengths of its name and extra field
# All that damaged bytes become within zipfile and NumPy.
_BROKEN = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, SyntaxError, OverflowError, MemoryError)
_BROKEN_BYTES = (*_BROKEN, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError)
NO_PICKLE = (
    "Pickled arrays are not read, because loading one can run code; save numbers as a numeric array and texts as an "
    "array of dtype str, such as np.array(texts, dtype=str)."
)


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN_BYTES as error:
        reason = printable(str(error) or type(error).__name__)
        raise MalformedError(f"{what} that cannot be read ({reason})", COPY_AGAIN) from None


def member_names(path: Path) -> list[str]:
    """The names of the arrays.

    Raises:
        MalformedError: where the file is no .npz.
    """
    with _reading("is a file in place of an .npz"), zipfile.ZipFile(path) as file:
        return [name.removesuffix(".npy") for name in file.namelist()]


def read_member(path: Path, name: str) -> NDArray[Any]:
    """An array, whole.

    Raises:
        MalformedError: where it cannot be read, or is a pickled one.
    """
    with _reading(f"has {name}"), zipfile.ZipFile(path) as file, file.open(f"{name}.npy") as stream:
        header = _header(stream, name)
        size = file.getinfo(f"{name}.npy").file_size
        if _bytes(header) > size:
            raise ValueError(f"it says that it has {_bytes(header)} bytes, of {size}")
        raw = stream.read(_bytes(header))
        order = "F" if header.fortran else "C"
        return np.frombuffer(raw, header.dtype).reshape(header.shape, order=order)  # type: ignore[call-overload,no-any-return]


def map_member(path: Path, name: str) -> NDArray[Any]:
    """An array whose values stay in the file where it is stored uncompressed (np.savez), else as read_member.

    Raises:
        MalformedError: as read_member.
    """
    with _reading(f"has {name}"), zipfile.ZipFile(path) as file, path.open("rb") as stream:
        info = file.getinfo(f"{name}.npy")
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
            stream.seek(info.header_offset)
            mark, name_length, extra_length = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            if mark != b"PK\3\4":
                raise ValueError("its place in the file is another one")
            start = stream.seek(name_length + extra_length, 1)
            header = _header(stream, name)
            if stream.tell() - start + _bytes(header) > info.file_size:
                raise ValueError("it is cut short")
            order = "F" if header.fortran else "C"
            return np.memmap(path, header.dtype, "r", stream.tell(), header.shape, order)  # type: ignore[call-overload,no-any-return]
    return read_member(path, name)


def mapped_anew(values: NDArray[Any]) -> NDArray[Any]:
    """What `map_member` gave, by a mapping of its own: what was read through it leaves memory together with it."""
    if not isinstance(values, np.memmap) or values.filename is None:
        return values
    order = "C" if values.flags.c_contiguous else "F"
    try:
        return np.memmap(values.filename, values.dtype, "r", values.offset, values.shape, order)  # type: ignore[call-overload,no-any-return]
    except _BROKEN as error:
        raise MalformedError(f"cannot be read ({printable(str(error))})", COPY_AGAIN) from None


def _header(stream: IO[bytes], name: str) -> _Header:
    """Raises: MalformedError, for a pickled array; ValueError, for none."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"its .npy version is {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    header = _Header(*read(stream))
    if header.dtype.hasobject:
        raise MalformedError(f"has {name} as an array of Python objects", NO_PICKLE)
    if any(length < 0 for length in header.shape):
        raise ValueError(f"its shape is {header.shape}")
    return header


def _bytes(header: _Header) -> int:
    count = 1
    for length in header.shape:  # in whole numbers, which do not overflow
        count *= length
    return count * header.dtype.itemsize


def needs(has: str, needed: str) -> MalformedError:
    """Something is not as the schema has it."""
    return MalformedError(f"has {has}, needed is {needed}", Remedy("Write the file again (docs/data.md)", "remove it"))
