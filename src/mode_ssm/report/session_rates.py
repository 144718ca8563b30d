"""Phoneme error rates by session over time, as a table of coloured cells."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mode_ssm.config import Decoder
from mode_ssm.report.records import HEAD_NAMES, Record

LEVELS = (1, 2, 5, 10, 20, 30, 40, 60, 80)  # per cent; the colours change here
COLUMNS = 36  # validations shown


class Cell(NamedTuple):
    level: int | None  # of the style sheet's colours; None = no rate
    text: str  # shown where the pointer rests


class SessionRow(NamedTuple):
    session: str
    last: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class SessionTable:
    template: ClassVar[str] = "sessions.html"
    title: str
    columns: Sequence[str]  # updates
    rows: Sequence[SessionRow]
    levels: Sequence[str]  # what the colours mean
    healthy: str


def session_table(validations: Sequence[Record], head: Decoder) -> SessionTable | None:
    """None where no validation has rates of this head by session."""
    key = f"per_{head.value}_by_session"
    found = [record for record in validations if record.get(key)]
    if not found:
        return None
    kept = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, COLUMNS).round().astype(int))]
    sessions = sorted({session for record in kept for session in record[key]}, key=by_date)
    return SessionTable(
        title=f"{HEAD_NAMES[head]}: phoneme error rate by session (%)",
        columns=[f"{record['update']:,}" for record in kept],
        rows=[_row(session, kept, key) for session in sessions],
        levels=[
            f"below {LEVELS[0]}",
            *(f"{a}-{b}" for a, b in pairwise(LEVELS)),
            f"{LEVELS[-1]}+",
        ],
        healthy=(
            "One row a session, from the oldest; time runs to the right. Healthy: every row turns dark, and all about "
            "as fast. A row that stays light is a session that its own layer does not fit, or one with too few trials."
        ),
    )


def by_date(session: str) -> tuple[str, str]:
    return session[-len("YYYY.MM.DD") :], session


def _row(session: str, validations: Sequence[Record], key: str) -> SessionRow:
    cells = [_cell(session, record["update"], record[key].get(session)) for record in validations]
    last: Any = validations[-1][key].get(session)
    return SessionRow(session, "" if last is None else f"{100 * last:.1f}", cells)


def _cell(session: str, update: int, rate: float | None) -> Cell:
    if rate is None:
        return Cell(None, f"{session}: none")
    return Cell(bisect_right(LEVELS, 100 * rate), f"{session}, update {update:,}: {100 * rate:.1f} %")
