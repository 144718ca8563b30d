"""What it costs to z-score features by the trials before them, as while someone speaks, and not by their block.

    python benchmarks/normalisation.py [--seeds 0 1] [--preset demo]

The same simulated recordings are written twice, z-scored over each block and as they come from electrodes, and the same
network is trained on both, on the second with preprocessor.normalisation=running. Writes
benchmarks/results/normalisation.json and .md, and data and runs to --work, where an interrupted benchmark goes on.
"""

import argparse
from pathlib import Path
from statistics import mean

import kept
import torch

from mode_ssm.commands.evaluate import decode
from mode_ssm.config import Decoder, EvaluateConfig, SimulateConfig, TrainConfig
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.scoring import total
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.training.loop import train

WAYS = {  # by name: of the recordings, of the network
    "block": (["normalised=true"], ["preprocessor.normalisation=none"]),
    "running": (["normalised=false"], ["preprocessor.normalisation=running"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/normalisation"))
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--experiment", default="demo")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = kept.RESULTS / "normalisation.json"
    figures = kept.read(path)
    for seed in options.seeds:
        for way, (recorded, trained) in WAYS.items():
            data, run = options.work / f"{way}-{options.preset}-{seed}", options.work / f"{way}-{seed}-run"
            simulate(
                read_settings(SimulateConfig, [f"out={data}", f"preset={options.preset}", f"seed={seed}", *recorded])
            )
            words = [f"experiment={options.experiment}", f"data.data_root={data}", f"output_dir={run}", *trained]
            train(read_settings(TrainConfig, [*words, f"training.seed={seed}", "training.resume=auto"]))
            figures[f"{way} {seed}"] = {head.value: _rate(run, head) for head in Decoder}
            kept.write(path, figures, _table(figures, options))


def _rate(run: Path, head: Decoder) -> dict[str, float]:
    config = read_settings(EvaluateConfig, [f"checkpoint={run}", f"decoder={head.value}"])
    results = decode(load_recogniser(str(run)), config).results
    rate = total(result.errors for result in results)
    return {"per": rate.rate, "trials": len(results), "labels": rate.reference_length}


def _table(figures: dict[str, dict[str, dict[str, float]]], options: argparse.Namespace) -> str:
    lines = [
        "# z-scores of the block, and of the trials before",
        "",
        f"`python benchmarks/normalisation.py --seeds {' '.join(map(str, options.seeds))} --preset {options.preset}`: "
        "simulated recordings, far easier than real ones.",
        "",
        "| normalised by | seed | val PER, ctc (%) | val PER, rnnt (%) | trials |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, heads in figures.items():
        way, seed = name.split()
        rates = " | ".join(f"{100 * heads[head.value]['per']:.2f}" for head in Decoder)
        lines.append(f"| {way} | {seed} | {rates} | {heads['ctc']['trials']} |")
    for way in WAYS:
        own = [heads for name, heads in figures.items() if name.startswith(way)]
        if own:
            rates = " | ".join(f"{100 * mean(heads[head.value]['per'] for heads in own):.2f}" for head in Decoder)
            lines.append(f"| {way} | mean | {rates} | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
