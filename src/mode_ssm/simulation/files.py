"""The HDF5 files of a session: data_{train,val,test}.hdf5 as the T15 data set has them, and truth.hdf5 beside them."""

import os
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import NDArray

from mode_ssm.phonemes import PHONEMES
from mode_ssm.simulation.articulation import ARTICULATORS
from mode_ssm.simulation.labels import LABEL_SLOTS
from mode_ssm.simulation.population import Population
from mode_ssm.simulation.session import RecordedTrial

TRUTH = "truth.hdf5"


def _padded(values: list[int]) -> NDArray[np.int32]:
    row = np.zeros(LABEL_SLOTS, dtype=np.int32)
    row[: len(values)] = values
    return row


class SessionFiles:
    """Writes the trials of one session; every file gets its name only when all are complete, the truth last."""

    def __init__(self, folder: Path, population: Population) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, h5py.File] = {}
        self._written = {"train": 0, "val": 0, "test": 0}
        self._write_population(population)

    def __enter__(self) -> "SessionFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if error is None:
            for name in sorted(self._files, key=lambda name: name == TRUTH):
                os.replace(self.folder / f"{name}.part", self.folder / name)

    def add(self, recorded: RecordedTrial) -> h5py.Dataset:
        """Append a trial to the file of its split and to the truth; returns its features in the file."""
        trial = recorded.trial
        group_name = f"trial_{self._written[trial.split]:04d}"
        self._written[trial.split] += 1
        group = self._open(f"data_{trial.split}.hdf5").create_group(group_name)
        features = group.create_dataset("input_features", data=recorded.features)
        group.attrs["n_time_steps"] = len(recorded.features)
        group.attrs["session"] = self.folder.name
        group.attrs["block_num"] = trial.block
        group.attrs["trial_num"] = trial.number
        if trial.split != "test":
            _write_labels(group, recorded)
        truth = self._open(TRUTH).create_group(f"{trial.split}/{group_name}")
        truth.create_dataset("alignment", data=recorded.utterance.alignment)
        truth.attrs["mode"] = recorded.utterance.mode.name
        if trial.split == "test":
            _write_labels(truth, recorded)
        return features

    def _open(self, name: str) -> h5py.File:
        if name not in self._files:
            self._files[name] = h5py.File(self.folder / f"{name}.part", "w")
        return self._files[name]

    def _write_population(self, population: Population) -> None:
        group = self._open(TRUTH).create_group("population")
        group.attrs["columns"] = [*ARTICULATORS, *(f"{name} velocity" for name in ARTICULATORS)]
        group.attrs["classes"] = PHONEMES
        for name, value in population._asdict().items():
            group.create_dataset(name, data=value)


def _write_labels(group: h5py.Group, recorded: RecordedTrial) -> None:
    trial = recorded.trial
    group.create_dataset("seq_class_ids", data=_padded(list(trial.labels)))
    group.create_dataset("transcription", data=_padded([ord(c) for c in trial.sentence]))
    group.attrs["seq_len"] = len(trial.labels)
    group.attrs["sentence_label"] = trial.sentence
