"""Weights of 8 bits while streaming: errors and times beside float32, in turns.

    python benchmarks/int8.py NAME=RUN[:DIR] ... [--trials N] [--noise SD] [--split train]

RUN is of a causal network; the val trials of DIR (without it, of the root that it was trained on) go through its stream
as `mode-ssm live` reads them, with both kinds of weights, and through the greedy search of each trained head; --noise
makes them harder where hardly an error is left, by the same white noise for both. Times are those of an encoder frame
by the processor's clock of one thread, from its feature frames to phonemes, and of the encoder with what is before it;
both kinds take each trial in turns. Writes benchmarks/results/int8.json and .md.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
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
from mode_ssm.recognition.stream import EncoderStream
from mode_ssm.scoring import ErrorRate, edit_counts, total

KINDS = {"float32": False, "int8": True}
TIMED = 40  # trials


class Played(NamedTuple):
    errors: ErrorRate
    milliseconds: list[float]  # of each step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN[:DIR]")
    parser.add_argument("--trials", type=int, help="of each run, evenly spread; without it all")
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation; features have 1")
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    place = kept.file_of("int8", torch.device("cpu"))
    figures = kept.read(place)
    for word in arguments.runs:
        name, _, rest = word.partition("=")
        run, _, data = rest.partition(":")
        recogniser = load_recogniser(run, Device.cpu)
        trials, of = read(recogniser, DataConfig(data_root=data), arguments)
        figures[name] = {"trials": len(trials), "of": of, "noise": arguments.noise, "split": arguments.split}
        figures[name] |= measure(recogniser, trials)
        kept.write(place, figures, table(figures))


def read(recogniser: Recogniser, data: DataConfig, arguments: argparse.Namespace) -> tuple[list[Trial], int]:
    """Trials with their noise, and of how many they are those that could be read."""
    dataset = recogniser.open(data, arguments.split, labelled=True)
    every = list(range(len(dataset)))
    places = every if arguments.trials is None else spread(every, arguments.trials)
    trials = [trial for place in places if isinstance(trial := dataset[place], Trial)]
    torch.manual_seed(0)
    noisy = [replace(t, features=t.features + arguments.noise * torch.randn_like(t.features)) for t in trials]
    return noisy, len(places)


def measure(recogniser: Recogniser, trials: Sequence[Trial]) -> dict[str, Any]:
    model = recogniser.model
    weights = sum(p.numel() for part in (model.preprocessor, model.encoder) for p in part.parameters())
    figures: dict[str, Any] = {"weights": weights}
    alone: dict[str, list[float]] = {kind: [] for kind in KINDS}
    encoders = {kind: EncoderStream(model, 0, int8=int8) for kind, int8 in KINDS.items()}
    for trial in trials[:TIMED]:
        for kind, encoder in encoders.items():
            alone[kind] += encoder_times(recogniser, encoder, trial)
    figures |= {f"encoder {kind}": percentiles(times) for kind, times in alone.items()}
    for head in recogniser.heads:
        streams = {kind: SpokenTrials(recogniser, head, None, int8=int8) for kind, int8 in KINDS.items()}
        played: dict[str, list[Played]] = {kind: [] for kind in KINDS}
        for trial in trials:
            for kind, stream in streams.items():
                played[kind].append(play(recogniser, stream, trial))
        for kind, several in played.items():
            errors = total(one.errors for one in several)
            times = [ms for one in several for ms in one.milliseconds]
            figures["phonemes"] = errors.reference_length
            figures[f"{head} {kind}"] = {"per": 100 * errors.rate, "edits": errors.edits, **percentiles(times)}
    return figures


def percentiles(times: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": median(times), "p99_ms": sorted(times)[int(0.99 * len(times))]}


def encoder_times(recogniser: Recogniser, stream: EncoderStream, trial: Trial) -> list[float]:
    """Processor time of each encoder frame, in ms."""
    stream.start(0)
    times = []
    for piece in trial.features.float().split(recogniser.checkpoint.config.preprocessor.stride_frames):
        started = time.process_time()
        if len(stream.extend(piece)):
            times.append(1000 * (time.process_time() - started))
    return times


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
        "`python benchmarks/int8.py NAME=RUN ... [--noise SD] [--split SPLIT]`; greedy phonemes, noise of one seed;",
        "times of an encoder frame on one thread, p50 and p99 in ms of processor time, both kinds of weights in turns:",
        "of the encoder with what is before it, and from feature frames to phonemes.",
        "",
        "| network | weights read | trials | noise | head | phonemes | edits float32 | int8 | PER float32 | int8 "
        "| encoder float32 | int8 | to phonemes float32 | int8 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, run in figures.items():
        trials = f"{run['trials']} of {run['of']}, {run['split']}"
        for head in [head for head in ("ctc", "rnnt") if f"{head} int8" in run]:
            kinds = [run[f"{head} {kind}"] for kind in KINDS]
            cells = [name, f"{run['weights'] / 1e6:.1f} M", trials, run["noise"], head, run["phonemes"]]
            cells += [each["edits"] for each in kinds] + [f"{each['per']:.2f} %" for each in kinds]
            cells += [
                f"{each['p50_ms']:.1f}, {each['p99_ms']:.1f}"
                for each in (*(run[f"encoder {kind}"] for kind in KINDS), *kinds)
            ]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
