"""Time, memory and gradient error of a transducer step: joiner, loss and backward, fused and not.

    python benchmarks/transducer.py --shapes A B C D --threads 1 2 --repeats 7

The steps of a shape take turns in one process, each turn on inputs drawn anew, since how many cells are occupied and so
how long the fused backward takes depends on the draw; the table has medians, and medians of the ratios within a turn.
Memory is the peak of resident memory over that of the process with its inputs in place, each step in a fresh process.
Results are kept in benchmarks/results, where a later run replaces the shapes that it measures, or adds turns (--add).
With --device cuda memory is the allocator's peak. On a machine that others use, --clock cpu is the steadier clock.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kept
import torch
from transducer_steps import SHAPES, STEPS, Inputs, draw, gradient_errors, has_peer, matrix_floor, occupied_share
from transducer_table import FLOOR, PEER, table

from mode_ssm.errors import InputError

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def timed(step: Callable[[Inputs], None], given: Inputs, clock: Callable[[], float]) -> float:
    for tensor in given.learned:
        tensor.grad = None
    _wait(given)
    start = clock()
    step(given)
    _wait(given)
    return clock() - start


def _wait(given: Inputs) -> None:
    if given.encoder.is_cuda:
        torch.cuda.synchronize()


def step_seconds(name: str, arguments: argparse.Namespace, first_seed: int) -> dict[str, Any]:
    """Interleaved turns, after one that does not count."""
    steps = [step for step in STEPS if step != PEER or has_peer()]
    seconds: dict[str, list[float]] = {step: [] for step in [*steps, FLOOR]}
    shares = []
    for turn in range(-1, arguments.repeats):
        given = draw(SHAPES[name], arguments.device, arguments.dtype, first_seed + max(turn, 0))
        share = occupied_share(given)
        runs = {step: STEPS[step] for step in steps} | {FLOOR: matrix_floor(SHAPES[name], share)}
        took = {step: timed(run, given, CLOCKS[arguments.clock]) for step, run in runs.items()}
        if turn >= 0:
            shares.append(share)
            for step, each in took.items():
                seconds[step].append(each)
    return {"occupied": shares, "seconds": seconds}


def step_megabytes(name: str, step: str, device: torch.device, dtype: torch.dtype) -> float:
    """Peak over the process with inputs, after one short trial has loaded what any step loads; for a fresh process."""
    warm_up = SHAPES[name]._replace(frames=[64], labels=[20])
    STEPS[step](draw(warm_up, device, dtype))
    given = draw(SHAPES[name], device, dtype)
    if given.encoder.is_cuda:
        base = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        STEPS[step](given)
        return (torch.cuda.max_memory_allocated() - base) / 1e6
    _return_free_memory()
    before = _resident_megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    STEPS[step](given)
    return _resident_megabytes("VmHWM") - before


def _return_free_memory() -> None:
    import ctypes

    ctypes.CDLL("libc.so.6").malloc_trim(0)


def _resident_megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6


def in_fresh_process(name: str, step: str, arguments: argparse.Namespace) -> float:
    dtype = str(arguments.dtype).removeprefix("torch.")
    options = ["--memory-of", step, "--shapes", name, "--device", str(arguments.device), "--dtype", dtype]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def measure(results: dict[str, Any], name: str, threads: int, arguments: argparse.Namespace) -> None:
    """Into results: one shape with so many threads."""
    torch.set_num_threads(threads)
    key = f"{name}, {threads} thread{'s'[: threads - 1]}, {str(arguments.dtype).removeprefix('torch.')}"
    row = results["shapes"].get(key) if arguments.add else None
    if row is None:
        memory = {step: in_fresh_process(name, step, arguments) for step in STEPS if step != PEER or has_peer()}
        row = {"size": SHAPES[name].size, "clock": arguments.clock, "megabytes": memory, "occupied": [], "seconds": {}}
    if row["clock"] != arguments.clock:
        raise InputError(f"{key} was measured with --clock {row['clock']}; add turns with the same, or replace it")
    turns = step_seconds(name, arguments, len(row["occupied"]))
    row["occupied"] += turns["occupied"]
    for step, took in turns["seconds"].items():
        row["seconds"][step] = row["seconds"].get(step, []) + took
    results["shapes"][key] = row


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", default=["A", "B", "C", "D"], choices=SHAPES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--dtype", type=lambda name: getattr(torch, name), default=torch.float32)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--add", action="store_true", help="add turns to those kept")
    parser.add_argument("--memory-of", choices=STEPS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.memory_of:
        torch.set_num_threads(1)
        print(step_megabytes(arguments.shapes[0], arguments.memory_of, arguments.device, arguments.dtype))
        return
    path = kept.file_of("transducer", arguments.device)
    results = kept.read(path) or {"shapes": {}}
    for shape in arguments.shapes:
        for threads in arguments.threads:
            measure(results, shape, threads, arguments)
    results |= {"torch": torch.__version__, "errors": gradient_errors(arguments.device)}
    kept.write(path, results, table(results))


if __name__ == "__main__":
    main()
