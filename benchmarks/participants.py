"""Several simulated people in one network, and a sixth with 200 sentences from it, beside each alone.

    OMP_NUM_THREADS=1 python benchmarks/participants.py DIR [--seeds 3] [--epochs 12] [--lr 0.003]

DIR keeps the data and the runs: what is done there is not done again. Each network trains by CTC alone for as many
passes over its trials: five together, each of the five alone, the sixth from scratch, and the sixth from the five's
network, by all weights, with a slow body and with a frozen one. Phoneme error rates are those of the best epoch on val.
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import h5py

from mode_ssm.commands.evaluate import evaluate
from mode_ssm.config import EvaluateConfig, SimulateConfig, TrainConfig
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.training.loop import train

NETWORK = """preprocessor.participant_map=linear preprocessor.num_channels=64 preprocessor.session_layer=affine
encoder.width=96 encoder.layers=3 encoder.dropout=0.1 encoder.state_size=32 encoder.head_width=32 joiner=none
augmentation.time_masks=4 training.batch_size=16 training.accelerator=cpu
training.schedule.warmup_updates=20 training.log_every_updates=1000""".split()
FEW = 200  # sentences of the sixth
NEW = {
    "scratch": [],
    "all weights": ["init"],
    "slow body": ["init", "training.body_lr_factor=0.3"],
    "frozen body": ["init", "training.learn=[participant,session]"],
}


def write_data(folder: Path) -> list[Path]:
    """Six roots, the last with FEW train trials."""
    simulate(SimulateConfig(str(folder / "people"), "demo", seed=5, participants=6, workers=1))
    roots = [folder / "people" / f"p{number}" for number in range(1, 7)]
    few = folder / "few" / "p6"
    if not few.exists():
        shutil.copytree(roots[5], few.with_name("writing"))
        left = FEW
        for path in sorted(few.with_name("writing").glob("*/data_train.hdf5")):
            with h5py.File(path, "a") as file:
                for place, name in enumerate(sorted(file)):
                    if place >= left:
                        del file[name]
                left -= len(file)
        few.with_name("writing").rename(few)
    return [*roots[:5], few]


def run(place: Path, roots: Sequence[Path], seed: int, words: Sequence[str]) -> dict[str, object]:
    """Train and evaluate; the summary with what the training took."""
    result = place / "result.json"
    if not result.exists():
        shutil.rmtree(place, ignore_errors=True)
        data = f"data.roots=[{','.join(map(str, roots))}]"
        began = time.process_time()
        train(read_settings(TrainConfig, [*NETWORK, data, f"training.seed={seed}", f"output_dir={place}", *words]))
        took = time.process_time() - began
        evaluate(read_settings(EvaluateConfig, [f"checkpoint={place}", f"output_dir={place / 'rates'}"]))
        found = json.loads((place / "rates" / "evaluation.json").read_text())
        found["cpu_s"] = took
        result.write_text(json.dumps(found))
    loaded: dict[str, object] = json.loads(result.read_text())
    return loaded


def spread(values: Sequence[float]) -> str:
    sd = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return f"{mean(values):.1f}{sd}"


def table(found: dict[str, list[float]], seconds: dict[str, list[float]]) -> str:
    lines = ["| network | PER (%) | CPU s |", "|---|---|---|"]
    lines += [f"| {name} | {spread(rates)} | {mean(seconds[name]):.0f} |" for name, rates in found.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=3e-3)
    options = parser.parse_args()
    *five, few = write_data(options.folder)
    stage = f"training.stages=[{{name: ctc, epochs: {options.epochs}, weights: {{ctc: 1.0}}}}]"
    shared = [stage, f"training.optimizer.lr={options.lr}"]
    found: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}

    def keep(name: str, rate: object, took: object) -> None:
        found.setdefault(name, []).append(100 * float(str(rate)))
        seconds.setdefault(name, []).append(float(str(took)))

    for seed in range(options.seeds):
        place = options.folder / f"epochs {options.epochs} lr {options.lr:g} seed {seed}".replace(" ", "_")
        together = run(place / "together", five, seed, shared)
        for name, extra in NEW.items():
            own = [f"init={place / 'together'}" if word == "init" else word for word in extra]
            result = run(place / f"p6_{name.replace(' ', '_')}", [few], seed, [*shared, *own])
            keep(f"p6, {FEW} sentences, {name}", result["per"], result["cpu_s"])
        people: dict[str, float] = together["per_by_participant"]  # type: ignore[assignment]
        for root in five:
            alone = run(place / f"{root.name}_alone", [root], seed, shared)
            keep(f"{root.name} alone", alone["per"], alone["cpu_s"])
            keep(f"{root.name} of five together", people[root.name], together["cpu_s"])
        print(table(found, seconds), flush=True)


if __name__ == "__main__":
    main()
