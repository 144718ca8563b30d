"""What it costs to watch a run: a joint update with all that is measured, recorded and checked, beside one without.

    python benchmarks/monitor.py DATA_ROOT                      # AN4 in the T15 layout, experiment=an4
    python benchmarks/monitor.py DATA_ROOT experiment=demo      # or other settings of `mode-ssm train`

Both kinds of update take turns on each batch, in random order; the clock is this process's processor time, and the
fastest turn of each kind counts. The cost is the ratio of the two: its median over batches and quartiles. Watching is:
the norms of both losses' gradients at the encoder, the norm of each part's gradient, the blank probability, the scale
that follows the gradients (losses.rnnt_scaling=gradient), the records of all that on disk and for TensorBoard, and the
alarms.
"""

import argparse
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import chain, islice
from unittest.mock import patch

import torch
from starting import start
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import TrainConfig
from mode_ssm.memory import keep_freed_memory
from mode_ssm.models.model import ModeSSM
from mode_ssm.settings import read_settings
from mode_ssm.training.clipping import Norms
from mode_ssm.training.devices import start_fabric
from mode_ssm.training.display import Display
from mode_ssm.training.history import LogLine
from mode_ssm.training.loop import Trainer
from mode_ssm.training.monitor import Monitor
from mode_ssm.training.run_folder import RunFolder
from mode_ssm.training.splits import open_splits

UNWATCHED = """
kind stage epoch update loss loss_ctc loss_rnnt loss_rnnt_raw rnnt_ctc_ratio grad_norm lr
skipped skipped_now frames_per_s
""".split()


def unmeasured(frames: Tensor, _: Tensor) -> Tensor:
    return frames


def clip_only(model: ModeSSM, bound: float) -> Norms:
    return Norms(torch.nn.utils.clip_grad_norm_(model.parameters(), bound), {})


@contextmanager
def unwatched(trainer: Trainer) -> Iterator[None]:
    """A training that records what it has to compute anyway, and no more."""

    def log(record: LogLine) -> None:
        trainer.folder.log({key: record[key] for key in UNWATCHED})

    with ExitStack() as stack:
        stack.enter_context(patch("mode_ssm.training.objective.measured", unmeasured))
        stack.enter_context(patch("mode_ssm.training.terms.ctc.mean_blank", lambda *_: torch.zeros(())))
        stack.enter_context(patch("mode_ssm.training.update.clip_gradients", clip_only))
        stack.enter_context(patch.object(trainer.running, "follow", lambda *_: None))
        stack.enter_context(patch.object(trainer, "log", log))
        yield


def trainer_of(config: TrainConfig) -> Trainer:
    """A trainer at the start of its last stage."""
    trainer = Trainer(start_fabric(config.training), config, open_splits(config), RunFolder(config), None)
    trainer.display = Display(1, 0, 1, silent=True)
    trainer.monitor = Monitor(config, trainer.timetable.updates, {}, trainer.folder.open(config, trainer.position))
    trainer.epoch_numbers = []
    trainer.position.stage = len(config.training.stages) - 1
    trainer.monitor.begin(trainer.position.stage, 0)
    return trainer


def endless_batches(trainer: Trainer) -> Iterator[Batch]:
    stage = trainer.config.training.stages[-1]
    epochs = (trainer.read(trainer.splits.train, trainer.timetable.plan(stage, epoch)) for epoch in range(10**6))
    return (batch for batch in chain.from_iterable(epochs) if batch is not None)


def seconds(trainer: Trainer, batch: Batch) -> float:
    began = time.process_time()
    trainer.step(trainer.config.training.stages[-1], {1: batch}, 1, 1)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root")
    parser.add_argument("settings", nargs="*", default=["experiment=an4"])
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3, help="of each kind on a batch")
    parser.add_argument("--warm", type=int, default=3, help="batches before those that count")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as run:
        words = ["losses.rnnt_scaling=gradient", f"data.data_root={arguments.data_root}", f"output_dir={run}"]
        trainer = trainer_of(read_settings(TrainConfig, [*arguments.settings, *words]))
        pairs = []
        for batch in islice(endless_batches(trainer), arguments.warm + arguments.batches):
            fastest = {True: math.inf, False: math.inf}
            for watched in random.sample([True, False] * arguments.turns, 2 * arguments.turns):
                with nullcontext() if watched else unwatched(trainer):
                    fastest[watched] = min(fastest[watched], seconds(trainer, batch))
            pairs.append((fastest[True], fastest[False]))
            trainer.position.update += 1  # all turns on a batch draw the same random numbers
        pairs = pairs[arguments.warm :]
        trainer.folder.close()
    low, middle, high = statistics.quantiles([watched / plain for watched, plain in pairs], n=4)
    plain_ms = 1000 * statistics.median(plain for _, plain in pairs)
    print(f"{len(pairs)} batches, an update without watching takes {plain_ms:.0f} ms (median)")
    added_ms = 1000 * statistics.median(watched - plain for watched, plain in pairs)
    print(f"watched / unwatched: median {middle:.4f}, quartiles {low:.4f} and {high:.4f}; {added_ms:.1f} ms more")


if __name__ == "__main__":
    start(main)
