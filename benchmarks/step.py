"""Time of one training step (forward, both losses, backward, clipping, AdamW), beside another checkout of the project.

    python benchmarks/step.py --beside OTHER/src --repeats 9
    python benchmarks/step.py --parts

Each tree has a process of its own, of one thread, and the processes take turns; what counts is the processor time of a
step, in medians, and its ratio to that of the first row. `kept` keeps freed memory (mode_ssm.memory). --parts times
what stands in place of PyTorch's own, forward and backward, on (8, 880, 512) features. Figures are kept in
benchmarks/results/step.json, where a later run replaces what it measures.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

AN4 = (
    "preprocessor.num_channels=13 preprocessor.softsign=false encoder.width=192 encoder.layers=5 predictor.width=128"
).split()
SHAPES = {  # trials, frames, channels, labels, and the settings of the network
    "512 channels": (8, 880, 512, 30, []),
    "AN4": (16, 270, 13, 21, AN4),
}
SESSIONS = 45
Step = Callable[[], object]


def training_step(shape: str) -> Step:
    """A step of the tree that PYTHONPATH names: it uses no more than trees of any age have."""
    from mode_ssm.batch import Batch
    from mode_ssm.config import TrainConfig
    from mode_ssm.losses import fused_rnnt_loss
    from mode_ssm.models.joiner import TanhJoiner
    from mode_ssm.models.model import ModeSSM
    from mode_ssm.settings import read_settings

    trials, frames, channels, size, words = SHAPES[shape]
    model = ModeSSM(read_settings(TrainConfig, words), SESSIONS).train()
    assert isinstance(model.joiner, TanhJoiner)
    output = model.joiner.output
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    features = torch.randn(trials, frames, channels)
    labels, sizes = torch.randint(1, 41, (trials, size)), torch.full((trials,), size)
    known = {"new_sessions": False} if "new_sessions" in Batch._fields else {}
    lengths, sessions = torch.full((trials,), frames), torch.arange(trials)
    batch = Batch(features, lengths, labels, sizes, sessions, (), (), **known)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        encoded = model.encode(batch)
        ctc = F.ctc_loss(model.ctc_log_probs(encoded.frames).transpose(0, 1), labels, encoded.lengths, sizes)
        sides = model.transducer_inputs(encoded.frames, labels)
        rnnt = fused_rnnt_loss(*sides, output.weight, output.bias, labels, encoded.lengths, sizes)
        (0.3 * ctc + rnnt / size).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def parts() -> dict[str, Step]:
    from mode_ssm.models.convolution import cut_patches, project_patches
    from mode_ssm.models.pointwise import Dropout, softsign

    features = torch.randn(8, 880, 512, requires_grad=True)
    weight, bias = torch.randn(512, 14 * 512, requires_grad=True), torch.zeros(512, requires_grad=True)
    sizes = {"patch": 14, "stride": 4}
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "softsign": softsign,
        "softsign of torch": F.softsign,
        "dropout": Dropout(0.3),
        "dropout of torch": torch.nn.Dropout(0.3),
        "patches": lambda x: project_patches(x, weight, bias, **sizes),
        "patches unfolded": lambda x: F.linear(cut_patches(x, **sizes), weight, bias),
    }

    def both_ways(way: Callable[[Tensor], Tensor]) -> None:
        out = way(features)
        torch.autograd.grad(out, [features, weight, bias], torch.ones_like(out), allow_unused=True)

    return {name: partial(both_ways, way) for name, way in ways.items()}


def serve(steps: dict[str, Step]) -> None:
    """Run a step for each name that comes in, and answer with its seconds of processor time."""
    for line in sys.stdin:
        start = time.process_time()
        steps[line.strip()]()
        print(time.process_time() - start, flush=True)


class Contender:
    """A process that waits for its turns."""

    def __init__(self, source: Path, work: str, *, kept: bool = False) -> None:
        command = [sys.executable, __file__, "--serve", work, *(["--kept"] if kept else [])]
        environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        self._source = source
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, step: str) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(step, file=self._process.stdin, flush=True)
        if not (answer := self._process.stdout.readline()):
            raise SystemExit(f"step: the process of {self._source} ended, for what it says above.")
        return float(answer)

    def end(self) -> None:
        self._process.communicate()


def in_turns(turns: dict[str, tuple[Contender, str]], repeats: int) -> dict[str, float]:
    """Medians in ms, after a turn of each that does not count."""
    took = [{name: one.seconds(step) for name, (one, step) in turns.items()} for _ in range(repeats + 1)][1:]
    for contender in {one for one, _ in turns.values()}:
        contender.end()
    return {name: 1e3 * statistics.median(turn[name] for turn in took) for name in turns}


def table(figures: dict[str, dict[str, float]]) -> str:
    lines = ["| step | | ms | ratio |", "|---|---|---|---|"]
    for step, rows in figures.items():
        first = next(iter(rows.values()))
        lines += [f"| {step} | {name} | {ms:.1f} | {ms / first:.2f} |" for name, ms in rows.items()]
    return "\n".join([*lines, "", "Medians of processor time, one thread: `python benchmarks/step.py`.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beside", type=Path, help="the src folder of another checkout, the first row")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--parts", action="store_true", help="the parts alone, against PyTorch's own")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--kept", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.kept:
        from mode_ssm.memory import keep_freed_memory

        assert keep_freed_memory()
    if arguments.serve:
        serve(parts() if arguments.serve == "parts" else {"step": training_step(arguments.serve)})
        return
    import kept

    here = Path(__file__).parent.parent / "src"
    path = kept.file_of("step", torch.device("cpu"))
    figures = kept.read(path)
    if arguments.parts:
        contender = Contender(here, "parts")
        took = in_turns({name: (contender, name) for name in parts()}, arguments.repeats)
        for name in ("softsign", "dropout", "patches"):
            figures[name] = {way: ms for way, ms in reversed(took.items()) if way.startswith(name)}
    else:
        for shape in arguments.shapes:
            turns = {"beside": (Contender(arguments.beside, shape), "step")} if arguments.beside else {}
            turns["this tree"] = (Contender(here, shape), "step")
            turns["this tree, kept"] = (Contender(here, shape, kept=True), "step")
            figures[shape] = in_turns(turns, arguments.repeats)
    kept.write(path, figures, table(figures))


if __name__ == "__main__":
    main()
