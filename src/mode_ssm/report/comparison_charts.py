"""Curves of several runs, laid over each other."""

from collections.abc import Sequence
from typing import NamedTuple

from mode_ssm.config import Decoder
from mode_ssm.report.chart import Line, LineChart
from mode_ssm.report.curves import Curve, as_they_are, shorten
from mode_ssm.report.page import Block, Note, chart_figure
from mode_ssm.report.records import HEAD_NAMES, Run, Switch
from mode_ssm.report.run_charts import wants_log

COLOURS = 8  # c0 ... c7 of the style sheet; the next runs have them again, dashed


class Overlaid(NamedTuple):
    """A number in which runs are compared."""

    key: str  # of an update
    title: str
    unit: str
    healthy: str
    log: bool = True


CURVES = (
    Overlaid("loss_ctc", "CTC loss", "as trained", "Comparable where losses.ctc_normalisation is the same."),
    Overlaid(
        "loss_rnnt_raw",
        "RNN-T loss, unscaled",
        "nats per trial",
        "Before losses.rnnt_scaling, so that runs with different scalings can be compared.",
    ),
    Overlaid("rnnt_ctc_ratio", "Scaled RNN-T loss / CTC loss", "", "Healthy: 0.3 to 3 with untrained heads."),
    Overlaid(
        "encoder_grad_ratio",
        "RNN-T gradient / CTC gradient at the encoder's output",
        "",
        "Healthy: within a factor of ten of the ratio of the weights; with losses.rnnt_scaling=gradient close to it.",
    ),
    Overlaid("grad_norm", "Gradient norm before clipping", "", "Healthy: of one order of magnitude within a stage."),
    Overlaid("lr", "Learning rate", "", "As set.", log=False),
)


def rate_charts(runs: Sequence[Run]) -> list[Block]:
    """Validated phoneme error rates, a chart a head."""
    healthy = "Lower is better. Runs are compared fairly at as many trials seen, or after as many hours."
    blocks: list[Block] = []
    for head in Decoder:
        lines = _lines(runs, [as_they_are(run.error_rates(head)) for run in runs], dots=True)
        title = f"Phoneme error rate, {HEAD_NAMES[head]}"
        blocks.append(_figure(runs, lines, Overlaid("", title, "%", healthy, wants_log(lines))))
    return blocks


def curve_charts(runs: Sequence[Run]) -> list[Block]:
    """Medians of the updates."""
    return [_figure(runs, _lines(runs, [_median(run, shown.key) for run in runs]), shown) for shown in CURVES]


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
