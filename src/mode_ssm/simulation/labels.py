"""Real sentences for simulated recordings: a table of trials with their session, block and phonemes."""

import csv
import datetime as dt
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mode_ssm.errors import InputError
from mode_ssm.files import BROKEN_TEXT
from mode_ssm.labels import T15
from mode_ssm.t15.writing import LABEL_SLOTS

COLUMNS = ("session", "split", "block", "trial", "phonemes", "sentence")

_SESSION = re.compile(r"\w+\.\d{4}\.\d{2}\.\d{2}")


@dataclass(frozen=True)
class PlannedTrial:
    """A trial before it is recorded."""

    split: str  # train, val or test
    block: int
    number: int
    sentence: str
    labels: tuple[int, ...]
    corpus: str | None = None  # of the sentences that come with the package


def session_day(name: str) -> int:
    """Days since the calendar's beginning.

    Raises:
        InputError: on a date that is not in the calendar.
    """
    try:
        return dt.date(*map(int, name.split(".")[1:])).toordinal()
    except ValueError as error:
        raise InputError(f"The session {name} has no date of the calendar ({error}); write t15.YYYY.MM.DD.") from error


def check_trial(trial: PlannedTrial) -> None:
    """
    Raises:
        InputError: on a sentence that the layout cannot hold.
    """
    if not trial.labels or trial.labels[-1] != T15.boundary:
        raise InputError(f"'{trial.sentence}' has phonemes that do not end with |; write | after every word.")
    if max(len(trial.labels), len(trial.sentence)) > LABEL_SLOTS:
        raise InputError(
            f"'{trial.sentence[:40]}...' is longer than the {LABEL_SLOTS} values a trial can hold; shorten it."
        )


def read_labels(path: Path) -> dict[str, list[PlannedTrial]]:
    """The trials of every session, from a CSV file, gzip-compressed or not, with the columns session, split, block,
    trial, phonemes and sentence.

    Raises:
        InputError: naming the line, on a file or a row that cannot be read.
    """
    sessions: dict[str, list[PlannedTrial]] = {}
    seen: set[tuple[str, str, int, int]] = set()
    for number, row in _rows(path):
        try:
            session, trial = _read_row(row)
        except (InputError, ValueError) as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        place = (session, trial.split, trial.block, trial.number)
        if place in seen:
            raise InputError(
                f"{path}, line {number}: {session} has {trial.split} block {trial.block} trial {trial.number} twice."
            )
        seen.add(place)
        sessions.setdefault(session, []).append(trial)
    if not sessions:
        raise InputError(f"{path} holds no trials; it needs one a line below its header.")
    return dict(sorted(sessions.items(), key=lambda item: item[0].split(".")[1:]))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and row."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}.")
            for row in reader:
                yield reader.line_num, row
    except BROKEN_TEXT as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The labels {path} cannot be read ({reason}); give a CSV file, plain or gzipped.") from error


def _read_row(row: dict[str, str]) -> tuple[str, PlannedTrial]:
    if any(row[column] is None for column in COLUMNS):
        raise InputError(f"the row has too few values; it needs {', '.join(COLUMNS)}.")
    if not _SESSION.fullmatch(row["session"]):
        raise InputError(f"'{row['session']}' is not a session such as t15.2023.08.11.")
    session_day(row["session"])
    if row["split"] not in ("train", "val", "test"):
        raise InputError(f"'{row['split']}' is not a split; write train, val or test.")
    labels = tuple(T15.ids(row["phonemes"]))
    trial = PlannedTrial(row["split"], _count(row["block"]), _count(row["trial"]), row["sentence"], labels)
    check_trial(trial)
    return row["session"], trial


def _count(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"'{text}' is not a number of a block or trial; write 0, 1, 2, ...")
    return int(text)
