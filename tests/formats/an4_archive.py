"""A small AN4 archive, as the public one is described: etc/ and wav/, raw big-endian samples or NIST Sphere."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

DICTIONARY = """A  AH
A(2)  EY
B  B IY
ENTER  EH N ER
GO  G OW
NINE  N AY N
YES  Y EH S
"""
SENTENCES = ("YES", "ENTER NINE", "GO", "A B", "YES A")


def audio(seed: int, samples: int) -> np.ndarray:
    """Voiced sound of a changing pitch, and noise."""
    random, time = np.random.default_rng(seed), np.arange(samples) / 16_000
    tone = np.sin(2 * np.pi * (100 + seed) * time * (1 + 0.1 * time)) ** 3
    return np.round(6000 * tone + 100 * random.standard_normal(samples)).astype(np.int16)


def sphere(samples: np.ndarray, order: str = "10", **changed: str) -> bytes:
    fields = {
        "sample_count": f"-i {len(samples)}",
        "sample_n_bytes": "-i 2",
        "channel_count": "-i 1",
        "sample_byte_format": f"-s2 {order}",
        "sample_rate": "-i 16000",
        "sample_coding": "-s3 pcm",
    } | changed
    head = "NIST_1A\n   1024\n" + "".join(f"{name} {value}\n" for name, value in fields.items()) + "end_head\n"
    return head.encode().ljust(1024) + samples.astype(">i2" if order == "10" else "<i2").tobytes()


def contents(speakers: Mapping[str, int], suffix: str = ".raw") -> dict[str, bytes]:
    """Files by name, of so many utterances of each speaker, 0.5 s and longer; and a test part."""
    ids, lines, files = [], [], {}
    for speaker, count in speakers.items():
        for place in range(count):
            name, seed = f"an{200 + place}-{speaker}-b", len(ids)
            samples = audio(seed, 8000 + 1600 * (seed % 7))
            ids.append(f"an4_clstk/{speaker}/{name}")
            lines.append(f"<s> {SENTENCES[seed % len(SENTENCES)]} </s> ({name})")
            content = samples.astype(">i2").tobytes() if suffix == ".raw" else sphere(samples)
            files[f"wav/{ids[-1]}{suffix}"] = content
    texts = {"an4_train.fileids": "\n".join(ids) + "\n", "an4_train.transcription": "\n".join(lines) + "\n"}
    texts |= {"an4.dic": DICTIONARY, "an4_test.fileids": "an4test_clstk/fcaw/an406-fcaw-b\n"}
    return {f"etc/{name}": text.encode() for name, text in texts.items()} | files


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    """The folder an4 below the root."""
    for name, content in files.items():
        path = root / "an4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root / "an4"


def write_archive(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"an4/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
