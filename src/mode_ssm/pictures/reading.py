"""Read what a picture shows: a trial with its alignment where a simulation left one, and a sample of a session."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.data import Source, TrialEntry
from mode_ssm.data.dataset import read_trial
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import SPLITS
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError
from mode_ssm.t15.truth import TRUTH, Alignment, read_alignment

FloatArray = NDArray[np.float32]


class ShownTrial(NamedTuple):
    features: FloatArray  # (T, C)
    sentence: str | None
    labels: tuple[int, ...] | None  # where the trial has them
    alignment: Alignment | None  # (T,) the phoneme of every frame, where a simulation has written it


def check_session(session: str, source: Source, root: Path) -> None:
    """Raises: InputError, where the data root has no such session."""
    if session not in source.sessions:
        first, *_, last = source.sessions * 2
        raise InputError(f"{root} has no session '{session}'; it has {len(source.sessions)}, from {first} to {last}.")


def read_shown_trial(source: Source, root: Path, trial: str) -> ShownTrial:
    """Read the trial that is named as messages name it: t15.2023.08.13/val/trial_0007.

    Raises:
        InputError: on a trial that is not there or cannot be read.
    """
    session, split, group = _parts(trial)
    check_session(session, source, root)
    entry = _find(source, session, split, group)
    with _named(entry.file, group):
        read = read_trial(source, entry)
    with _named(f"{session}/{TRUTH}", f"{split}/{group}"):
        alignment = read_alignment(root / session, split, group, len(read.features))
    numbers = None if read.labels is None else tuple(read.labels.tolist())
    return ShownTrial(read.features.numpy(), read.sentence, numbers, alignment)


def _find(source: Source, session: str, split: str, group: str) -> TrialEntry:
    """Raises: InputError, on a trial that is not there, or bad."""
    index = source.index(split, [session])
    file = source.file(session, split)
    if index.absent:
        raise InputError(f"{file} is absent, so it has no '{group}'; name a trial of another split or session.")
    entries = {entry.key.group: entry for entry in split_entries(source, index, split)}
    if group in entries:
        return entries[group]
    for problem in index.problems:
        if problem.trial in (None, group):
            raise InputError(str(problem))
    raise InputError(f"{file} has no '{group}'; its first of {len(entries)} trials is {next(iter(entries), 'none')}.")


def _parts(trial: str) -> tuple[str, str, str]:
    parts = trial.split("/")
    if len(parts) != 3 or parts[1] not in SPLITS or not parts[2]:
        raise InputError(
            f"trial={trial} names no trial; write session/split/group, such as t15.2023.08.13/val/trial_0007."
        )
    return parts[0], parts[1], parts[2]


def read_sample(source: Source, entries: Sequence[TrialEntry]) -> Iterator[FloatArray]:
    """The features of these trials, (T, C) each; bad ones are named on stderr and left out."""
    for entry in entries:
        try:
            trial = read_trial(source, entry)
        except MalformedError as malformed:
            print(f"Leaving out: {malformed.problem(entry.file, entry.key.group)}", file=sys.stderr)
            continue
        yield trial.features.numpy()


@contextmanager
def _named(file: str, trial: str | None) -> Iterator[None]:
    """Turn MalformedError into the sentence that names the file and trial."""
    try:
        yield
    except MalformedError as malformed:
        raise InputError(str(malformed.problem(file, trial))) from None
