"""The picture of a run: its losses, their ratios, and the error rates of labels, with the stage switches marked."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mode_ssm.files import replacing
from mode_ssm.labels import T15
from mode_ssm.training.balance import balances
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.terms import Term


def draw_run(run: Path, terms: Sequence[Term], unit: str = T15.unit) -> Path:
    """Draw `training.png` from metrics.jsonl and return its path.

    Args:
        terms: of the run; each has its colour by its place.
        unit: what a label is called.
    """
    from matplotlib.figure import Figure

    records = read_metrics(run)
    updates = [r for r in records if r["kind"] == "update" and not r["skipped_now"]]
    figure = Figure(figsize=(11, 7), layout="constrained")
    losses, rates, ratios, norms = figure.subplots(2, 2).flat
    _losses(losses, updates, terms)
    _rates(rates, [r for r in records if r["kind"] == "validation"], terms)
    rates.set_title(f"{unit.capitalize()} error rate, validation (%)")
    _ratios(ratios, updates, terms)
    norms.plot(*_smoothed(updates, "grad_norm"), color="tab:gray")  # an update without a readable trial has none
    norms.set(title="Gradient norm before clipping", yscale="log", xlabel="update")
    switches = [b["update"] for a, b in pairwise(updates) if a["stage"] != b["stage"]]
    for panel in (losses, rates, ratios, norms):
        panel.grid(alpha=0.3)
        for switch in switches:
            panel.axvline(switch, color="black", linestyle=":", linewidth=1)
    path = run / "training.png"
    with replacing(path) as beside:
        figure.savefig(beside, dpi=110)
    return path


def _losses(panel: Any, updates: list[dict[str, Any]], terms: Sequence[Term]) -> None:
    for place, term in enumerate(terms):
        x, y = _series(updates, term.loss_key)
        panel.plot(x, y, color=f"C{place}", alpha=0.2)
        unit = f" ({term.unit})" if term.unit else ""
        panel.plot(x, _smooth(y), color=f"C{place}", label=f"{term.title}{unit}")
    panel.set(title="Losses", yscale="log", xlabel="update")
    _name(panel)


def _rates(panel: Any, validations: list[dict[str, Any]], terms: Sequence[Term]) -> None:
    for place, term in enumerate(terms):
        if not term.validated:
            continue
        x, rates = _series(validations, f"per_{term.name}")
        y = [100 * rate for rate in rates]
        label = term.title + (f", last {y[-1]:.1f} %" if y else "")
        panel.plot(x, y, "o-", color=f"C{place}", markersize=3, label=label)
    panel.set(yscale="log", xlabel="update")
    ticks = [0.5, 1, 2, 5, 10, 20, 50, 100]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    _name(panel)


def _ratios(panel: Any, updates: list[dict[str, Any]], terms: Sequence[Term]) -> None:
    pairs = balances(terms)
    for place, pair in enumerate(pairs, start=2):
        label = pair.loss_title if len(pairs) > 1 else None
        panel.plot(*_smoothed(updates, pair.loss_key), color=f"C{place}", label=label)
    for low, high in {band for pair in pairs if (band := pair.further.loss_ratio_band)}:
        panel.axhspan(low, high, color="tab:green", alpha=0.1, label=f"{low} to {high}")
    title = pairs[0].loss_title if len(pairs) == 1 else "Ratios of losses"
    panel.set(title=title, yscale="log", xlabel="update")
    _name(panel)


def _name(panel: Any) -> None:
    """A legend, where there is something to name."""
    if panel.get_legend_handles_labels()[0]:
        panel.legend(loc="best")


def _series(records: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Updates and values, where it was measured."""
    shown = [r for r in records if r.get(key) is not None]
    return [r["update"] for r in shown], [r[key] for r in shown]


def _smoothed(records: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    updates, values = _series(records, key)
    return updates, _smooth(values)


def _smooth(values: list[float], weight: float = 0.9) -> list[float]:
    """Exponential mean without the bias of its start."""
    result, mean, mass = [], 0.0, 0.0
    for value in values:
        mean, mass = weight * mean + (1 - weight) * value, weight * mass + (1 - weight)
        result.append(mean / mass)
    return result
