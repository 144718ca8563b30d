"""The sections about updates: losses, their balance, gradients and steps."""

import numpy as np

from mode_ssm.config import Decoder
from mode_ssm.report.page import Block, Note, Section
from mode_ssm.report.records import HEAD_NAMES, Run
from mode_ssm.report.run_charts import Missing, RunCharts, gathered
from mode_ssm.training.alarms import CLIPPED_TIMES, RATIO_LIMITS

PARTS = {"preprocessor": "c0", "encoder": "c1", "ctc_head": "c2", "predictor": "c3", "joiner": "c4"}
LINES = "Lines are medians of neighbouring updates, shades their range."


def training_sections(run: Run) -> list[Section]:
    charts = RunCharts(run)
    return [
        Section("losses", "Losses", gathered(_losses(charts)), LINES),
        Section("balance", "Balance of the two losses", gathered(_balance(charts))),
        Section("gradients", "Gradients and steps", gathered(_gradients(charts))),
    ]


def _losses(charts: RunCharts) -> list[Block | Missing]:
    run = charts.run
    units = {Decoder.ctc: f"nats per {run.config.losses.ctc_normalisation}", Decoder.rnnt: "scaled"}
    skipped = np.array([r["update"] for r in run.all_updates if r["skipped_now"]], dtype=np.float64)
    marks = " Red marks at the foot are updates that were skipped for NaN or Inf." if len(skipped) else ""
    healthy = {
        Decoder.ctc: "Healthy: falls steeply, then levels off; a step up at a stage switch is made good within some "
        "dozens of updates.",
        Decoder.rnnt: "Healthy: falls from the start of its stage, without a plateau at its first value. One that "
        "rises for hundreds of updates is lost.",
    }
    return [
        charts.figure(
            f"{HEAD_NAMES[head]} loss",
            charts.lines({f"loss_{head.value}": (f"{HEAD_NAMES[head]} loss", head.value)}),
            healthy[head] + marks,
            unit=units[head],
            log=True,
            events=skipped,
        )
        for head in Decoder
    ]


def _balance(charts: RunCharts) -> list[Block | Missing]:
    if not charts.run.series("loss_rnnt"):
        return [Note("Only one loss was trained, so there is nothing to balance.")]
    joint = [stage for stage in charts.run.config.training.stages if stage.ctc_weight > 0 and stage.rnnt_weight > 0]
    target = joint[-1].target_ratio if joint else 1.0
    by_loss = {"encoder_grad_ctc": ("of weighted CTC", "ctc"), "encoder_grad_rnnt": ("of weighted RNN-T", "rnnt")}
    return [
        charts.figure(
            "Scaled RNN-T loss / CTC loss",
            charts.lines({"rnnt_ctc_ratio": ("scaled RNN-T / CTC", "c0")}),
            "Healthy: in the band from 0.3 to 3 while both heads are untrained. Later it may leave the band, since it "
            "then compares how much the heads have learnt; the ratio of the gradients tells more.",
            log=True,
            band=(0.3, 3.0),
        ),
        charts.figure(
            "RNN-T gradient / CTC gradient at the encoder's output",
            charts.lines({"encoder_grad_ratio": ("norm of weighted RNN-T / of weighted CTC", "c1")}),
            f"Healthy: in the band around {target:.2g}, the ratio of the weights; outside of it an alarm goes off. Far "
            "above it the transducer alone moves the encoder and CTC decays; far below it the transducer learns in "
            "its own parts only.",
            log=True,
            band=(RATIO_LIMITS[0] * target, RATIO_LIMITS[1] * target),
        ),
        charts.figure(
            "Norm of each loss's gradient at the encoder's output",
            charts.lines(by_loss),
            "Healthy: both fall slowly and side by side, without a jump of more than a factor of ten.",
            log=True,
        ),
        charts.figure(
            "What the raw RNN-T loss was multiplied by",
            charts.lines({"rnnt_scale": ("scale", "rnnt")}),
            "Healthy: nearly level for the schemes by length; with losses.rnnt_scaling=gradient it follows what the "
            "gradients ask for, and neither falls nor rises without end.",
            log=True,
        ),
    ]


def _gradients(charts: RunCharts) -> list[Block | Missing]:
    parts = {f"grad_norms.{part}": (part.replace("_", " "), colour) for part, colour in PARTS.items()}
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
