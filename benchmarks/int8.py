"""Weights of 8 bits while streaming: errors and times beside float32, in turns.

    python benchmarks/int8.py NAME=RUN[:DIR] ... [--trials N]

RUN is of a causal network; the val trials of DIR (without it, of the root that it was trained on) go through its stream
as `mode-ssm live` reads them, with both kinds of weights, and through the greedy search of each trained head. The time
is that of an encoder frame from its feature frames to phonemes, by the processor's clock of one thread; both kinds take
each trial in turns. Writes benchmarks/results/int8.json and .md.
"""

import argparse
import time
from statistics import median
from typing import Any, NamedTuple

import kept
import numpy as np
import torch

from mode_ssm.batch import Trial
from mode_ssm.config import DataConfig, Device
from mode_ssm.data import spread
from mode_ssm.live.events import Begin
from mode_ssm.live.spoken import Heard, SpokenTrials
from mode_ssm.recognition.network import Recogniser, load_recogniser
from mode_ssm.scoring import ErrorRate, edit_counts, total

KINDS = {"float32": False, "int8": True}


class Played(NamedTuple):
    errors: ErrorRate
    milliseconds: list[float]  # of each step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN[:DIR]")
    parser.add_argument("--trials", type=int, help="of each run, evenly spread; without it all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    place = kept.file_of("int8", torch.device("cpu"))
    figures = kept.read(place)
    for word in arguments.runs:
        name, _, rest = word.partition("=")
        run, _, data = rest.partition(":")
        figures[name] = measure(load_recogniser(run, Device.cpu), DataConfig(data_root=data), arguments.trials)
        kept.write(place, figures, table(figures))


def measure(recogniser: Recogniser, data: DataConfig, most: int | None) -> dict[str, Any]:
    dataset = recogniser.open(data, "val", labelled=True)
    every = list(range(len(dataset)))
    places = every if most is None else spread(every, most)
    trials = [trial for place in places if isinstance(trial := dataset[place], Trial)]
    model = recogniser.model
    read = sum(p.numel() for part in (model.preprocessor, model.encoder) for p in part.parameters())
    figures: dict[str, Any] = {"trials": len(trials), "of": len(places), "weights": read}
    for head in recogniser.heads:
        streams = {kind: SpokenTrials(recogniser, head, None, int8=int8) for kind, int8 in KINDS.items()}
        played: dict[str, list[Played]] = {kind: [] for kind in KINDS}
        for trial in trials:
            for kind, stream in streams.items():
                played[kind].append(play(recogniser, stream, trial))
        for kind, several in played.items():
            errors = total(one.errors for one in several)
            times = sorted(ms for one in several for ms in one.milliseconds)
            figures["phonemes"] = errors.reference_length
            figures[f"{head} {kind}"] = {
                "per": 100 * errors.rate,
                "p50_ms": median(times),
                "p99_ms": times[int(0.99 * len(times))],
            }
    return figures


def play(recogniser: Recogniser, stream: SpokenTrials, trial: Trial) -> Played:
    symbols = recogniser.checkpoint.labels.symbols
    assert trial.labels is not None, "the split is labelled"
    heard: list[str] = []
    milliseconds = []
    stream.begin(Begin(trial.key.session))
    stride = recogniser.checkpoint.config.preprocessor.stride_frames
    features = trial.features.numpy().astype(np.float32)
    for first in range(0, len(features), stride):
        started = time.process_time()
        step = stream.extend(features[first : first + stride])
        if step is not None:
            milliseconds.append(1000 * (time.process_time() - started))
            heard += [phoneme for told in step.told if isinstance(told, Heard) for phoneme in told.phonemes]
    return Played(edit_counts([symbols[label] for label in trial.labels], heard), milliseconds)


def table(figures: dict[str, Any]) -> str:
    """A row for each run and head."""
    lines = [
        "# Weights of 8 bits while streaming",
        "",
        "`python benchmarks/int8.py NAME=RUN ...`; val trials, greedy phonemes; a step is an encoder frame from its",
        "feature frames to phonemes on one thread, in processor time, both kinds in turns.",
        "",
        "| network | weights read a step | trials, phonemes | head | PER float32 | int8 | p50, p99 float32 | int8 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in figures.items():
        for head in ("ctc", "rnnt"):
            if f"{head} int8" not in run:
                continue
            plain, packed = run[f"{head} float32"], run[f"{head} int8"]
            lines.append(
                f"| {name} | {run['weights'] / 1e6:.1f} M | {run['trials']} of {run['of']}, {run['phonemes']} | {head} "
                f"| {plain['per']:.2f} % | {packed['per']:.2f} % | {plain['p50_ms']:.1f}, {plain['p99_ms']:.1f} ms "
                f"| {packed['p50_ms']:.1f}, {packed['p99_ms']:.1f} ms |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
