"""The page about several runs: error rates, paired and not, what differs in their settings, curves over each other."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from mode_ssm.report.chart import Line, LineChart
from mode_ssm.report.curves import Curve, as_they_are, shorten
from mode_ssm.report.decoded_runs import DecodedRun
from mode_ssm.report.page import Block, Note, Page, Section, Table, Tile, chart_figure
from mode_ssm.report.paired import PAIRED, paired_blocks
from mode_ssm.report.records import COLOURS, Run, Switch, terms_of
from mode_ssm.report.run_charts import wants_log
from mode_ssm.report.settings_section import differing_settings
from mode_ssm.report.validation_sections import by_date
from mode_ssm.training.balance import balances
from mode_ssm.training.terms import Term

UNFOLDED = 12  # rows of a table by session that need no fold


def comparison_page(decoded: Sequence[DecodedRun]) -> Page:
    runs = [one.run for one in decoded]
    heads = [term for term in terms_of(runs) if term.validated]
    units = {one.unit for one in decoded}
    unit = units.pop() if len(units) == 1 else "label"
    return Page(
        title=f"Comparison of {len(runs)} runs",
        subtitle=f"{', '.join(run.name for run in runs)}. Report of {time.strftime('%Y-%m-%d %H:%M')}.",
        tiles=[_best(runs, head, unit) for head in heads],
        sections=[
            Section(
                "rates", f"{unit.capitalize()} error rates", [_rates(runs, heads), *_rate_charts(runs, heads, unit)]
            ),
            Section("paired", "The same trials, paired", paired_blocks(decoded), PAIRED),
            Section("settings", "Settings", [differing_settings(runs)]),
            Section("curves", "Curves", _curve_charts(runs), "Medians of neighbouring updates."),
            Section("sessions", "By session", _by_session(runs, heads, unit)),
        ],
    )


def _best(runs: Sequence[Run], head: Term, unit: str) -> Tile:
    rates = {run.name: run.error_rates(head).y[-1] for run in runs if run.error_rates(head)}
    label = f"lowest final {unit} error rate, {head.title}"
    if not rates:
        return Tile(label, "-", "not validated")
    name = min(rates, key=lambda run: rates[run])
    return Tile(label, f"{rates[name]:.2f} %", name)


def _rates(runs: Sequence[Run], heads: Sequence[Term]) -> Table:
    header = ["run"] + [f"{head.title} {which} (%)" for head in heads for which in ("final", "best")]
    rows = []
    for run in runs:
        cells = []
        for head in heads:
            rates = run.error_rates(head)
            cells += [f"{rates.y[-1]:.2f}", f"{rates.y.min():.2f}"] if rates else ["", ""]
        rows.append([run.name, *cells, f"{len(run.all_updates):,}", f"{len(run.all_updates) - len(run.updates):,}"])
    note = "Of the validations during training, all trials pooled; best is of all validations, on the same trials."
    return Table("Validation", [*header, "updates", "skipped"], rows, note, wide=True)


def _last(run: Run, key: str) -> dict[str, float]:
    return next((record[key] for record in reversed(run.validations) if record.get(key)), {})


def _by_session(runs: Sequence[Run], heads: Sequence[Term], unit: str) -> list[Block]:
    """The last validation's rates."""
    blocks: list[Block] = []
    for head in heads:
        key = f"per_{head.name}_by_session"
        last = [_last(run, key) for run in runs]
        sessions = sorted({session for rates in last for session in rates}, key=by_date)
        rows = [[s, *(f"{100 * rates[s]:.2f}" if s in rates else "" for rates in last)] for s in sessions]
        title = f"{head.title}: final {unit} error rate (%)"
        table = Table(title, ("session", *(run.name for run in runs)), rows, folded=len(rows) > UNFOLDED)
        blocks.append(table if rows else Note("No run recorded it.", title))
    return blocks


class Overlaid(NamedTuple):
    """A number in which runs are compared."""

    key: str  # of an update
    title: str
    unit: str
    healthy: str
    log: bool = True


def _overlaid(terms: Sequence[Term]) -> list[Overlaid]:
    ratios = []
    for pair in balances(terms):
        band = pair.further.loss_ratio_band
        untrained = f"Healthy: {band[0]:g} to {band[1]:g} with untrained heads." if band else ""
        near = "Healthy: within a factor of ten of the ratio of the weights."
        ratios += [Overlaid(pair.loss_key, pair.loss_title, "", untrained)]
        ratios += [Overlaid(pair.gradient_key, pair.gradient_title, "", near)]
    return [
        *(Overlaid(n.key, n.title, n.unit, n.healthy, n.log) for n in (term.compared for term in terms)),
        *ratios,
        Overlaid(
            "grad_norm", "Gradient norm before clipping", "", "Healthy: of one order of magnitude within a stage."
        ),
        Overlaid("lr", "Learning rate", "", "As set.", log=False),
    ]


def _rate_charts(runs: Sequence[Run], heads: Sequence[Term], unit: str) -> list[Block]:
    """Validated error rates, a chart a head."""
    healthy = "Lower is better. Runs are compared fairly at as many trials seen, or after as many hours."
    blocks: list[Block] = []
    for head in heads:
        lines = _lines(runs, [as_they_are(run.error_rates(head)) for run in runs], dots=True)
        title = f"{unit.capitalize()} error rate, {head.title}"
        blocks.append(_figure(runs, lines, Overlaid("", title, "%", healthy, wants_log(lines))))
    return blocks


def _curve_charts(runs: Sequence[Run]) -> list[Block]:
    """Medians of the updates."""
    return [
        _figure(runs, _lines(runs, [_median(run, shown.key) for run in runs]), shown)
        for shown in _overlaid(terms_of(runs))
    ]


def _median(run: Run, key: str) -> Curve:
    curve = shorten(run.series(key), [switch.update for switch in run.switches])
    return curve._replace(low=curve.y, high=curve.y)


def _lines(runs: Sequence[Run], curves: Sequence[Curve], *, dots: bool = False) -> list[Line]:
    """Of the runs that have the curve; a run has the same colour everywhere."""
    lines = [
        Line(run.name, f"c{place % COLOURS}", curve, dots, dashed=place // COLOURS % 2 == 1)
        for place, (run, curve) in enumerate(zip(runs, curves, strict=True))
    ]
    return [line for line in lines if len(line.curve.x)]


def _figure(runs: Sequence[Run], lines: list[Line], shown: Overlaid) -> Block:
    if not lines:
        return Note("No run recorded it.", shown.title)
    span = (1.0, max(float(run.all_updates[-1]["update"]) for run in runs))
    floor = None if shown.log else 0.0
    chart = LineChart(lines, shown.unit, shown.log, floor, _common_switches(runs), span=span)
    return chart_figure(shown.title, chart, shown.healthy, named=True)


def _common_switches(runs: Sequence[Run]) -> list[Switch]:
    """The stages of all runs, where they begin at the same updates."""
    return runs[0].switches if all(run.switches == runs[0].switches for run in runs) else []
