"""Time and memory of the encoder: a layer and the whole, their growth with the length, and the streaming step.

    python benchmarks/encoder.py --parts layers small whole growth streaming --repeats 7

The contenders of a part take turns in one process, one thread, and the tables have medians. Memory is the peak of
resident memory over that of the process with its module and frames in place, each in a fresh process. Results are kept
in benchmarks/results, where a later run replaces the parts that it measures. With --device cuda memory is the
allocator's peak. The process that is timed keeps what it frees (mode_ssm.memory). --clock cpu counts the processor time
of the process, for a machine that does other work as well.
"""

import argparse
import ctypes
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import kept
import torch
from encoder_contenders import CONTENDERS, LAYERS, SMALL, STACKS, Shape
from encoder_table import table
from torch import Tensor, nn

from mode_ssm.config import (
    Direction,
    ModelConfig,
    Smoothing,
    SSMEncoderConfig,
    StatelessPredictorConfig,
    TanhJoinerConfig,
)
from mode_ssm.memory import keep_freed_memory
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.stream import EncoderStream

SHAPES = {"layers": [Shape(8, 500, 512), Shape(1, 2000, 512), Shape(64, 216, 512)], "small": [Shape(16, 64, 192)]}
SHAPES["whole"] = SHAPES["layers"]
PARTS = {"layers": LAYERS, "small": SMALL, "whole": STACKS}
GROWTH_FRAMES = [250, 500, 1000, 2000, 4000, 8000, 16000]
GROWING = ["SSM, bidirectional", "SSM, causal"]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def draw(name: str, shape: Shape, device: torch.device) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    module = CONTENDERS[name](shape.width).to(device)
    return module, torch.randn(shape, device=device, requires_grad=True)


def train_step(module: nn.Module, frames: Tensor, dtype: torch.dtype) -> None:
    for parameter in module.parameters():
        parameter.grad = None
    frames.grad = None
    with torch.autocast(frames.device.type, dtype, enabled=dtype is not torch.float32):
        out = module(frames)
    out.float().sum().backward()


@torch.inference_mode()
def inference(module: nn.Module, frames: Tensor, dtype: torch.dtype) -> None:
    module.eval()
    with torch.autocast(frames.device.type, dtype, enabled=dtype is not torch.float32):
        module(frames)


def seconds(run: Callable[[], None], arguments: argparse.Namespace) -> float:
    clock = CLOCKS[arguments.clock]
    _wait(arguments.device)
    start = clock()
    run()
    _wait(arguments.device)
    return clock() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def in_turns(runs: dict[str, Callable[[], None]], arguments: argparse.Namespace) -> dict[str, float]:
    """Medians in ms of interleaved runs, after one of each that does not count."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(arguments.repeats + 1):
        for name, run in runs.items():
            one = seconds(run, arguments)
            if turn:
                took[name].append(one)
    return {name: 1e3 * statistics.median(all_of_it) for name, all_of_it in took.items()}


def compare(part: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Training step, inference and memory of each contender of a part at each shape."""
    rows: dict[str, Any] = {}
    for shape in SHAPES[part] if arguments.shape is None else [SHAPES[part][arguments.shape]]:
        drawn = {name: draw(name, shape, arguments.device) for name in PARTS[part]}
        train = in_turns({n: partial(train_step, *d, arguments.dtype) for n, d in drawn.items()}, arguments)
        infer = in_turns({n: partial(inference, *d, arguments.dtype) for n, d in drawn.items()}, arguments)
        rows["x".join(map(str, shape))] = {
            name: {
                "parameters": sum(p.numel() for p in module.parameters()),
                "train_ms": train[name],
                "inference_ms": infer[name],
                "train_mb": in_fresh_process(name, shape, arguments),
            }
            for name, (module, _) in drawn.items()
        }
    return rows


def in_fresh_process(name: str, shape: Shape, arguments: argparse.Namespace) -> float:
    dtype = str(arguments.dtype).removeprefix("torch.")
    options = ["--memory-of", name, *map(str, shape), "--device", str(arguments.device), "--dtype", dtype]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def peak_megabytes(name: str, shape: Shape, device: torch.device, dtype: torch.dtype) -> float:
    """Of a training step, over the process with module, gradients and frames in place; for a fresh process."""
    module, frames = draw(name, shape, device)
    train_step(module, frames[:1, :16].detach().requires_grad_(), dtype)
    frames.grad = torch.zeros_like(frames)
    if device.type == "cuda":
        base = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        train_step(module, frames, dtype)
        return (torch.cuda.max_memory_allocated() - base) / 1e6
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _resident_megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    train_step(module, frames, dtype)
    return _resident_megabytes("VmHWM") - before


def _resident_megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def growth(arguments: argparse.Namespace) -> dict[str, Any]:
    """Training step of one layer, one trial, against its length; the exponent is a fit of log time to log length."""
    rows: dict[str, Any] = {}
    for name in GROWING:
        times = {}
        for frames in GROWTH_FRAMES:
            drawn = draw(name, Shape(1, frames, 512), arguments.device)
            times[str(frames)] = in_turns({name: partial(train_step, *drawn, arguments.dtype)}, arguments)[name]
        logs = torch.tensor([GROWTH_FRAMES, list(times.values())], dtype=torch.float64).log()
        slope = torch.linalg.lstsq(torch.stack([logs[0], torch.ones(len(times))], 1), logs[1, :, None]).solution[0]
        rows[name] = {"train_ms": times, "exponent": float(slope)}
    return rows


def streaming(arguments: argparse.Namespace) -> dict[str, Any]:
    """One encoder frame of the default causal network, from four feature frames to both heads, in microseconds."""
    config = ModelConfig(encoder=SSMEncoderConfig(direction=Direction.causal))
    config.preprocessor.smoothing = Smoothing.causal
    config.predictor, config.joiner = StatelessPredictorConfig(), TanhJoinerConfig()
    model = ModeSSM(config, num_sessions=45).eval().to(arguments.device)
    stream = EncoderStream(model, session_index=0)
    predicted, _ = model.predict(torch.zeros(1, dtype=torch.int64, device=arguments.device), model.initial(1))
    features = torch.randn(400 * 4, 512, device=arguments.device)
    stream.extend(features[:10])
    took = []
    with torch.inference_mode():
        for start in range(10, len(features) - 4, 4):
            took.append(seconds(partial(_heads, model, stream, features[start : start + 4], predicted), arguments))
    microseconds = sorted(1e6 * one for one in took[20:])
    at = {"p50": 0.5, "p95": 0.95}
    return {name: microseconds[int(share * len(microseconds))] for name, share in at.items()}


def _heads(model: ModeSSM, stream: EncoderStream, piece: Tensor, predicted: Tensor) -> None:
    frames = stream.extend(piece)
    model.ctc_log_probs(frames)
    model.join(model.transducer.joiner.encoder_projection(frames), predicted)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = [*PARTS, "growth", "streaming"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--shape", type=int, help="only this shape of the part, counted from 0")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--dtype", type=lambda name: getattr(torch, name), default=torch.float32)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--memory-of", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(1)
    if arguments.memory_of:
        name, *shape = arguments.memory_of
        print(peak_megabytes(name, Shape(*map(int, shape)), arguments.device, arguments.dtype))
        return
    keep_freed_memory()
    path = kept.file_of("encoder", arguments.device)
    results = kept.read(path)
    for part in arguments.parts:
        measured = {"growth": growth, "streaming": streaming}.get(part, lambda a, p=part: compare(p, a))(arguments)
        results[part] = {**results.get(part, {}), **measured}
    results["settings"] = {"torch": torch.__version__, "clock": arguments.clock, "dtype": str(arguments.dtype)}
    kept.write(path, results, table(results))


if __name__ == "__main__":
    main()
