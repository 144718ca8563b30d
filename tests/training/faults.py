"""Trainings that meet with an accident, each in a process of its own: killed, told to stop, or out of disk space."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mode_ssm.config import TrainConfig
from mode_ssm.data.loading import STOPPING
from mode_ssm.errors import InputError
from mode_ssm.recognition import checkpoint
from mode_ssm.training import loop, update
from mode_ssm.training.terms import ctc

PHASES = {  # what a run does when the accident happens: module, function, and the how many-th call of it
    "reading": (loop, "read_batches", 3),
    "update of the first stage": (update, "clip_gradients", 8),
    "update of the second stage": (update, "clip_gradients", 22),
    "checkpoint writing": (checkpoint, "save_file", 5),
    "validation": (ctc, "ctc_greedy", 4),
}


def in_another_process(target: Callable[..., None], *arguments: Any) -> int | None:
    """Its exit code; negative for the signal that ended it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mode_ssm.training.loop", "hypothesis", "tests.training.faults"])
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join(timeout=120)
    return process.exitcode


def _hear_signals() -> None:
    """Processes that read data have them blocked, and an earlier test's server of such processes starts these too."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    torch.set_num_threads(1)


def train_with_accident(config: TrainConfig, phase: str, number: int) -> None:
    """Send signal `number` to this process in the middle of a phase."""
    _hear_signals()
    module, name, count = PHASES[phase]
    real, calls = getattr(module, name), 0

    def meet(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            if phase == "checkpoint writing" and number == signal.SIGKILL:
                Path(arguments[1]).write_bytes(b"half a checkpoint")
            os.kill(os.getpid(), number)
        return real(*arguments, **options)

    setattr(module, name, meet)
    loop.train(config)


def train_with_little_disk(config: TrainConfig, file_size: int, sentence: Path) -> None:
    """No file of this process may grow beyond so many bytes; where the run stops for it, what it says is kept."""
    _hear_signals()
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    try:
        loop.train(config)
    except InputError as error:
        sentence.write_text(str(error))
