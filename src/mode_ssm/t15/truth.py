"""truth.hdf5, which a simulation leaves beside the files of a session: what each frame of each trial is."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mode_ssm.index import MalformedError
from mode_ssm.labels import T15
from mode_ssm.t15.files import open_file, reading

TRUTH = "truth.hdf5"
Alignment = NDArray[np.uint8]


def read_alignment(session: Path, split: str, group: str, frames: int) -> Alignment | None:
    """(T,) the phoneme of every frame, or None where the session has no truth file, or that has no such trial.

    Raises:
        MalformedError: where it is there and cannot be read, or is not one of T15's classes a frame.
    """
    path, place = session / TRUTH, f"{split}/{group}/alignment"
    if not path.exists():
        return None
    with open_file(path) as file, reading("an alignment"):
        if place not in file:
            return None
        found = np.asarray(file[place])
        if found.dtype.kind not in "iu" or found.shape != (frames,) or not 0 <= found.min() <= found.max() < len(T15):
            raise MalformedError(f"has an alignment that is not the phonemes of {frames} frames", "Simulate it again.")
    return found.astype(np.uint8)
