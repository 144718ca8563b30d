"""Read batches in order, in this process or ahead of it in worker processes; the order is the same."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver, resource_tracker
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mode_ssm.batch import Batch, collate
from mode_ssm.config import BadTrial
from mode_ssm.data.dataset import TrialDataset
from mode_ssm.errors import InputError
from mode_ssm.index import Problem
from mode_ssm.processes import end_with_parent

CPU = torch.device("cpu")
STOPPING = (signal.SIGINT, signal.SIGTERM)
READERS_OF_A_GPU = 4  # worker processes where none are asked for, at most one a core; for a CPU there are none
BATCHES_AHEAD = 2  # per worker; each holds batch_size x T x C x 4 bytes of shared memory

_Read = tuple[Batch | None, list[Problem]]


class _Batches(Dataset[_Read]):
    """Batches by place: what is good of each, and what is bad."""

    def __init__(self, dataset: TrialDataset, batches: Sequence[Sequence[int]], session_index: dict[str, int]) -> None:
        self.dataset = dataset
        self.batches = batches
        self.session_index = session_index

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: int) -> _Read:
        found = [self.dataset.read(index) for index in self.batches[place]]
        problems = [trial for trial in found if isinstance(trial, Problem)]
        trials = [trial for trial in found if not isinstance(trial, Problem)]
        return collate(trials, self.session_index) if trials else None, problems


def read_batches(
    dataset: TrialDataset,
    batches: Sequence[Sequence[int]],
    *,
    session_index: dict[str, int],
    num_workers: int | None,
    on_problem: Callable[[Problem], None],
    device: torch.device = CPU,
) -> Iterator[Batch | None]:
    """One item for each of `batches`, in order; bad trials drop out of it, and None stands for a batch of bad ones.

    For a GPU as `device` the batches lie in pinned memory, from which a copy does not hold the process up, and
    num_workers=None means a few. Draws nothing from the global random generators, so training is the same for any
    number of workers.

    Raises:
        InputError: on a bad trial with on_bad_trial=error, or where a worker process dies.
    """
    source, on_gpu = _Batches(dataset, batches, session_index), device.type == "cuda"
    if num_workers is None:
        num_workers = min(READERS_OF_A_GPU, os.cpu_count() or 1) if on_gpu else 0
    for batch, problems in (
        _from_workers(source, num_workers, pin=on_gpu)
        if num_workers and batches
        else map(source.__getitem__, range(len(source)))
    ):
        for problem in problems:
            if dataset.on_bad_trial is BadTrial.error:
                raise InputError(str(problem))
            on_problem(problem)
        yield batch.pinned() if batch and on_gpu and not num_workers else batch  # the workers' are pinned already


def _from_workers(source: _Batches, num_workers: int, *, pin: bool) -> Iterator[_Read]:
    loader = DataLoader(
        source,
        batch_size=None,
        num_workers=min(num_workers, len(source)),
        prefetch_factor=BATCHES_AHEAD,
        collate_fn=_unchanged,
        pin_memory=pin,
        generator=torch.Generator(),
        worker_init_fn=_obey_the_parent,
        multiprocessing_context=_worker_context(),
    )
    reads = iter(loader)
    while True:
        try:
            read = next(reads)
        except StopIteration:
            return
        except RuntimeError as error:
            if "exited unexpectedly" not in str(error):
                raise
            raise InputError(
                f"A reader process ended ({str(error).splitlines()[0]}), most likely for lack of (shared) memory; "
                "lower data.num_workers (0 reads in the training process) or training.batch_size."
            ) from error
        yield read


def _obey_the_parent(_: int) -> None:
    """Ctrl-C and SIGTERM reach the whole process group; the parent ends the workers after its last checkpoint.

    Where it is killed they end by themselves: PyTorch's own watch sees only whether the fork server still runs.
    """
    end_with_parent()
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _worker_context() -> multiprocessing.context.BaseContext:
    """Workers that inherit neither threads nor a GPU from this process, and start fast after the first."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mode_ssm.data"])
    resource_tracker.ensure_running()  # it unblocks signals when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # the server and its workers start so
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _unchanged(read: Any) -> Any:
    return read
