"""`mode-ssm simulate`: plan, say what it will take, and write the sessions with every core."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.processes import end_with_parent
from mode_ssm.simulation.files import write_population, write_trial
from mode_ssm.simulation.folder import check_disk, check_folder, claim, describe, needed_bytes
from mode_ssm.simulation.labels import PlannedTrial
from mode_ssm.simulation.participants import check_roots, participant
from mode_ssm.simulation.plan import PlannedSession, plan_sessions
from mode_ssm.simulation.presets import Preset, find_preset
from mode_ssm.simulation.recording import BlockScale
from mode_ssm.simulation.session import SessionRecorder
from mode_ssm.t15.truth import TRUTH
from mode_ssm.t15.writing import SessionWriter


class _Shared(NamedTuple):
    """What the processes have in common."""

    recorded: "Synchronized[int]"  # trials
    stop: Event


class _StopError(Exception):
    """Ends a worker at its next trial; its files keep their preliminary names."""


_shared: _Shared | None = None  # set when a worker process starts


def simulate(config: SimulateConfig) -> None:
    """Write a simulated data set in the T15 layout to `config.out`; sessions that are complete already stay.

    The same settings give the same bytes, whatever the number of workers and of interruptions.

    Raises:
        InputError: on a folder that holds something else, too little disk, or settings that cannot be met.

    Of several participants each has a data root below `config.out`: p1, p2, ...
    """
    _check_settings(config)
    if config.participants == 1:
        _simulate_one(config, find_preset(config.preset))
        return
    check_roots(config)
    for number in range(1, config.participants + 1):
        preset, own = participant(find_preset(config.preset), config, number)
        _simulate_one(own, preset)


def _simulate_one(config: SimulateConfig, preset: Preset) -> None:
    preset, sessions = plan_sessions(config, preset)
    out = Path(config.out).expanduser()
    description = describe(config, preset, sessions)
    check_folder(out, description)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    left = [session for session in sessions if not (out / session.name / TRUTH).exists()]
    if not left:
        console.print(f"{out} is complete: {len(sessions)} sessions")
        return
    trials = sum(len(session.trials) for session in left)
    needed = needed_bytes(left, preset, config.seed)
    there = f" ({len(sessions) - len(left)} are complete already)" if len(left) < len(sessions) else ""
    console.print(f"{trials} trials of {len(left)} sessions{there}: {needed / 1e9:.2f} GB in {out}")
    check_disk(out, needed)
    claim(out, description, sessions)
    columns = (TextColumn("simulate"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("simulate", total=trials)
        for recorded in _record_all(sessions, left, preset, config):
            progress.update(bar, completed=recorded)


def _check_settings(config: SimulateConfig) -> None:
    for name in ("max_sessions", "workers", "participants"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}; set it to 1 or more, or to null.")
    if config.seed < 0:
        raise InputError(f"seed is {config.seed}; set it to 0 or more.")
    if not config.drift_days > 0:
        raise InputError(f"drift_days is {config.drift_days}; set it to a positive number of days.")
    if not 0.2 <= config.spike_regularity <= 10:
        raise InputError(f"spike_regularity is {config.spike_regularity}; set it between 0.2 and 10.")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Worker processes start with one arithmetic thread each: the cores are taken, and sums keep one order."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM raises SystemExit(143), so that the workers are stopped as by Ctrl-C; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _record_all(
    sessions: Sequence[PlannedSession], left: Sequence[PlannedSession], preset: Preset, config: SimulateConfig
) -> Iterator[int]:
    """Record the sessions in processes, the longest first; yields the number of trials done, several times a second."""
    context = get_context("spawn")
    shared = _Shared(context.Value("q", 0), context.Event())
    workers = min(config.workers or os.cpu_count() or 1, len(left))
    pool = ProcessPoolExecutor(workers, context, _start_worker, (shared,))
    with _sigterm_as_exit(), _one_thread_each(), pool:
        try:
            waiting: set[Future[None]] = set()
            for session in sorted(left, key=lambda session: -len(session.trials)):
                days = [other.day for other in sessions if other.day <= session.day]
                waiting.add(pool.submit(_record_session, session, days, preset, config))
            while waiting:
                done, waiting = wait(waiting, timeout=0.2)
                for future in done:
                    future.result()
                yield shared.recorded.value
        except BrokenProcessPool:
            raise InputError(
                "A simulating process ended, most likely for lack of memory; lower workers and run it again."
            ) from None
        except BaseException:  # also an interruption: the workers stop at their next trial
            shared.stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _start_worker(shared: _Shared) -> None:
    global _shared
    _shared = shared
    end_with_parent()


def _record_session(session: PlannedSession, days: list[int], preset: Preset, config: SimulateConfig) -> None:
    folder = Path(config.out).expanduser() / session.name
    recorder = SessionRecorder(session, days, preset, config)
    try:
        with SessionWriter(folder) as files:
            write_population(files, recorder.population)
            for block in recorder.blocks():
                _record_block(recorder, block, files)
    except (OSError, RuntimeError) as error:  # h5py raises the latter on closing a file
        raise InputError(f"{folder} cannot be written ({error}); make room and run the same command again.") from error


def _record_block(recorder: SessionRecorder, block: tuple[PlannedTrial, ...], files: SessionWriter) -> None:
    """Write the trials as they come, then z-score them in the file, so that memory never holds more than one."""
    scale = BlockScale(recorder.preset.implant.channels)
    written = []
    for recorded in recorder.record_raw(block, scale):
        written.append(write_trial(files, recorded))
        _count_trial()
    for place in written if recorder.config.normalised else ():
        files.change_features(place, scale.scale)


def _count_trial() -> None:
    """
    Raises:
        _StopError: when the parent process wants no more.
    """
    if _shared is None:
        return
    if _shared.stop.is_set():
        raise _StopError
    with _shared.recorded.get_lock():
        _shared.recorded.value += 1
