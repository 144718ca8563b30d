"""What makes joint CTC + RNN-T training die, one cause at a time: a table and a picture.

    python benchmarks/stability.py                 # all cells, about an hour of one CPU core
    python benchmarks/stability.py --only padded   # the cells whose name has this word

Data: `mode-ssm simulate preset=demo`, 512 channels, with one encoder frame per feature frame, so that a trial has as
many encoder frames as a T15 trial has at a stride of four. For each batch (1 x 4 trials, 32 trials) one CTC warm-up is
trained; every cell continues from it with the joint stage of its own settings, 240 and 48 updates. A cell that is in
results/stability.json already is not run again: move that file away to measure all anew. The faults
(`stability_faults`) exist in this benchmark only.
"""

import argparse
import shutil
import statistics
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kept
import torch
from stability_faults import float16_lattice, padded_labels
from stability_show import draw, table
from starting import start

from mode_ssm.config import RNNTScaling, SimulateConfig, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.memory import keep_freed_memory
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics

FAULTS = {"padded": padded_labels, "float16 lattice": float16_lattice}
COMMON = [
    "experiment=demo",
    "preprocessor.stride_frames=1",
    "encoder.stochastic_depth=0.1",  # as it was recorded
    "training.resume=auto",
    "training.max_skipped_in_a_row=100",
    "training.optimizer.lr=1e-3",
    "training.schedule.warmup_updates=30",
]


@dataclass(frozen=True)
class Base:
    """The settings that one factor at a time is changed in."""

    name: str
    batch: list[str]
    warmup_epochs: int
    joint_epochs: int
    joint: list[str]


@dataclass(frozen=True)
class Cell:
    base: Base
    name: str
    settings: list[str]
    faults: list[str]

    @property
    def key(self) -> str:
        return f"{self.base.name}: {self.name}"


USER = Base(
    "user (1 x 4)",
    ["training.batch_size=1", "training.gradient_accumulation_steps=4"],
    warmup_epochs=5,
    joint_epochs=4,
    joint=["training.optimizer.lr=5e-5", "losses.rnnt_scaling=sequence_length"],
)
OURS = Base(
    "ours (32)",
    ["training.batch_size=32"],
    warmup_epochs=16,
    joint_epochs=6,
    joint=["training.optimizer.lr=1e-3", "losses.rnnt_scaling=sequence_length"],
)
BASES = [USER, OURS]


def cells() -> list[Cell]:
    raw, fast = "losses.rnnt_scaling=none", "training.optimizer.lr=5e-3"
    changes: list[tuple[str, list[str], list[str]]] = [("as it is", [], [])]
    changes += [(f"scaling {s.value}", [f"losses.rnnt_scaling={s.value}"], []) for s in RNNTScaling]
    changes += [("labels padded", [], ["padded"]), ("float16 lattice", [], ["float16 lattice"])]
    changes += [("bf16", ["training.precision=bf16-mixed"], [])]
    changes += [(f"lr {lr}", [f"training.optimizer.lr={lr}"], []) for lr in ("5e-5", "5e-4", "5e-3")]
    changes += [("ramp", ["training.stages.1.rnnt_ramp_updates=30"], [])]
    changes += [("none + lr 5e-3", [raw, fast], []), ("none + padded", [raw], ["padded"])]
    changes += [("none + padded + lr 5e-3", [raw, fast], ["padded"])]
    changes += [("padded + float16 lattice", [], ["padded", "float16 lattice"])]
    changes += [("none + padded + float16 lattice", [raw], ["padded", "float16 lattice"])]
    return [
        Cell(base, name, words, faults)
        for base in BASES
        for name, words, faults in changes
        if faults or not words or not set(words) <= set(base.joint)
    ]


def settings(cell: Cell | Base, data: Path, run: Path) -> TrainConfig:
    base = cell.base if isinstance(cell, Cell) else cell
    own = [*base.joint, *cell.settings] if isinstance(cell, Cell) else []
    epochs = base.joint_epochs if isinstance(cell, Cell) else 0
    stages = [f"training.stages.0.epochs={base.warmup_epochs}", f"training.stages.1.epochs={epochs}"]
    words = [*COMMON, *base.batch, *stages, *own, f"data.data_root={data}", f"output_dir={run}"]
    return read_settings(TrainConfig, words)


def warmed_up(base: Base, data: Path, work: Path) -> Path:
    """The run folder of the CTC warm-up that the cells of a base share."""
    run = work / f"warm-{base.warmup_epochs}"
    train(settings(base, data, run))
    return run


def measure(cell: Cell, data: Path, work: Path) -> dict[str, Any]:
    """Train the joint stage of a cell from its base's warm-up and say how it went."""
    run = work / "cell"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(warmed_up(cell.base, data, work), run)
    ended = "finished"
    with ExitStack() as stack:
        for fault in cell.faults:
            stack.enter_context(FAULTS[fault]())
        try:
            train(settings(cell, data, run))
        except InputError as error:
            ended = str(error)
    return {"ended": ended, **summary(run)}


def summary(run: Path) -> dict[str, Any]:
    records = read_metrics(run)
    joint = [r for r in records if r["kind"] == "update" and r["stage"] == "joint_train"]
    validations = [r for r in records if r["kind"] == "validation" and r["stage"] == "joint_train"]

    def values(key: str) -> list[float]:
        return [r[key] for r in joint if r.get(key) is not None]

    def median(key: str) -> float | None:
        return statistics.median(values(key)) if values(key) else None

    first, start = joint[:5], joint[0]["update"] - 1
    warnings = [r for r in records if r["kind"] == "warning" and r["stage"] == "joint_train"]
    return {
        "updates": len(joint),
        "raw_start": _mean([r["loss_rnnt_raw"] for r in first]),
        "ratio_start": _mean([r["rnnt_ctc_ratio"] for r in first]),
        "ratio": median("rnnt_ctc_ratio"),
        "gradient_ratio": median("encoder_grad_ratio"),
        "grad_norm": median("grad_norm"),
        "clipped": sum(r["clipped"] for r in joint) / len(joint),
        "skipped": sum(r["skipped_now"] for r in joint),
        "per_ctc": validations[-1]["per_ctc"] if validations else None,
        "per_rnnt": validations[-1]["per_rnnt"] if validations else None,
        "first_skip": next((r["update"] - start for r in joint if r["skipped_now"]), None),
        "warnings": [[r["update"] - start, r["rule"]] for r in warnings],
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run the cells whose name has this word")
    parser.add_argument("--work", type=Path, default=Path("runs/stability"), help="data, warm-ups and cells")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    data, path = arguments.work / "data", kept.RESULTS / "stability.json"
    simulate(read_settings(SimulateConfig, [f"out={data}", "preset=demo"]))
    done = kept.read(path)
    for cell in cells():
        if arguments.only in cell.key and cell.key not in done:
            done[cell.key] = {"base": cell.base.name, "name": cell.name, **measure(cell, data, arguments.work)}
            show(path, done)
    show(path, done)


def show(path: Path, done: dict[str, Any]) -> None:
    rows = [done[cell.key] for cell in cells() if cell.key in done]
    draw(rows, path.with_suffix(".png"))
    kept.write(path, done, table(rows, torch.__version__))


if __name__ == "__main__":
    start(main)
