"""HDF5 files of trials whose attributes, types and shapes are made of bytes, and their reading, for scripts/fuzz.py.

The bytes are a recipe: each chooses among what HDF5 can hold, so that nearly all inputs are whole files of odd content.
Files of damaged bytes are another matter: the package reads those in a process apart.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mode_ssm.batch import TrialKey
from mode_ssm.index import MalformedError
from mode_ssm.labels import T15
from mode_ssm.t15.files import open_file
from mode_ssm.t15.groups import read_features, read_record
from mode_ssm.t15.missed import gaps
from mode_ssm.t15.scan import scan_file

SESSION = "t15.2023.08.11"
NUMBERS = (0, 1, 2, 5, 40, 41, -1, 255, 2**31, 2**63 - 1)
NAMES = ("trial_0000", "trial_0001", "trial_1", "trial_9999999999", "trial_\u0663", "Trial_0002", "metadata")
KINDS = ("f4", "f2", "f8", ">f4", "i4", "u8", "i8", "c8", "S5", "?", "g", "O")
SHAPES: tuple[tuple[int, ...], ...] = ((20, 4), (4, 20), (5,), (0, 4), (20, 0), (), (1,), (2, 3, 4), (500,), (40, 4))
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Recipe:
    """Takes one choice after the other from bytes; where they end, the first of each."""

    def __init__(self, data: bytes) -> None:
        self._rest = iter(data)

    def number(self, below: int) -> int:
        return next(self._rest, 0) % below

    def of(self, choices: Any) -> Any:
        return choices[self.number(len(choices))]

    def text(self) -> bytes:
        return bytes(next(self._rest, 0) for _ in range(self.number(12)))


def write_recordings(path: Path, data: bytes) -> None:
    """Write the file that the bytes say; what HDF5 refuses is left out of it."""
    recipe = Recipe(data)
    with h5py.File(path, "w") as file:
        for _ in range(1 + recipe.number(3)):
            with suppress(*REFUSED):
                write_trial(file, recipe)


REFUSED = (ValueError, TypeError, OSError, RuntimeError, KeyError, OverflowError)  # h5py's, of what cannot be written


def write_trial(file: h5py.File, recipe: Recipe) -> None:
    """One group: sound where the recipe says nothing but zeros."""
    name = recipe.of(NAMES) if recipe.number(4) < 3 else b"trial_" + recipe.text()
    if recipe.number(10) == 9:
        file[name] = recipe.of((h5py.SoftLink("/gone"), h5py.ExternalLink("gone.h5", "/a"), np.zeros(3)))
        return
    group = file.create_group(name)
    sound: dict[str, Any] = {
        "n_time_steps": 20,
        "session": SESSION,
        "block_num": 1,
        "trial_num": 0,
        "seq_len": 5,
        "sentence_label": "Hello.",
    }
    for key, value in sound.items():
        with suppress(*REFUSED):
            write_attribute(group, key, value, recipe)
    labels, codes = np.zeros(500, np.int32), np.zeros(500, np.int32)
    labels[:5], codes[:6] = (16, 3, 21, 25, 40), [*b"Hello."]
    sets = {"input_features": np.ones((20, 4), np.float32), "seq_class_ids": labels, "transcription": codes}
    for key, values in sets.items():
        with suppress(*REFUSED):
            write_dataset(group, key, values, recipe)


def write_attribute(group: h5py.Group, key: str, value: Any, recipe: Recipe) -> None:
    """An attribute as it should be, or of another kind."""
    number = recipe.of(NUMBERS)
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: value,
        lambda: None,
        lambda: recipe.of(NUMBERS),
        lambda: np.float64(number) * recipe.of((1.0, 0.5, 1e300, np.nan, np.inf)),
        lambda: np.longdouble("1e4900"),
        lambda: np.array([value]),
        lambda: np.array([[number, number]]),
        lambda: np.zeros((0,), np.int64),
        lambda: h5py.Empty(recipe.of(("f4", "i8", "S3"))),
        lambda: recipe.text(),
        lambda: recipe.text().decode("utf-8", "surrogateescape"),
        lambda: np.array([recipe.text() or b"a"]),
        lambda: np.bool_(True),
        lambda: np.complex64(1j),
        lambda: np.array((1, 2.0), dtype=[("a", "i4"), ("b", "f4")]),
        lambda: group.file.ref,
        lambda: np.datetime64("2023-08-11").astype("i8"),
    )
    made = recipe.of(kinds)()
    if made is not None:
        group.attrs[key] = made


def write_dataset(group: h5py.Group, key: str, values: np.ndarray[Any, Any], recipe: Recipe) -> None:
    """A data set as it should be, or of another type, shape or layout."""
    way = recipe.number(8)
    if way == 0:
        group[key] = values
    elif way == 1:
        group[key] = np.resize(values, recipe.of(SHAPES)).astype(recipe.of(KINDS))
    elif way == 2:
        group.create_dataset(key, shape=recipe.of((*SHAPES, (2**40, 2), (90_000, 10_000))), dtype=recipe.of(KINDS[:8]))
    elif way == 3:
        group[key] = h5py.Empty(recipe.of(("f4", "i4", "S3")))
    elif way == 4:
        edited = values.copy()
        edited.flat[recipe.number(len(edited))] = recipe.of(NUMBERS[:8])
        group.create_dataset(key, data=edited, compression="gzip")
    elif way == 5:
        group.create_group(key)
    elif way == 6:
        group.create_dataset(key, data=[recipe.text(), b"b"], dtype=recipe.of(("S4", h5py.string_dtype())))


def read_recordings(data: bytes) -> None:
    """Index such a file, keep the index as JSON, and read what it says is sound."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / SESSION / "data_val.hdf5"
        path.parent.mkdir()
        write_recordings(path, data)
        try:
            found = scan_file(Path(folder), SESSION, "val", T15)
        except MalformedError:
            return
        json.dumps(asdict(found)).encode()
        [str(gap) for gap in gaps("a", found)]
        with open_file(path) as file:
            for record in found.records:
                assert read_record(file, record.group, SESSION, T15)[0] == record
                str(TrialKey(SESSION, "val", record.group, record.block, record.number))
                with suppress(MalformedError):
                    read_features(file, record)


RECORDINGS = [bytes(80), bytes([2, *range(79)]), bytes([1] * 80), bytes([0, 0, 0, 0, *([9, 1] * 30)])]
