"""The sections about updates: losses, their balance, gradients and steps."""

import numpy as np

from mode_ssm.report.page import Block, Note, Section
from mode_ssm.report.records import COLOURS, Run
from mode_ssm.report.run_charts import Missing, RunCharts, gathered
from mode_ssm.training.alarms import CLIPPED_TIMES, RATIO_LIMITS
from mode_ssm.training.balance import Balance, balances
from mode_ssm.training.clipping import parts_of

LINES = "Lines are medians of neighbouring updates, shades their range."


def training_sections(run: Run) -> list[Section]:
    charts = RunCharts(run)
    return [
        Section("losses", "Losses", gathered(_losses(charts)), LINES),
        Section("balance", "Balance of the losses", gathered(_balance(charts))),
        Section("gradients", "Gradients and steps", gathered(_gradients(charts))),
    ]


def _losses(charts: RunCharts) -> list[Block | Missing]:
    run = charts.run
    skipped = np.array([r["update"] for r in run.all_updates if r["skipped_now"]], dtype=np.float64)
    marks = " Red marks at the foot are updates that were skipped for NaN or Inf." if len(skipped) else ""
    return [
        charts.figure(
            f"{term.title} loss",
            charts.lines({term.loss_key: (f"{term.title} loss", run.colour(term))}),
            term.healthy + marks,
            unit=term.unit,
            log=True,
            events=skipped,
        )
        for term in run.terms
    ]


def _balance(charts: RunCharts) -> list[Block | Missing]:
    run = charts.run
    pairs = [pair for pair in balances(run.terms) if run.series(pair.further.loss_key)]
    if not pairs:
        return [Note("Only one loss was trained, so there is nothing to balance.")]
    norms = {term.gradient_key: (f"of weighted {term.title}", run.colour(term)) for term in run.terms}
    return [
        *(figure for pair in pairs for figure in _ratios(charts, pair)),
        charts.figure(
            "Norm of each loss's gradient at the encoder's output",
            charts.lines(norms),
            "Healthy: all fall slowly and side by side, without a jump of more than a factor of ten.",
            log=True,
        ),
        *charts.measured("balance"),
    ]


def _ratios(charts: RunCharts, pair: Balance) -> list[Block | Missing]:
    first, further = pair.first.title, pair.further.title
    targets = [target for stage in charts.run.config.training.stages if (target := pair.target(stage))]
    target = targets[-1] if targets else 1.0
    return [
        charts.figure(
            pair.loss_title,
            charts.lines({pair.loss_key: (f"{further} / {first}", "c0")}),
            pair.further.loss_ratio_healthy
            or "The losses without their weights; the ratio of the gradients tells more.",
            log=True,
            band=pair.further.loss_ratio_band,
        ),
        charts.figure(
            pair.gradient_title,
            charts.lines({pair.gradient_key: (f"norm of weighted {further} / of weighted {first}", "c1")}),
            f"Healthy: in the band around {target:.2g}, the ratio of the weights; outside of it an alarm goes off. Far "
            f"above it {further} alone moves the encoder and {first} decays; far below it {further} moves little but "
            "parts of its own.",
            log=True,
            band=(RATIO_LIMITS[0] * target, RATIO_LIMITS[1] * target),
        ),
    ]


def _gradients(charts: RunCharts) -> list[Block | Missing]:
    parts = {
        f"grad_norms.{part}": (part.replace("_", " "), f"c{place % COLOURS}")
        for place, part in enumerate(parts_of(charts.run.terms))
    }
    return [
        charts.figure(
            "Gradient norm before clipping",
            charts.lines({"grad_norm": ("all parts", "c0"), "clip_norm": ("bound", "c7")}),
            "Healthy: of one order of magnitude within a stage. Spikes of a factor of 100, or a steady rise, come "
            "before NaN: lower training.optimizer.lr.",
            log=True,
        ),
        charts.figure(
            "Gradient norms by part",
            charts.lines(parts),
            "Healthy: no part lies a factor of 1,000 above the others or falls to nothing. In a stage that does not "
            "train a head, the head's parts have no gradient.",
            log=True,
        ),
        charts.figure(
            "Updates whose gradient was clipped",
            charts.share("clipped", "c6"),
            "Sound runs have been clipped in nearly every update, and learnt; an alarm goes off where the norm is also "
            f"over {CLIPPED_TIMES:g} times the bound.",
            unit="%",
            floor=0.0,
        ),
        charts.figure(
            "Learning rate",
            charts.lines({"lr": ("learning rate", "c2")}),
            "As set: up in the warm-up, up again at each stage switch, down to the end.",
            floor=0.0,
        ),
    ]
