"""Read what a picture shows: a trial with its alignment where a simulation left one, and a sample of a session."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.data.dataset import TrialEntry
from mode_ssm.data.file_index import trial_group
from mode_ssm.data.hdf5 import OpenFiles, open_file, reading
from mode_ssm.data.problems import MalformedError
from mode_ssm.data.sessions import SPLITS, file_name
from mode_ssm.data.trials import check_finite, read_features, read_record
from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels
from mode_ssm.simulation.files import TRUTH

FloatArray = NDArray[np.float32]
Alignment = NDArray[np.uint8]


class ShownTrial(NamedTuple):
    features: FloatArray  # (T, C)
    sentence: str | None
    labels: tuple[int, ...] | None  # where the trial has them
    alignment: Alignment | None  # (T,) the phoneme of every frame, where a simulation has written it


def check_session(session: str, sessions: Sequence[str], root: Path) -> None:
    """Raises: InputError, where the data root has no such session."""
    if session not in sessions:
        raise InputError(
            f"{root} has no session '{session}'; it has {len(sessions)}, from {sessions[0]} to {sessions[-1]}."
        )


def read_shown_trial(root: Path, sessions: Sequence[str], label_set: Labels, trial: str) -> ShownTrial:
    """Read the trial that is named as messages name it: t15.2023.08.13/val/trial_0007.

    Raises:
        InputError: on a trial that is not there or cannot be read.
    """
    session, split, group = _parts(trial)
    check_session(session, sessions, root)
    name = file_name(session, split)
    with _named(name, group), open_file(root / name) as file:
        if group not in file:
            raise InputError(
                f"{name} has no '{group}'; its first of {len(file)} entries is {next(iter(file), 'none')}."
            )
        record, labels = read_record(trial_group(file, group), session, label_set)
        features = read_features(file[group], record)
        check_finite(features)
    numbers = None if labels is None else tuple(labels.tolist())
    alignment = _read_alignment(root, session, split, group, len(features))
    return ShownTrial(features.numpy(), record.sentence, numbers, alignment)


def _parts(trial: str) -> tuple[str, str, str]:
    parts = trial.split("/")
    if len(parts) != 3 or parts[1] not in SPLITS or not parts[2]:
        raise InputError(
            f"trial={trial} names no trial; write session/split/group, such as t15.2023.08.13/val/trial_0007."
        )
    return parts[0], parts[1], parts[2]


def _read_alignment(root: Path, session: str, split: str, group: str, frames: int) -> Alignment | None:
    """(T,), or None where the session has no truth file, or that has no such trial."""
    name, place = f"{session}/{TRUTH}", f"{split}/{group}/alignment"
    if not (root / name).exists():
        return None
    with _named(name, f"{split}/{group}"), open_file(root / name) as file, reading("an alignment"):
        if place not in file:
            return None
        found = np.asarray(file[place])
        if found.dtype.kind not in "iu" or found.shape != (frames,) or not 0 <= found.min() <= found.max() < len(T15):
            raise MalformedError(f"has an alignment that is not the phonemes of {frames} frames", "Simulate it again.")
    return found.astype(np.uint8)


def read_sample(entries: Sequence[TrialEntry]) -> Iterator[FloatArray]:
    """The features of these trials, (T, C) each; bad ones are named on stderr and left out."""
    files = OpenFiles()
    for entry in entries:
        try:
            features = read_features(trial_group(files.get(entry.path), entry.key.group), entry.record)
            check_finite(features)
        except MalformedError as malformed:
            print(f"Leaving out: {malformed.problem(entry.file, entry.key.group)}", file=sys.stderr)
            continue
        yield features.numpy()
    files.close()


@contextmanager
def _named(file: str, trial: str | None) -> Iterator[None]:
    """Turn MalformedError into the sentence that names the file and trial."""
    try:
        yield
    except MalformedError as malformed:
        raise InputError(str(malformed.problem(file, trial))) from None
