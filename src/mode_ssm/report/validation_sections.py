"""The sections about validations: error rates, blanks and delay over time, by session, and by participant."""

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
HEALTHY = "Healthy: every row turns dark, and all about as fast. A row that stays light is"
TRIALS = "trials_by_participant"  # of a validation


class Rows(NamedTuple):
    """What a table of error rates has a row of."""

    kind: str
    order: str
    light: str  # what a row is that stays light


SESSIONS = Rows(
    "session", ", from the oldest", "a session that its own layer does not fit, or one with too few trials."
)
PARTICIPANTS = Rows("participant", "", "a participant whose map does not fit, or one with too few trials.")


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
        *_participants(run, unit),
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


def _participants(run: Run, unit: str) -> list[Section]:
    """Where there are several."""
    tables = [table for head in run.heads if (table := rate_table(run.validations, head, unit, PARTICIPANTS))]
    title = f"{unit.capitalize()} error rate by participant"
    return [Section("participants", title, tables, _trials_of(run.validations))] if tables else []


def _trials_of(validations: Sequence[LogLine]) -> str:
    counts: dict[str, int] = next((record[TRIALS] for record in reversed(validations) if record.get(TRIALS)), {})
    each = ", ".join(f"{who} {trials:,}" for who, trials in counts.items())
    return f"Labelled trials of the last validation: {each}." if each else ""


def _sessions(run: Run, unit: str) -> list[Block]:
    tables = [table for head in run.heads if (table := rate_table(run.validations, head, unit, SESSIONS))]
    return list(tables) or [Note("The validations have no rates by session.")]


class Cell(NamedTuple):
    level: int | None  # of the style sheet's colours; None = no rate
    text: str  # shown where the pointer rests


class RateRow(NamedTuple):
    name: str
    last: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class RateTable:
    template: ClassVar[str] = "rates.html"
    title: str
    kind: str  # of the rows: session or participant
    columns: Sequence[str]  # updates
    rows: Sequence[RateRow]
    levels: Sequence[str]  # what the colours mean
    healthy: str


def rate_table(validations: Sequence[LogLine], head: Term, unit: str, rows: Rows) -> RateTable | None:
    """None where no validation has such rates of this head."""
    key = f"per_{head.name}_by_{rows.kind}"
    found = [record for record in validations if record.get(key)]
    if not found:
        return None
    kept = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, COLUMNS).round().astype(int))]
    names = sorted({name for record in kept for name in record[key]}, key=by_date)
    return RateTable(
        title=f"{head.title}: {unit} error rate by {rows.kind} (%)",
        kind=rows.kind,
        columns=[f"{record['update']:,}" for record in kept],
        rows=[_row(name, kept, key) for name in names],
        levels=[
            f"below {LEVELS[0]}",
            *(f"{a}-{b}" for a, b in pairwise(LEVELS)),
            f"{LEVELS[-1]}+",
        ],
        healthy=f"One row a {rows.kind}{rows.order}; time runs to the right. {HEALTHY} {rows.light}",
    )


def by_date(session: str) -> tuple[str, str]:
    return session[-len("YYYY.MM.DD") :], session


def _row(name: str, validations: Sequence[LogLine], key: str) -> RateRow:
    cells = [_cell(name, record["update"], record[key].get(name)) for record in validations]
    last: Any = validations[-1][key].get(name)
    return RateRow(name, "" if last is None else f"{100 * last:.1f}", cells)


def _cell(name: str, update: int, rate: float | None) -> Cell:
    if rate is None:
        return Cell(None, f"{name}: none")
    return Cell(bisect_right(LEVELS, 100 * rate), f"{name}, update {update:,}: {100 * rate:.1f} %")
