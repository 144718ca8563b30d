"""Write the files of a session: data_{train,val,test}.hdf5 as the T15 data set has them, and truth.hdf5 beside them."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from mode_ssm.t15.sessions import split_file
from mode_ssm.t15.truth import TRUTH, Alignment

LABEL_SLOTS = 500  # the data set's room for labels, and for the letters of a sentence
Features = NDArray[np.float32]


class Place(NamedTuple):
    """A trial that has been written."""

    split: str
    group: str


class Said(NamedTuple):
    """What is known of it: a recording may have sentences alone, or labels alone."""

    labels: Sequence[int] | None
    sentence: str | None


class SessionWriter:
    """Writes the trials of one session; every file gets its name only when all are complete, the truth last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, h5py.File] = {}
        self._written = {"train": 0, "val": 0, "test": 0}

    def __enter__(self) -> "SessionWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if error is None:
            for name in sorted(self._files, key=lambda name: name == TRUTH):
                os.replace(self.folder / f"{name}.part", self.folder / name)

    def add(
        self, split: str, features: Features, block: int, number: int, said: Said | None, name: str | None = None
    ) -> Place:
        """Append a trial to the file of its split; `number` is its trial_num within the block.

        Args:
            name: of its group, trial_NNNN; by its place in the file unless given.
        """
        place = Place(split, name or f"trial_{self._written[split]:04d}")
        self._written[split] += 1
        group = self._open(split_file(split)).create_group(place.group)
        group.create_dataset("input_features", data=features)
        group.attrs["n_time_steps"] = len(features)
        group.attrs["session"] = self.folder.name
        group.attrs["block_num"] = block
        group.attrs["trial_num"] = number
        if said is not None:
            _write_labels(group, said)
        return place

    def change_features(self, place: Place, change: Callable[[Features], object]) -> None:
        """Read a written trial's features (T, C), let `change` work on them in place, and write them back."""
        dataset = self._open(split_file(place.split))[place.group]["input_features"]
        features = dataset[:]
        change(features)
        dataset[:] = features

    def add_truth(self, place: Place, alignment: Alignment, mode: str, said: Said | None) -> None:
        """What each frame is (T,), how it was spoken, and what was said where the trial's own file does not tell."""
        truth = self._open(TRUTH).create_group("/".join(place))
        truth.create_dataset("alignment", data=alignment)
        truth.attrs["mode"] = mode
        if said is not None:
            _write_labels(truth, said)

    def add_arrays(self, name: str, attributes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """A group of the truth that is of the whole session."""
        group = self._open(TRUTH).create_group(name)
        for key, value in attributes.items():
            group.attrs[key] = value
        for key, array in arrays.items():
            group.create_dataset(key, data=array)

    def _open(self, name: str) -> h5py.File:
        if name not in self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._files[name] = h5py.File(self.folder / f"{name}.part", "w")
        return self._files[name]


def _write_labels(group: h5py.Group, said: Said) -> None:
    """`transcription` is for ASCII alone."""
    if said.labels is not None:
        group.create_dataset("seq_class_ids", data=_padded(said.labels))
    if said.sentence is not None and said.sentence.isascii():
        group.create_dataset("transcription", data=_padded([ord(c) for c in said.sentence]))
    if said.labels is not None:
        group.attrs["seq_len"] = len(said.labels)
    if said.sentence is not None:
        group.attrs["sentence_label"] = said.sentence


def _padded(values: Sequence[int]) -> NDArray[np.int32]:
    row = np.zeros(max(LABEL_SLOTS, len(values)), dtype=np.int32)
    row[: len(values)] = values
    return row
