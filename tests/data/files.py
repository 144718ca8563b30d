"""Write small HDF5 files in the T15 layout, by hand from its description and with nothing of the package's reader."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

PADDED_LABELS = 500


@dataclass
class FakeTrial:
    """A trial to write; labels=None leaves out all that a test file does not have."""

    features: np.ndarray = field(default_factory=lambda: np.zeros((40, 8), np.float32))  # (T, C)
    labels: Sequence[int] | None = (16, 3, 21, 25, 40)  # HH AH L OW |
    sentence: str = "Hello."
    block: int = 1
    number: int | None = None  # None: its place in the file


def make_trial(seed: int = 0, frames: int = 40, channels: int = 8, labels: int = 5) -> FakeTrial:
    """Noise, and labels without equal neighbours."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((frames, channels), dtype=np.float32)
    ids = [int(1 + (rng.integers(40) + 7 * place) % 40) for place in range(labels)]
    for place in range(1, labels):
        if ids[place] == ids[place - 1]:
            ids[place] = ids[place] % 40 + 1
    return FakeTrial(features, ids, f"sentence {seed}")


def write_session(
    root: Path, session: str, split: str, trials: Sequence[FakeTrial], *, compression: str | None = None
) -> Path:
    """Write <root>/<session>/data_<split>.hdf5; returns its path."""
    path = Path(root) / session / f"data_{split}.hdf5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for place, trial in enumerate(trials):
            write_trial(file, f"trial_{place:04d}", session, trial, place, compression)
    return path


def write_trial(
    file: h5py.File, name: str, session: str, trial: FakeTrial, place: int = 0, compression: str | None = None
) -> h5py.Group:
    group = file.create_group(name)
    group.create_dataset("input_features", data=trial.features, compression=compression)
    group.attrs["n_time_steps"] = len(trial.features)
    group.attrs["session"] = session
    group.attrs["block_num"] = trial.block
    group.attrs["trial_num"] = place if trial.number is None else trial.number
    if trial.labels is not None:
        codes = list(trial.sentence.encode("ascii", "replace"))
        group.create_dataset("seq_class_ids", data=_padded(trial.labels))
        group.create_dataset("transcription", data=_padded(codes))
        group.attrs["seq_len"] = len(trial.labels)
        group.attrs["sentence_label"] = trial.sentence
    return group


def _padded(values: Sequence[int]) -> np.ndarray:
    row = np.zeros(PADDED_LABELS, np.int32)
    row[: len(values)] = values
    return row
