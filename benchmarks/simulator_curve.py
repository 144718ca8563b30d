"""How hard are the simulated recordings? The learning curve of the NEJM baseline's recipe on them.

    python benchmarks/simulator_curve.py --minutes 60 --labels t15_labels.csv.gz

Sessions spread evenly over T15's 20 months are simulated, a network of that recipe (its widths made smaller for a CPU)
is trained for so many minutes of processor time, validations included and one epoch to measure the cost not, and
simulator_curve.md and .png are written to --results, beside what was published for the real recordings. Data and run
lie in --out: an interrupted benchmark goes on from its last checkpoint when it is started again.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from race_plan import Budget, Race, Run
from race_run import finish
from starting import start

from mode_ssm.config import SimulateConfig
from mode_ssm.simulation import simulate
from mode_ssm.simulation.presets import find_preset

T15_TRAIN_TRIALS = 8072
# PER (%) on T15's val trials by train trials seen: the baseline's end (Card et al. 2024: 120,000 batches of 64), and on
# the way, by epoch, the causal time-masked transformer (Feghhi et al.).
BASELINE_END = (120_000 * 64, 10.1)
TRANSFORMER = {10: 57, 50: 17.8, 100: 13.6, 200: 10.8, 300: 10.0, 310: 8.9, 499: 8.3}


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="of processor time, for the training")
    parser.add_argument("--labels", help="the table of T15's labels; default: the package's own sentences")
    parser.add_argument("--out", type=Path, default=Path("runs/simulator_curve"), help="the folder of data and run")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).with_name("results"), help="of table and picture"
    )
    parser.add_argument("--sessions", type=int, default=9, help="of T15's 45, evenly spread")
    parser.add_argument("--width", type=int, default=256, help="of the GRU; the recipe's is 768")
    parser.add_argument("--layers", type=int, default=3, help="of the GRU; the recipe has 5")
    parser.add_argument("--batch-size", type=int, default=16, help="trials; the recipe's is 64")
    parser.add_argument("--warmup", type=int, default=100, help="updates; the recipe's are 1,000")
    parser.add_argument("--learning-rate", type=float, default=5e-3, help="the recipe's is 0.005")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation and the training")
    return parser.parse_args()


def simulate_sessions(given: argparse.Namespace) -> Path:
    """A data root of evenly spread sessions; the second one is the first that has val trials."""
    numbers = np.linspace(2, len(find_preset("t15").sessions), given.sessions).round().astype(int).tolist()
    data: Path = given.out / f"data-{given.sessions}"
    simulate(
        SimulateConfig(out=str(data), preset="t15", labels=given.labels, seed=given.seed, sessions=numbers, workers=1)
    )
    return data


def the_run(given: argparse.Namespace, data: Path) -> tuple[Race, Run]:
    """A race of one system, one learning rate and one seed."""
    words = [
        "experiment=nejm_gru",
        f"encoder.width={given.width}",
        f"encoder.layers={given.layers}",
        f"training.batch_size={given.batch_size}",
        f"training.schedule.warmup_updates={given.warmup}",
        "training.accelerator=cpu",
    ]
    race = Race(
        name="simulator_curve",
        budget=Budget(60 * given.minutes, "cpu"),
        threads=1,
        seeds=(given.seed,),
        learning_rates=(given.learning_rate,),
        settings=(),
        systems={"NEJM GRU": tuple(words)},
        data={data.name: ()},
        roots={data.name: data},
        language_models={},
    )
    return race, Run(data.name, "NEJM GRU", given.learning_rate, given.seed)


def table(given: argparse.Namespace, words: Sequence[str], result: dict[str, Any]) -> str:
    sentences = " --labels t15_labels.csv.gz" if given.labels else ""
    sizes = f"--sessions {given.sessions} --width {given.width} --layers {given.layers} --batch-size {given.batch_size}"
    scores = result["heads"]["ctc"]
    lines = [
        "# The learning curve of the NEJM baseline's recipe on simulated recordings",
        "",
        f"`python benchmarks/simulator_curve.py --minutes {given.minutes:g}{sentences} {sizes} --warmup {given.warmup} "
        f"--learning-rate {given.learning_rate:g} --seed {given.seed}`, that is `{' '.join(words)}`: "
        f"{result['parameters'] / 1e6:.1f} M parameters; {result['updates']} updates, {result['skipped']} of them "
        f"skipped, in {sum(result['epochs'])} epoch(s). Val PER, greedy CTC.",
        "",
        "| updates | trials seen | PER (%), simulated |",
        "|---|---|---|",
    ]
    for point in result["curve"]:
        seen = point["update"] * given.batch_size
        lines.append(f"| {point['update']} | {seen:,} | {100 * point['per_ctc']:.1f} |")
    unseen = scores["per_unseen_sentences"]
    if unseen is not None:
        lines += ["", f"Sentences not in train: {100 * unseen:.1f} %, of {scores['trials_unseen_sentences']} trials."]
    lines += [
        "",
        "Published, on the real recordings of all 45 sessions: the same recipe at its full size ends at "
        f"{BASELINE_END[1]} % after {BASELINE_END[0]:,} trials seen; of its way nothing is published. A causal "
        "transformer on the way: "
        + ", ".join(f"{per:g} % after {T15_TRAIN_TRIALS * epoch:,}" for epoch, per in TRANSFORMER.items())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def draw(batch_size: int, result: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    panel = figure.subplots()
    curve = [(batch_size * point["update"], 100 * point["per_ctc"]) for point in result["curve"]]
    panel.plot(*zip(*curve, strict=True), "o-", markersize=3, label="simulated: the recipe, smaller, on a CPU")
    published = [(T15_TRAIN_TRIALS * epoch, per) for epoch, per in TRANSFORMER.items()]
    panel.plot(*zip(*published, strict=True), "s--", color="gray", label="real T15: causal transformer, published")
    panel.plot(*BASELINE_END, "*", color="black", markersize=12, label="real T15: the recipe's end, published")
    ticks = [5, 10, 20, 50, 100]
    panel.set(xscale="log", yscale="log", ylim=(5, 120), xlabel="train trials seen")
    panel.set_yticks(ticks, [f"{tick}" for tick in ticks])
    panel.minorticks_off()
    panel.set_title("Val phoneme error rate (%), greedy CTC")
    panel.grid(alpha=0.3)
    panel.legend()
    return figure


def main() -> None:
    given = read_options()
    data = simulate_sessions(given)
    race, run = the_run(given, data)
    result = finish(race, run, given.out)
    if "failed" in result:
        sys.exit(f"simulator_curve: {result['failed']}")
    given.results.mkdir(parents=True, exist_ok=True)
    text = table(given, race.systems[run.system], result)
    (given.results / "simulator_curve.md").write_text(text, encoding="utf-8")
    draw(given.batch_size, result).savefig(given.results / "simulator_curve.png", dpi=110)
    print(text)


if __name__ == "__main__":
    start(main)
