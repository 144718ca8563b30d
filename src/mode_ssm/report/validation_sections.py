"""The sections about validations: error rates, blanks and delay over time, and error rates by session."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mode_ssm.report.page import Block, Note, Section
from mode_ssm.report.records import Run
from mode_ssm.report.run_charts import Missing, RunCharts, gathered, wants_log
from mode_ssm.training.history import LogLine
from mode_ssm.training.terms import Term

NOT_VALIDATED = "No validation was recorded: the data have no val split, or the first epoch has not ended."
LEVELS = (1, 2, 5, 10, 20, 30, 40, 60, 80)  # per cent; the colours change here
COLUMNS = 36  # validations shown


def validation_sections(run: Run, unit: str) -> list[Section]:
    """`unit` is what a label is called."""
    title = f"{unit.capitalize()} error rate"
    if not run.validations:
        notes = [Note(NOT_VALIDATED)]
        return [
            Section("rates", title, notes),
            Section("sessions", f"{title} by session", notes),
        ]
    return [
        Section("rates", title, gathered(_rates(RunCharts(run), title))),
        Section("sessions", f"{title} by session", _sessions(run, unit)),
    ]


def _rates(charts: RunCharts, title: str) -> list[Block | Missing]:
    run = charts.run
    rates = charts.by_head(run.error_rates)
    log = wants_log(rates)
    return [
        charts.figure(
            f"{title}, validation",
            rates,
            "Healthy: all heads fall to the end; one that begins in a later stage starts near 100 % and meets the "
            "others within some epochs. A rate that rises while the loss falls is over-fitting.",
            unit="%",
            log=log,
            floor=None if log else 0.0,
        ),
        charts.figure(
            "Blank probability, validation",
            charts.by_head(lambda head: run.series(f"blank_{head.name}", "validation")),
            "Healthy: rises in the first updates, since blank is learnt first, then settles well below 1. A head that "
            "stays at 1 has learnt to say nothing.",
            unit="mean over frames",
            floor=0.0,
        ),
        *charts.measured("rates"),
        *(
            Note(f"{term.title} has no head to decode, so it is not validated.")
            for term in run.terms
            if not term.validated
        ),
    ]


def _sessions(run: Run, unit: str) -> list[Block]:
    tables = [table for head in run.heads if (table := session_table(run.validations, head, unit))]
    return list(tables) or [Note("The validations have no rates by session.")]


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


def session_table(validations: Sequence[LogLine], head: Term, unit: str) -> SessionTable | None:
    """None where no validation has rates of this head by session."""
    key = f"per_{head.name}_by_session"
    found = [record for record in validations if record.get(key)]
    if not found:
        return None
    kept = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, COLUMNS).round().astype(int))]
    sessions = sorted({session for record in kept for session in record[key]}, key=by_date)
    return SessionTable(
        title=f"{head.title}: {unit} error rate by session (%)",
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


def _row(session: str, validations: Sequence[LogLine], key: str) -> SessionRow:
    cells = [_cell(session, record["update"], record[key].get(session)) for record in validations]
    last: Any = validations[-1][key].get(session)
    return SessionRow(session, "" if last is None else f"{100 * last:.1f}", cells)


def _cell(session: str, update: int, rate: float | None) -> Cell:
    if rate is None:
        return Cell(None, f"{session}: none")
    return Cell(bisect_right(LEVELS, 100 * rate), f"{session}, update {update:,}: {100 * rate:.1f} %")
