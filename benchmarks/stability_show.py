"""The table and the picture of benchmarks/stability.py."""

from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

PER_TICKS = [10, 30, 100, 300, 1000]
HEADS = {"per_ctc": ("tab:blue", "CTC"), "per_rnnt": ("tab:orange", "RNN-T")}


def table(rows: list[dict[str, Any]], torch_version: str) -> str:
    lines = [
        "# Stability of joint training",
        "",
        "`python benchmarks/stability.py`; simulated recordings (preset demo), one seed; one thread, PyTorch "
        f"{torch_version}. Raw: RNN-T nats per trial at the start of the joint stage. Ratios: RNN-T / CTC, of the "
        "losses (over the first five updates, and the median of the stage) and of the weighted gradients at the "
        "encoder output (median; the weights themselves are as 3.3 to 1). PER: val, %, after the last update. "
        "Warnings: alarms of the run, and the update of the stage at which each first spoke.",
    ]
    for base, group in groupby(rows, key=lambda row: row["base"]):
        lines += ["", f"## {base}", ""]
        lines += [
            "| | raw | loss ratio, start | loss ratio | gradient ratio | clipped % | skipped | PER CTC | PER RNN-T "
            "| warnings |"
        ]
        lines += ["|---" * 10 + "|"]
        lines += [_line(row) for row in group]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    numbers = [_number(row[key]) for key in ("raw_start", "ratio_start", "ratio", "gradient_ratio")]
    first = f", from {row['first_skip']}" if row["first_skip"] else ""
    numbers += [f"{100 * row['clipped']:.0f}", f"{row['skipped']} of {row['updates']}{first}"]
    numbers += [_number(None if row[key] is None else 100 * row[key]) for key in HEADS]
    numbers += [", ".join(f"{rule} {update}" for rule, update in _first(row["warnings"]).items())]
    return f"| {row['name']} | " + " | ".join(numbers) + " |"


def _first(warnings: list[tuple[int, str]]) -> dict[str, int]:
    first: dict[str, int] = {}
    for update, rule in warnings:
        first.setdefault(rule, update)
    return first


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(13, 1.5 + 0.25 * len(rows)), layout="constrained")
    panels = figure.subplots(1, 4, sharey=True)
    heights = list(range(len(rows), 0, -1))
    lost = [row["skipped"] > 0 for row in rows]
    _dots(panels[0], heights, [row["ratio_start"] for row in rows], lost, "RNN-T / CTC loss\nas the stage starts")
    _dots(
        panels[1],
        heights,
        [row["gradient_ratio"] for row in rows],
        lost,
        "Weighted gradients, RNN-T / CTC\n(green: within 2 x of the target)",
    )
    panels[1].axvspan(1.67, 6.67, color="tab:green", alpha=0.12)
    for panel in panels[:2]:
        panel.set_xscale("log")
    panels[2].barh(heights, [100 * row["skipped"] / row["updates"] for row in rows], color="tab:red")
    panels[2].set(title="Updates lost\nto NaN (%)", xlim=(0, 100))
    for key, (colour, label) in HEADS.items():
        known = [(100 * row[key], height) for row, height in zip(rows, heights, strict=True) if row[key] is not None]
        panels[3].plot(*zip(*known, strict=True), "o", color=colour, label=label)
    panels[3].set(title="Phoneme error rate\nafter the stage (%)", xscale="log")
    panels[3].set_xticks(PER_TICKS, [str(tick) for tick in PER_TICKS])
    panels[3].minorticks_off()
    panels[3].legend(loc="upper right")
    panels[0].set_yticks(heights, [f"{row['base']}: {row['name']}" for row in rows])
    for panel in panels:
        panel.grid(alpha=0.3)
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, dpi=110, format="png")
    beside.replace(path)


def _dots(panel: Axes, heights: list[int], values: list[float | None], lost: list[bool], title: str) -> None:
    for height, value, bad in zip(heights, values, lost, strict=True):
        if value is not None:
            panel.plot(value, height, "x" if bad else "o", color="tab:red" if bad else "tab:gray")
    panel.set_title(title)
