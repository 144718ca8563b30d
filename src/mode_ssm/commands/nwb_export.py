"""Recordings of any source as a folder of NWB files, which other programs read, and ours by data.source=nwb."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import numpy as np
import yaml
from rich.console import Console

from mode_ssm.config import BadTrial, DataConfig
from mode_ssm.data import Problem, Source, TrialEntry, open_source
from mode_ssm.data.dataset import bad_trial, read_trial
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import SPLITS
from mode_ssm.errors import InputError
from mode_ssm.formats.nwb_file import need_pynwb
from mode_ssm.formats.nwb_writing import SessionTrial, write_session
from mode_ssm.index import MalformedError, Reason
from mode_ssm.labels import LABELS_FILE
from mode_ssm.recognition.network import not_read


def export_recordings(data: DataConfig, out: Path) -> None:
    """Write <session>.nwb of each session, and labels.yaml; the folder is there when all are complete.

    Bad trials are named on stderr, counted and left out.

    Raises:
        InputError: when the recordings cannot be read, a trial is bad and on_bad_trial=error, or the folder cannot be
            written or holds something already.
    """
    need_pynwb()
    source = open_source(data)
    problems, entries = _indexed(source, data)
    with _new_folder(out) as folder:
        (folder / LABELS_FILE).write_text(yaml.safe_dump(source.labels.as_dict(), allow_unicode=True), encoding="utf-8")
        written = dict.fromkeys(source.sessions, 0)
        for session in source.sessions:
            own = [entry for entry in entries if entry.key.session == session]
            if own:
                written[session] = _write(source, session, own, problems, folder / f"{session}.nwb")
        if not any(written.values()):
            raise InputError(f"{data.words} has no trial that can be written; the first problem: {problems[0]}")
    trials = f"{sum(written.values())} of {len(entries) + problems.indexed} trials"
    files = sum(problem.trial is None for problem in problems)
    more = f"; {files} files could not be read" if files else ""
    print(f"Written: {trials}, {sum(map(bool, written.values()))} of {len(written)} sessions, in {out}{more}")


class _Problems(list[Problem]):
    """Those found, each named as it is; of `indexed` trials on indexing.

    Raises:
        InputError: for the first, where on_bad_trial=error.
    """

    def __init__(self, on_bad_trial: BadTrial) -> None:
        super().__init__()
        self._on_bad_trial, self.indexed = on_bad_trial, 0
        self._stderr = Console(stderr=True, soft_wrap=True)

    def tell(self, problem: Problem) -> None:
        if self._on_bad_trial is BadTrial.error:
            raise InputError(str(problem))
        self._stderr.print(f"Leaving out: {problem}", markup=False)
        self.append(problem)


def _indexed(source: Source, data: DataConfig) -> tuple[_Problems, list[TrialEntry]]:
    """What is wrong on indexing, and the sound trials of all splits."""
    problems, entries, seen = _Problems(data.on_bad_trial), [], set[str]()
    for split in SPLITS:
        index = source.index(split, source.sessions)
        entries += split_entries(source, index, split)
        for problem in index.problems:
            if str(problem) not in seen:  # a file for several splits has one
                problems.tell(problem)
                seen.add(str(problem))
                problems.indexed += problem.trial is not None
    if index.unread:
        Console(stderr=True, soft_wrap=True).print(not_read(index.unread), markup=False)
    if not entries and not problems:
        raise InputError(f"{data.words} has no trial in any split; name the root that holds the recordings.")
    return problems, entries


def _write(source: Source, session: str, entries: Sequence[TrialEntry], problems: _Problems, path: Path) -> int:
    """One session's file; how many trials it has."""
    channels = Counter(entry.record.channels for entry in entries).most_common(1)[0][0]
    values = np.empty((sum(entry.frames for entry in entries), channels), dtype=np.float32)
    trials: list[SessionTrial] = []
    for entry in entries:
        start = trials[-1].end if trials else 0
        try:
            _check_writable(entry, channels)
            trial = read_trial(source, entry)
        except MalformedError as malformed:
            problems.tell(bad_trial(source, entry, malformed))
            continue
        key, labels = entry.key, None if trial.labels is None else trial.labels.tolist()
        values[start : start + entry.frames] = trial.features.numpy()
        trials.append(
            SessionTrial(start, start + entry.frames, key.split, key.block, key.number, entry.sentence, labels)
        )
    if trials:
        write_session(path, session, values[: trials[-1].end], trials)
    return len(trials)


def _check_writable(entry: TrialEntry, channels: int) -> None:
    """Raises: MalformedError, where a file of the session cannot hold the trial."""
    if entry.record.channels != channels:
        what = f"has {entry.record.channels} feature channels, and most of its session {channels}"
        raise MalformedError(what, "Bring it in a session of its own.", Reason.channels)
    if "\0" in (entry.sentence or ""):
        raise MalformedError("has a sentence with a character of code 0, which ends a text", "Write it without.")


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place at the end, or goes away.

    Raises:
        InputError: where something is there already, or it cannot be written.
    """
    if (out.exists() and not out.is_dir()) or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"{out} holds something already; give a new or empty folder as out.")
    beside = out.absolute().with_name(f".new.{out.absolute().name}")
    rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        yield beside
        if out.is_dir():
            out.rmdir()
        beside.replace(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror or error}); give another out=FOLDER.") from None
    finally:
        rmtree(beside, ignore_errors=True)
