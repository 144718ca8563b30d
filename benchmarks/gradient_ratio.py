"""How the RNN-T and CTC gradients compare at the encoder's output over the joint stage, for runs that are there.

    python benchmarks/gradient_ratio.py runs/race_scaling*/*/*/*-seed1        # of benchmarks/race.py

Reads the metrics of each run folder; the ratio's target is that of the stage's weights. Written: gradient_ratio.md and
gradient_ratio.png in --results.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from starting import start

from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.report.records import Run, read_runs
from mode_ssm.training.balance import balances

SETTLED = 100  # joint updates after which a scaling must hold
BLOCK = 50  # joint updates whose median is looked at


class Ratios(NamedTuple):
    """Of one run's joint stage, an entry an update."""

    name: str
    target: float
    gradients: list[float]  # weighted RNN-T / weighted CTC, at the encoder's output
    losses: list[float]


def ratios(run: Run) -> Ratios:
    pair = balances(run.terms)[0]
    joint = [stage for stage in run.config.training.stages if pair.target(stage)]
    updates = [r for stage in joint for r in run.of_kind("update") if r["stage"] == stage.name]
    if len(updates) < SETTLED + BLOCK:
        raise InputError(f"{run.path} has {len(updates)} joint updates; give a run with at least {SETTLED + BLOCK}.")
    keys = pair.gradient_key, pair.loss_key
    gradients, losses = ([r[key] for r in updates if r[key] is not None] for key in keys)
    return Ratios("/".join(run.path.parts[-3:]), pair.target(joint[0]) or 0.0, gradients, losses)


def medians(values: Sequence[float]) -> list[float]:
    starts = range(0, len(values) - BLOCK + 1, BLOCK)
    return [statistics.median(values[start : start + BLOCK]) for start in starts]


def table(runs: Sequence[Ratios]) -> str:
    lines = [
        "# RNN-T against CTC at the encoder's output, over the joint stage",
        "",
        f"Weighted gradient norms, RNN-T / CTC, from joint update {SETTLED} on. `benchmarks/gradient_ratio.py`.",
        "",
        f"| run | target | median | medians of {BLOCK} | updates within 2 x of the target | loss ratio, median |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        settled = run.gradients[SETTLED:]
        blocks = medians(settled)
        near = sum(run.target / 2 <= ratio <= run.target * 2 for ratio in settled) / len(settled)
        lines.append(
            f"| {run.name} | {run.target:.2f} | {statistics.median(settled):.2f} | {min(blocks):.2f} to "
            f"{max(blocks):.2f} | {100 * near:.0f} % | {statistics.median(run.losses[SETTLED:]):.2f} |"
        )
    return "\n".join(lines) + "\n"


def draw(runs: Sequence[Ratios]) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    for run in runs:
        blocks = medians(run.gradients)
        axes.plot([BLOCK * (index + 0.5) for index in range(len(blocks))], blocks, label=run.name, lw=1.2)
    axes.axhline(runs[0].target, color="black", lw=0.8, ls=":", label="ratio of the weights")
    axes.set_yscale("log")
    axes.set_xlabel("joint update")
    axes.set_title(f"weighted RNN-T / CTC gradient at the encoder's output, medians of {BLOCK}")
    figure.legend(fontsize=8, loc="outside right center")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    runs = [ratios(run) for run in read_runs(arguments.runs)]
    replace_text(arguments.results / "gradient_ratio.md", table(runs))
    draw(runs).savefig(arguments.results / "gradient_ratio.png", dpi=110)
    print(table(runs))


if __name__ == "__main__":
    start(main)
