"""The page about several runs: what differs in their settings, curves laid over each other, error rates paired."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.config import Decoder
from mode_ssm.report.chart import Line, LineChart
from mode_ssm.report.curves import as_they_are, shorten
from mode_ssm.report.page import Block, Note, Page, Section, Table, Tile, chart_figure
from mode_ssm.report.records import HEAD_NAMES, Floats, Run
from mode_ssm.report.run_charts import wants_log
from mode_ssm.report.session_rates import by_date
from mode_ssm.report.settings_section import differing_settings
from mode_ssm.report.trials import DecodedTrial, Findings

COLOURS = [f"c{i}" for i in range(8)]
RESAMPLES = 2000
SEED = 0


class Difference(NamedTuple):
    """Of pooled phoneme error rates in points, with the middle 95 % of what other trials might have given."""

    points: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.points:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def comparison_page(findings: Sequence[Findings]) -> Page:
    runs = [found.run for found in findings]
    return Page(
        title=f"{len(runs)} runs",
        subtitle=f"{', '.join(run.name for run in runs)}. Report of {time.strftime('%Y-%m-%d %H:%M')}.",
        tiles=[_best(runs, head) for head in Decoder],
        sections=[
            Section("rates", "Phoneme error rates", [_rates(runs), *_rate_charts(runs)]),
            Section("paired", "The same trials, paired", _paired(findings), PAIRED),
            Section("settings", "Settings", [differing_settings(runs)]),
            Section("curves", "Curves", _curves(runs)),
            Section("sessions", "By session", _by_session(runs)),
        ],
    )


def _best(runs: Sequence[Run], head: Decoder) -> Tile:
    rates = {run.name: run.error_rates(head).y[-1] for run in runs if run.error_rates(head)}
    label = f"lowest last phoneme error rate, {HEAD_NAMES[head]}"
    if not rates:
        return Tile(label, "none", "not validated")
    name = min(rates, key=lambda run: rates[run])
    return Tile(label, f"{rates[name]:.2f} %", name)


def _rates(runs: Sequence[Run]) -> Table:
    header = ["run"] + [f"{HEAD_NAMES[head]} {which} (%)" for head in Decoder for which in ("last", "best")]
    rows = []
    for run in runs:
        cells = []
        for head in Decoder:
            rates = run.error_rates(head)
            cells += [f"{rates.y[-1]:.2f}", f"{rates.y.min():.2f}"] if rates else ["", ""]
        rows.append([run.name, *cells, f"{len(run.all_updates):,}", f"{len(run.all_updates) - len(run.updates):,}"])
    note = "Of the validations during training, all trials pooled."
    return Table("Validation", [*header, "updates", "skipped"], rows, note)


def _colours(runs: Sequence[Run]) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(runs))]


def _rate_charts(runs: Sequence[Run]) -> list[Block]:
    blocks: list[Block] = []
    for head in Decoder:
        found = [(run.name, colour, run.error_rates(head)) for run, colour in zip(runs, _colours(runs), strict=True)]
        lines = [Line(name, colour, as_they_are(series), dots=True) for name, colour, series in found if series]
        log = wants_log(lines)
        chart = LineChart(lines, "%", log, None if log else 0.0)
        title = f"Phoneme error rate, {HEAD_NAMES[head]}"
        healthy = "Lower is better; runs are fairly compared at an equal number of trials seen, or of hours spent."
        blocks.append(chart_figure(title, chart, healthy) if lines else Note("No run recorded it.", title))
    return blocks


CURVES = {
    "loss_ctc": ("CTC loss", "nats per label", "On one scale for all runs, whatever their weights."),
    "loss_rnnt_raw": (
        "RNN-T loss, unscaled",
        "nats per trial",
        "Before losses.rnnt_scaling, so that runs with different scalings can be compared.",
    ),
    "rnnt_ctc_ratio": ("Scaled RNN-T loss / CTC loss", "", "Healthy: 0.3 to 3 with untrained heads."),
    "encoder_grad_ratio": (
        "RNN-T gradient / CTC gradient at the encoder's output",
        "",
        "Healthy: within a factor of ten of 1; with losses.rnnt_scaling=gradient near the ratio of the weights.",
    ),
    "grad_norm": ("Gradient norm before clipping", "", "Healthy: of one order of magnitude within a stage."),
    "lr": ("Learning rate", "", "As set."),
}


def _curves(runs: Sequence[Run]) -> list[Block]:
    blocks: list[Block] = []
    for key, (title, unit, healthy) in CURVES.items():
        lines = []
        for run, colour in zip(runs, _colours(runs), strict=True):
            curve = shorten(run.series(key), [switch.update for switch in run.switches])
            lines.append(Line(run.name, colour, curve._replace(low=curve.y, high=curve.y)))
        lines = [line for line in lines if len(line.curve.x)]
        chart = LineChart(lines, unit, log=key != "lr", floor=0.0 if key == "lr" else None)
        blocks.append(chart_figure(title, chart, healthy) if lines else Note("No run recorded it.", title))
    return blocks


PAIRED = (
    "Each run's best checkpoint decodes the same trials greedily, and is compared with the first run trial by trial, "
    "which tells smaller differences from chance than two error rates do. In brackets: the middle 95 % of the "
    f"difference over {RESAMPLES:,} draws of as many trials; where they hold 0, these trials do not tell the "
    "runs apart. Another seed of the same run may differ by more."
)


def _paired(findings: Sequence[Findings]) -> list[Block]:
    notes: list[Block] = [Note(found.problem, found.run.name) for found in findings if found.decoded is None]
    first, *others = findings
    if first.decoded is None:
        return notes
    rows = []
    for other in others:
        if other.decoded is None:
            continue
        for head in [head for head in first.decoded.heads if head in other.decoded.heads]:
            rows.append(_paired_row(first, other, head))
    header = (
        "run",
        "head",
        "trials",
        "first run (%)",
        "this run (%)",
        "difference (points)",
        "better",
        "worse",
        "equal",
    )
    table = Table(f"Compared with {first.run.name}", header, rows, "Better and worse count trials.")
    return [table, *notes] if rows else notes or [Note("The runs have no head in common.")]


def _paired_row(first: Findings, other: Findings, head: Decoder) -> tuple[str, ...]:
    assert first.decoded is not None
    assert other.decoded is not None
    known = {(trial.key, tuple(trial.reference)): trial for trial in first.decoded.trials}
    both = [(known[key], t) for t in other.decoded.trials if (key := (t.key, tuple(t.reference))) in known]
    if not both:
        return (other.run.name, HEAD_NAMES[head], "0", "", "", "no trial in common", "", "", "")
    counts = np.array([_counts(a, b, head) for a, b in both], dtype=np.float64)
    before, after, said = counts.T
    rates = [f"{100 * edits.sum() / max(said.sum(), 1):.2f}" for edits in (before, after)]
    won = [int((after < before).sum()), int((after > before).sum()), int((after == before).sum())]
    return (
        other.run.name,
        HEAD_NAMES[head],
        f"{len(both):,}",
        *rates,
        str(paired_difference(before, after, said)),
        *map(str, won),
    )


def _counts(a: DecodedTrial, b: DecodedTrial, head: Decoder) -> tuple[int, int, int]:
    return a.errors(head).edits, b.errors(head).edits, len(a.reference)


def paired_difference(before: Floats, after: Floats, said: Floats) -> Difference:
    """Bootstrap over trials (Bisani and Ney 2004, Bootstrap estimates for confidence intervals in ASR).

    Args:
        before, after: (N,) edits of two runs on the same trials; said: (N,) reference phonemes.
    """
    difference = after - before
    draws = np.random.default_rng(SEED).multinomial(len(said), np.full(len(said), 1 / len(said)), size=RESAMPLES)
    rates = 100 * (draws @ difference) / np.maximum(draws @ said, 1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return Difference(float(100 * difference.sum() / max(said.sum(), 1)), float(low), float(high))


def _by_session(runs: Sequence[Run]) -> list[Block]:
    """The last validation's rates."""
    blocks: list[Block] = []
    for head in Decoder:
        key = f"per_{head.value}_by_session"
        last: list[dict[str, float]] = [
            next((v[key] for v in reversed(run.validations) if v.get(key)), {}) for run in runs
        ]
        sessions = sorted({session for rates in last for session in rates}, key=by_date)
        rows = [[s, *(f"{100 * rates[s]:.2f}" if s in rates else "" for rates in last)] for s in sessions]
        title = f"{HEAD_NAMES[head]}: last phoneme error rate (%)"
        header = ("session", *(run.name for run in runs))
        blocks.append(Table(title, header, rows, folded=len(rows) > 12) if rows else Note("No run recorded it.", title))
    return blocks
