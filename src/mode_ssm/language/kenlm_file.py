"""The files that KenLM's build_binary writes: their head, their words, and numbers packed to bits.

KenLM's own sources (lm/binary_format.cc, lm/vocab.cc, util/bit_packing.hh) are what documents them. A file is mapped;
of a large one only those pages are read that a search asks for.
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError

Ints = NDArray[np.int64]
MAGIC = b"mmap lm http://kheafield.com/code"  # how all of them begin, unfinished ones and other versions too
_HEAD = struct.pack(  # what files of machines like this one begin with
    "<56s3f3IQ", MAGIC + b" format version 5\n", 0.0, 1.0, -0.5, 1, 2**32 - 1, 0, 1
)
_SETTINGS = struct.Struct("<B3xfI?3xI")  # order, probing multiplier, kind, whether there are words, version
KINDS = ("probing", "probing with rest costs", "trie", "quantised trie", "trie (array)", "quantised trie (array)")
_MOST_ORDER = 32


class Head(NamedTuple):
    """What a file says of itself."""

    kind: int  # a place in KINDS
    multiplier: float  # slots of a hash table for each n-gram
    counts: tuple[int, ...]  # n-grams by order
    size: int  # bytes of the head

    @property
    def order(self) -> int:
        return len(self.counts)


class Bytes:
    """A mapped file, read at places in bytes or in bits.

    Raises:
        InputError: when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.raw: NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
        except OSError as error:
            raise InputError(f"The n-gram model {path} cannot be read ({error.strerror}); give another.") from None
        except ValueError:
            raise InputError(f"The n-gram model {path} is empty; give another.") from None
        self._windows = np.ndarray(max(len(self.raw) - 7, 0), "<u8", self.raw.data, strides=(1,))  # from each byte on

    def bits(self, places: Ints, size: int) -> NDArray[np.uint64]:
        """(N,) numbers of up to 57 bits that begin at these bits of the file."""
        shifts = (places & 7).astype(np.uint64)
        found: NDArray[np.uint64] = (self._windows[places >> 3] >> shifts) & np.uint64((1 << size) - 1)
        return found

    def array(self, start: int, count: int, kind: str) -> NDArray[np.generic]:
        """A view of `count` numbers or records from a byte on.

        Raises:
            InputError: where the file ends before.
        """
        end = start + count * np.dtype(kind).itemsize
        if end > len(self.raw):
            raise InputError(
                f"{self.path} has {len(self.raw)} bytes of at least {end}, so it is a part of one; copy it again."
            )
        return np.ndarray(count, kind, self.raw.data, offset=start)


def is_binary(path: Path) -> bool:
    """Whether a file begins as those of KenLM do. False for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_head(file: Bytes) -> Head:
    """Read the head.

    Raises:
        InputError: when it is no such file, one of another version or machine, or one without its words.
    """
    begun = file.raw[: len(_HEAD)].tobytes()
    if not begun.startswith(MAGIC):
        raise InputError(f"{file.path} is no binary of KenLM; give a file that build_binary wrote.")
    if begun != _HEAD:
        raise InputError(
            f"{file.path} is a binary of KenLM that is unfinished, or of another version or machine; build it again "
            "from its ARPA file, by KenLM's build_binary or mode-ssm lm import."
        )
    order, multiplier, kind, has_words, version = _SETTINGS.unpack(
        file.array(len(_HEAD), _SETTINGS.size, "|u1").tobytes()
    )
    if (
        kind >= len(KINDS)
        or version != (0 if kind < 2 else 1)
        or not 2 <= order <= _MOST_ORDER
        or not 1.0 <= multiplier < 1e3
    ):
        raise InputError(f"{file.path} has a head that is no version of KenLM's known here; give its ARPA file.")
    if not has_words:
        raise InputError(f"{file.path} was built without its words, which a search needs; build it with them.")
    start = len(_HEAD) + _SETTINGS.size
    counts = file.array(start, order, "<u8").tolist()
    return Head(kind, multiplier, tuple(counts), -(-(start + 8 * order) // 8) * 8)


def read_words(file: Bytes, start: int, count: int) -> tuple[str, ...]:
    """The words by number, which stand at the end of the file; those that are not UTF-8 are Latin-1.

    Raises:
        InputError: where they are not there.
    """
    found = file.raw[start:].tobytes().split(b"\0")
    if found[0] != b"<unk>" or len(found) != count + 1 or found[-1]:
        raise InputError(f"{file.path} does not have its {count} words at its end; copy or build it again.")
    return tuple(map(_text, found[:-1]))


def _text(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return word.decode("latin-1")
