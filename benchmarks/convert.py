"""How fast `mode-ssm convert` writes trials of T15's size, and how much memory it takes, whatever their number.

    OMP_NUM_THREADS=1 python benchmarks/convert.py [--trials 100 1000] [--runs 3] [--result FILE.md]

The trials are noise of 512 channels and 600 to 1,200 frames (900 on average) in one .npz of one session, uncompressed,
in a temporary folder. Each run is a process of its own; its peak memory is what the system says of it, and beside it
what it holds once its modules are imported. Seconds are those of the conversion, with the SHA-256 of what it wrote.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from starting import start

from mode_ssm.files import replace_text

RESULT = Path(__file__).parent / "results" / "convert.md"
CHANNELS, SHORTEST, LONGEST = 512, 600, 1200
LABELS = 35  # of a trial
MB = 1e6
RUN = """
import json, resource, sys, time
from mode_ssm.cli import main
from mode_ssm.commands import convert
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before, began = peak(), time.perf_counter()
try:
    main(sys.argv[1:])
finally:
    print(json.dumps({"seconds": time.perf_counter() - began, "imported": before, "peak": peak()}))
"""


class Measured(NamedTuple):
    trials: int
    size: int  # bytes of the features
    seconds: list[float]
    imported: list[float]  # bytes
    peak: list[float]


def write_source(folder: Path, trials: int) -> int:
    """A session of so many trials, trial by trial; returns the bytes of its features."""
    random = np.random.default_rng(trials)
    frames = random.integers(SHORTEST, LONGEST + 1, trials)
    folder.mkdir()
    arrays: dict[str, Any] = {
        "offsets": np.cumsum([0, *frames]),
        "labels": random.integers(1, 41, trials * LABELS),
        "label_offsets": np.arange(trials + 1) * LABELS,
        "sentences": np.array([f"sentence {number}" for number in range(trials)]),
    }
    path = folder / "p1.2026.01.31.npz"
    np.savez(path, **arrays)
    with zipfile.ZipFile(path, "a") as file, file.open("features.npy", "w", force_zip64=True) as stream:
        shape = (int(frames.sum()), CHANNELS)
        npy.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for length in frames:
            stream.write(random.standard_normal((length, CHANNELS), dtype=np.float32).tobytes())
    return shape[0] * CHANNELS * 4


def measure(trials: int, runs: int) -> Measured:
    with tempfile.TemporaryDirectory() as at:
        size = write_source(Path(at) / "source", trials)
        found = [convert(Path(at), f"out{number}") for number in range(runs)]
    return Measured(trials, size, *([each[name] for each in found] for name in ("seconds", "imported", "peak")))


def convert(at: Path, out: str) -> dict[str, float]:
    words = ["convert", f"from=npz:{at / 'source'}", f"out={at / out}"]
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def table(measured: Sequence[Measured], runs: int, command: str) -> str:
    lines = [
        "# Converting to the T15 layout",
        "",
        f"`{command}`, {runs} runs each, mean (least to most). Trials of {CHANNELS} channels and {SHORTEST} to "
        f"{LONGEST:,} frames, in one uncompressed .npz. {os.cpu_count()} cores, shared with other work; Python "
        f"{sys.version_info.major}.{sys.version_info.minor}, NumPy {np.__version__}.",
        "",
        "| trials | features, MB | seconds | trials a second | MB a second | peak memory, MB | of it modules |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in measured:
        rates = [each.trials / seconds for seconds in each.seconds]
        flows = [each.size / MB / seconds for seconds in each.seconds]
        memory = ([value / MB for value in values] for values in (each.peak, each.imported))
        cells = [spread(each.seconds, 1), spread(rates, 0), spread(flows, 0), *(spread(values, 0) for values in memory)]
        lines.append(f"| {each.trials:,} | {each.size / MB:,.0f} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def spread(values: Sequence[float], digits: int) -> str:
    return f"{mean(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    measured = [measure(trials, options.runs) for trials in options.trials]
    text = table(measured, options.runs, "OMP_NUM_THREADS=1 python benchmarks/convert.py")
    replace_text(options.result, text)
    print(text)


if __name__ == "__main__":
    start(main)
