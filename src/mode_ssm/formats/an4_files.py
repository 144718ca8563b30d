"""The files of CMU's AN4 data base, from its public archive or an unpacked folder, and the samples of one recording.

an4/etc/an4_train.fileids, an4_train.transcription and an4.dic, and an4/wav/<file id>.raw (big-endian 16-bit samples at
16 kHz) or .sph (NIST Sphere: a header of lines, and samples).
"""

import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import MAX_FRAMES
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.mfcc import RATE, STEP
from mode_ssm.formats.roots import FILES
from mode_ssm.index import MalformedError, Remedy
from mode_ssm.t15.files import COPY_AGAIN
from mode_ssm.t15.sessions import listed

IDS, TRANSCRIPTION, DICTIONARY = "an4_train.fileids", "an4_train.transcription", "an4.dic"
TEST_IDS = "an4_test.fileids"
AUDIO = (".raw", ".sph")
AGAIN = Remedy("Unpack the archive again", "take its line out of an4_train.fileids")
_MOST_BYTES = MAX_FRAMES * STEP * 2
_BROKEN = (OSError, EOFError, tarfile.TarError, zlib.error)
_SPHERE = b"NIST_1A\n"


class An4Files(NamedTuple):
    """Where they are. `at` is the archive, or the folder an4 itself."""

    at: Path

    @property
    def stamped(self) -> Path:
        """The file whose change means that the recordings have changed."""
        return self.at if self.at.is_file() else self.at / "etc" / IDS

    def texts(self) -> dict[str, str]:
        """The files of etc that are read, by name.

        Raises:
            InputError: where the archive cannot be read.
        """
        wanted = {f"etc/{name}" for name in (IDS, TRANSCRIPTION, DICTIONARY, TEST_IDS)}
        try:
            return {name[len("etc/") :]: text.decode("utf-8", "replace") for name, text in self._files(wanted)}
        except _BROKEN as error:
            reason = printable(str(error) or type(error).__name__)
            raise InputError(
                f"{self.at} cannot be read ({reason}); give an4_raw.bigendian.tar.gz, an4_sphere.tar.gz or the folder "
                "an4 that they unpack to."
            ) from None

    def audio(self, ids: Collection[str]) -> Iterator[tuple[str, bytes, str]]:
        """File id, content and suffix of those that are there, in the order of the archive.

        Raises:
            MalformedError: where the archive, or a file, cannot be read.
        """
        wanted = {f"wav/{name}{suffix}": (name, suffix) for name in ids for suffix in AUDIO}
        try:
            for file, content in self._files(wanted):
                name, suffix = wanted[file]
                yield name, content, suffix
        except _BROKEN as error:
            reason = printable(str(error) or type(error).__name__)
            raise MalformedError(f"cannot be read ({reason})", COPY_AGAIN) from None

    def _files(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Of the archive in one pass, whatever it has above etc and wav."""
        if not self.at.is_file():
            for name in wanted:
                if (self.at / name).is_file():
                    with (self.at / name).open("rb") as file:
                        yield name, file.read(_MOST_BYTES + 1)
            return
        with tarfile.open(self.at, "r|*") as archive:
            for member in archive:
                name = _below_an4(member.name)
                stream = archive.extractfile(member) if member.isfile() and name in wanted else None
                if stream is not None:
                    yield name, stream.read(_MOST_BYTES + 1)


def find_an4(data_root: str) -> An4Files:
    """
    Raises:
        InputError: where there is no such file or folder, or it is the archive that is not read.
    """
    root = Path(data_root)
    if "littleendian" in root.name:
        raise InputError(f"{root} holds little-endian samples; give an4_raw.bigendian.tar.gz or an4_sphere.tar.gz.")
    if root.is_file():
        return An4Files(root)
    names = {path.name for path in listed(root, FILES)}
    return An4Files(root / "an4" if "an4" in names and "etc" not in names else root)


def samples_of(content: bytes, suffix: str) -> NDArray[np.int16]:
    """(N,) at 16 kHz.

    Raises:
        MalformedError: where the file holds something else.
    """
    if len(content) > _MOST_BYTES:
        raise MalformedError("holds more than 30 minutes of audio", AGAIN)
    kind = ">i2"
    if suffix == ".sph":
        content, kind = _sphere(content)
    if len(content) % 2 or not content:
        raise MalformedError(f"has {len(content)} bytes of audio, needed are 16-bit samples", AGAIN)
    samples = np.frombuffer(content, kind)
    if _roughness(samples) > 4 * _roughness(samples.byteswap()):
        raise MalformedError("has samples that seem to be little-endian", Remedy("Swap their bytes", AGAIN.removal))
    return samples.astype(np.int16)


def _below_an4(name: str) -> str:
    """
    >>> _below_an4("./an4/wav/an4_clstk/fash/an251-fash-b.raw"), _below_an4("an4/README")
    ('wav/an4_clstk/fash/an251-fash-b.raw', '')
    """
    parts = name.split("/")
    starts = [place for place, part in enumerate(parts) if part in ("etc", "wav")]
    return "/".join(parts[starts[0] :]) if starts else ""


def _sphere(content: bytes) -> tuple[bytes, str]:
    """The samples, and their type.

    Raises:
        MalformedError: where the header is another one, or the samples are fewer than it says.
    """
    lines = content[:1024].split(b"\n")
    if not content.startswith(_SPHERE) or not lines[1].strip().isdigit():
        raise MalformedError("has no NIST Sphere header", AGAIN)
    header = int(lines[1])
    rows = [line.decode("latin-1").split(None, 2) for line in content[:header].split(b"\n")[2:]]
    found = {row[0]: row[2].strip() for row in rows if len(row) == 3}
    needed = {"sample_rate": str(RATE), "sample_n_bytes": "2", "channel_count": "1", "sample_coding": "pcm"}
    for name, value in needed.items():
        if found.get(name, value) != value:
            raise MalformedError(f"has {name}={printable(found[name], 40)}, needed is {value}", AGAIN)
    order = {"10": ">i2", "01": "<i2"}.get(found.get("sample_byte_format", ""))
    count = found.get("sample_count", "")
    if order is None or not count.isdecimal() or int(count[:12]) > _MOST_BYTES:
        raise MalformedError("has a Sphere header without sample_byte_format 10 or 01, or sample_count", AGAIN)
    samples = content[header : header + 2 * int(count)]
    if len(samples) < 2 * int(count):
        raise MalformedError(f"has {len(samples) // 2} samples, of {int(count)} that its header says", AGAIN)
    return samples, order


def _roughness(samples: NDArray[np.int16]) -> float:
    """Speech is smooth; its bytes turned round are noise."""
    return float(np.abs(np.diff(samples.astype(np.int64))).sum())
