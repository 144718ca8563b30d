"""The picture of a run: both losses, their ratio, and the phoneme error rates, with the stage switches marked."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from mode_ssm.files import replacing
from mode_ssm.training.run_folder import read_metrics

HEADS = {"ctc": "tab:blue", "rnnt": "tab:orange"}


def draw_run(run: Path) -> Path:
    """Draw `training.png` from metrics.jsonl and return its path."""
    from matplotlib.figure import Figure

    records = read_metrics(run)
    updates = [r for r in records if r["kind"] == "update" and not r["skipped_now"]]
    figure = Figure(figsize=(11, 7), layout="constrained")
    losses, rates, ratio, norms = figure.subplots(2, 2).flat
    _losses(losses, updates)
    _rates(rates, [r for r in records if r["kind"] == "validation"])
    joint = [r for r in updates if r["rnnt_ctc_ratio"] is not None]
    ratio.plot([r["update"] for r in joint], _smooth([r["rnnt_ctc_ratio"] for r in joint]), color="tab:green")
    ratio.axhspan(0.3, 3.0, color="tab:green", alpha=0.1, label="0.3 to 3.0")
    ratio.set(title="Scaled RNN-T loss / CTC loss", yscale="log", xlabel="update")
    ratio.legend(loc="best")
    normed = [r for r in updates if r["grad_norm"] is not None]  # an update without a readable trial has none
    norms.plot([r["update"] for r in normed], _smooth([r["grad_norm"] for r in normed]), color="tab:gray")
    norms.set(title="Gradient norm before clipping", yscale="log", xlabel="update")
    switches = [b["update"] for a, b in pairwise(updates) if a["stage"] != b["stage"]]
    for panel in (losses, rates, ratio, norms):
        panel.grid(alpha=0.3)
        for switch in switches:
            panel.axvline(switch, color="black", linestyle=":", linewidth=1)
    path = run / "training.png"
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110)
    return path


def _losses(panel: Any, updates: list[dict[str, Any]]) -> None:
    for head, colour in HEADS.items():
        shown = [r for r in updates if r[f"loss_{head}"] is not None]
        x, y = [r["update"] for r in shown], [r[f"loss_{head}"] for r in shown]
        panel.plot(x, y, color=colour, alpha=0.2)
        label = {"ctc": "CTC (nats per label)", "rnnt": "RNN-T (scaled)"}[head]
        panel.plot(x, _smooth(y), color=colour, label=label)
    panel.set(title="Losses", yscale="log", xlabel="update")
    panel.legend(loc="best")


def _rates(panel: Any, validations: list[dict[str, Any]]) -> None:
    for head, colour in HEADS.items():
        shown = [r for r in validations if r[f"per_{head}"] is not None]
        x, y = [r["update"] for r in shown], [100 * r[f"per_{head}"] for r in shown]
        label = f"{'CTC' if head == 'ctc' else 'RNN-T'}" + (f", last {y[-1]:.1f} %" if y else "")
        panel.plot(x, y, "o-", color=colour, markersize=3, label=label)
    panel.set(title="Phoneme error rate, validation (%)", yscale="log", xlabel="update")
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.legend(loc="best")


def _smooth(values: list[float], weight: float = 0.9) -> list[float]:
    """Exponential mean without the bias of its start."""
    result, mean, mass = [], 0.0, 0.0
    for value in values:
        mean, mass = weight * mean + (1 - weight) * value, weight * mass + (1 - weight)
        result.append(mean / mass)
    return result
