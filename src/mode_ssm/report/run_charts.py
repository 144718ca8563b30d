"""Charts of one run with its stages marked; what a run did not record is said in words."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.report.chart import Line, LineChart
from mode_ssm.report.curves import Curve, as_they_are, shorten
from mode_ssm.report.page import Block, Figure, Note, chart_figure
from mode_ssm.report.records import Floats, Run, Series
from mode_ssm.training.terms import Measured, Term

FLAG_POINTS = 40  # of a share: fewer points than of other curves, so that each stands for some updates


class Missing(NamedTuple):
    """A figure that the run has no records for."""

    title: str


def gathered(blocks: Sequence[Block | Missing]) -> list[Block]:
    """What is there, and then in one note what is not."""
    titles = [block.title for block in blocks if isinstance(block, Missing)]
    there = [block for block in blocks if not isinstance(block, Missing)]
    return [*there, Note(f"This run did not record: {'; '.join(titles)}.")] if titles else there


class RunCharts:
    """Draws what it is asked for, or gives its title as Missing."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._breaks = [switch.update for switch in run.switches]

    def lines(self, keys: Mapping[str, tuple[str, str]]) -> list[Line]:
        """Medians of those keys that the updates have, with ranges of up to two; the values are (label, colour)."""
        found = [(label, colour, self.run.series(key)) for key, (label, colour) in keys.items()]
        curves = [(label, colour, shorten(series, self._breaks)) for label, colour, series in found if series]
        if len(curves) > 2:
            curves = [(label, colour, curve._replace(low=curve.y, high=curve.y)) for label, colour, curve in curves]
        return [Line(*line) for line in curves]

    def share(self, key: str, colour: str) -> list[Line]:
        """How many of the updates have a flag, in per cent."""
        series = self.run.series(key)
        curve = shorten(series, self._breaks, FLAG_POINTS, typical=np.mean)
        per_cent = 100 * curve.y
        return [Line(key, colour, Curve(curve.x, per_cent, per_cent, per_cent))] if series else []

    def by_head(self, series_of: Callable[[Term], Series]) -> list[Line]:
        """Validated numbers of all heads, every point marked."""
        found = [(head, series_of(head)) for head in self.run.heads]
        return [Line(h.title, self.run.colour(h), as_they_are(series), dots=True) for h, series in found if series]

    def measured(self, section: str) -> list[Figure | Missing]:
        """What the terms measure besides their losses, of those numbers that belong into a section."""
        figures = []
        for term in self.run.terms:
            colour = self.run.colour(term)
            for number in (n for n in term.measured if n.section == section):
                figures.append(self._number(number, self.lines({number.key: (number.label, colour)})))
            for number in (n for n in term.validation_measured if n.section == section):
                figures.append(self._number(number, self.validated(number.key, number.label, colour)))
        return figures

    def _number(self, number: Measured, lines: Sequence[Line]) -> Figure | Missing:
        floor = None if number.log else 0.0
        return self.figure(number.title, lines, number.healthy, unit=number.unit, log=number.log, floor=floor)

    def validated(self, key: str, label: str, colour: str) -> list[Line]:
        """One validated number, every point marked."""
        series = self.run.series(key, "validation")
        return [Line(label, colour, as_they_are(series), dots=True)] if series else []

    def figure(
        self,
        title: str,
        lines: Sequence[Line],
        healthy: str,
        *,
        unit: str = "",
        log: bool = False,
        floor: float | None = None,
        band: tuple[float, float] | None = None,
        events: Floats | None = None,
    ) -> Figure | Missing:
        """The lines with the sentence that says what healthy looks like; the rest as in LineChart."""
        if not lines:
            return Missing(title)
        marks = np.zeros(0) if events is None else events
        return chart_figure(title, LineChart(lines, unit, log, floor, self.run.switches, band, marks), healthy)


def wants_log(lines: Sequence[Line]) -> bool:
    """Values over more than a factor of ten are told apart on a logarithmic axis only."""
    values = np.concatenate([line.curve.y for line in lines] or [np.zeros(0)])
    return len(values) > 0 and bool(values.min() > 0) and bool(values.max() > 10 * values.min())
