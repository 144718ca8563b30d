"""The data root that a simulation is written to: whose it is, what is there already, how much room is left."""

import csv
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.simulation.plan import PlannedSession
from mode_ssm.simulation.presets import Preset
from mode_ssm.simulation.session import time_trial

T15 = "t15"
MARK = "simulation.json"  # settings and design of what is being written there
BLOCK_LIST = "description.csv"  # in the form of the T15 data set's own block list

_TRIAL_BYTES = 9_000  # labels, attributes and the truth of one trial
_SESSION_BYTES = 200_000  # the truth's tuning


def describe(config: SimulateConfig, preset: Preset, sessions: Sequence[PlannedSession]) -> str:
    """All that determines the files, as JSON."""
    settings = {name: value for name, value in asdict(config).items() if name not in ("out", "workers", "participants")}
    trials = hashlib.sha256(repr(sessions).encode()).hexdigest()
    design = {"speech": asdict(preset.speech), "electrodes": asdict(preset.electrodes)}
    if preset.participant != T15:
        design |= {"participant": {"name": preset.participant, **asdict(preset.implant)}}
    return json.dumps({"settings": settings, "sha256 of the trials": trials, **design}, indent=2) + "\n"


def check_folder(out: Path, description: str) -> None:
    """
    Raises:
        InputError: where the folder holds anything but the beginning of the same simulation.
    """
    mark = out / MARK
    if mark.is_file():
        if mark.read_text(encoding="utf-8") != description:
            raise InputError(f"{out} holds another simulation (its settings are in {MARK}); set out to another folder.")
    elif out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; set out to a new or empty folder.")
    elif out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} holds something that is no simulation; set out to a new or empty folder.")


def needed_bytes(sessions: Sequence[PlannedSession], preset: Preset, seed: int) -> int:
    """What the files of these sessions will take: every trial is timed, none is simulated."""
    trials = [(session, trial) for session in sessions for trial in session.trials]
    frames = sum(time_trial(session, trial, preset.speech, seed).total_frames for session, trial in trials)
    return frames * (4 * preset.implant.channels + 1) + _TRIAL_BYTES * len(trials) + _SESSION_BYTES * len(sessions)


def check_disk(out: Path, needed: int) -> None:
    """
    Raises:
        InputError: where the file system has too little room.
    """
    parent = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        room = f"{out} has {free / 1e9:.2f} GB free"
        raise InputError(f"The data take {needed / 1e9:.2f} GB but {room}; free some or set max_sessions.")


def claim(out: Path, description: str, sessions: Sequence[PlannedSession]) -> None:
    """Mark the folder, and list the blocks where the corpus of each is known.

    Raises:
        InputError: where the folder cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).write_text(description, encoding="utf-8")
        rows = _block_rows(sessions)
        if rows:
            with open(out / BLOCK_LIST, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("Date", "Block number", "Number of sentences", "Corpus", "Split"))
                writer.writerows(rows)
    except OSError as error:
        raise InputError(f"{out} cannot be written to ({error.strerror}); set out to another folder.") from error


def _block_rows(sessions: Sequence[PlannedSession]) -> list[tuple[str, int, int, str, str]]:
    """Date, block, trials, corpus and split of every block, or nothing where a corpus is not known."""
    blocks: dict[tuple[str, int], list[str]] = {}
    corpora: dict[tuple[str, int], str] = {}
    for session in sessions:
        date = "-".join(session.name.split(".")[1:])
        for trial in session.trials:
            if trial.corpus is None:
                return []
            blocks.setdefault((date, trial.block), []).append(trial.split)
            corpora[date, trial.block] = trial.corpus
    return [
        (date, block, len(splits), corpora[date, block], "Train" if splits[0] == "train" else "Val/Test")
        for (date, block), splits in blocks.items()
    ]
