"""`mode-ssm simulate`: plan, say what it will take, and write the sessions with every core."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.simulation.files import TRUTH, SessionFiles
from mode_ssm.simulation.plan import PlannedSession, plan_sessions
from mode_ssm.simulation.presets import Preset
from mode_ssm.simulation.recording import CHANNELS
from mode_ssm.simulation.session import SessionRecorder, trial_frames

MARK = "simulation.json"  # in the data root: what is being written there

_counter: "Synchronized[int] | None" = None  # trials done, shared by the processes


def simulate(config: SimulateConfig) -> None:
    """Write a simulated data set in the T15 layout to `config.out`; sessions that are complete already stay.

    Raises:
        InputError: on a folder that holds something else, too little disk, or settings that cannot be met.
    """
    preset, sessions = plan_sessions(config)
    out = Path(config.out).expanduser()
    _claim(out, config)
    left = [session for session in sessions if not (out / session.name / TRUTH).exists()]
    console = Console(stderr=True)
    size = sum(_session_bytes(session, preset, config.seed) for session in left)
    trials = sum(len(session.trials) for session in left)
    done = f", {len(sessions) - len(left)} sessions are there already" if len(left) < len(sessions) else ""
    console.print(f"Simulating {trials} trials of {len(left)} sessions: {size / 1e9:.2f} GB in {out}{done}.")
    _check_disk(out, size)
    with Progress(
        TextColumn("simulate"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as progress:
        bar = progress.add_task("simulate", total=trials)
        for count in _run(sessions, left, preset, config, out):
            progress.update(bar, completed=count)


def _claim(out: Path, config: SimulateConfig) -> None:
    """Mark the folder as this simulation's, or find the mark of the same settings there."""
    settings = {k: v for k, v in asdict(config).items() if k not in ("out", "workers")}
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    mark = out / MARK
    if mark.exists():
        if mark.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{out} holds a simulation with other settings ({mark}); set out to a new folder or delete it."
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already and is no simulation; set out to a new or empty folder.")
    out.mkdir(parents=True, exist_ok=True)
    mark.write_text(text, encoding="utf-8")


def _session_bytes(session: PlannedSession, preset: Preset, seed: int) -> int:
    frames = sum(trial_frames(session, trial, preset, seed) for trial in session.trials)
    return frames * (4 * CHANNELS + 1) + 8000 * len(session.trials) + 200_000


def _check_disk(out: Path, size: int) -> None:
    free = shutil.disk_usage(out).free
    if size > free:
        raise InputError(
            f"{out} has {free / 1e9:.2f} GB free but the data take {size / 1e9:.2f} GB; free some or set max_sessions."
        )


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


def _run(
    sessions: list[PlannedSession], left: list[PlannedSession], preset: Preset, config: SimulateConfig, out: Path
) -> Iterator[int]:
    """Record the sessions in processes, the longest first; yields the number of trials done."""
    context = get_context("spawn")
    counter = context.Value("q", 0)
    workers = min(config.workers or os.cpu_count() or 1, max(len(left), 1))
    with _one_thread_each(), ProcessPoolExecutor(workers, context, _share_counter, (counter,)) as pool:
        waiting: set[Future[None]] = set()
        for session in sorted(left, key=lambda session: -len(session.trials)):
            days = [other.day for other in sessions if other.day <= session.day]
            waiting.add(pool.submit(_record_session, session, days, preset, config, out))
        while waiting:
            done, waiting = wait(waiting, timeout=0.2)
            for future in done:
                future.result()
            yield counter.value


def _share_counter(counter: "Synchronized[int]") -> None:
    global _counter
    _counter = counter


def _record_session(
    session: PlannedSession, days: list[int], preset: Preset, config: SimulateConfig, out: Path
) -> None:
    recorder = SessionRecorder(session, days, preset, config)
    with SessionFiles(out / session.name, recorder.population) as files:
        for block in recorder.blocks():
            for recorded in recorder.record(block):
                files.add(recorded)
                if _counter is not None:
                    with _counter.get_lock():
                        _counter.value += 1
