"""The folder of one training run: settings, metrics, TensorBoard events, checkpoints, skipped batches, picture."""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

from mode_ssm.batch import Batch
from mode_ssm.config import Resume, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json, replace_text, replacing
from mode_ssm.recognition.checkpoint import Position
from mode_ssm.settings import dump_settings
from mode_ssm.training.history import LogLine
from mode_ssm.training.update import Update


class RunFolder:
    """Writes what a run leaves behind.

    Args:
        config: of the run.
        name: of the folder where the settings name none; processes must agree on it.

    Raises:
        InputError: when the folder holds another run and `training.resume` is never, or cannot be written.
    """

    def __init__(self, config: TrainConfig, name: str | None = None) -> None:
        if config.output_dir is None and config.training.resume is Resume.auto:
            raise InputError(
                "training.resume=auto needs to know what to continue; give output_dir=RUN, its run folder."
            )
        self.path = Path(config.output_dir or name or new_name())
        self.last = self.path / "checkpoints" / "last.safetensors"
        self.best = self.path / "checkpoints" / "best.safetensors"
        self.stages = [stage.name for stage in config.training.stages]
        self.metrics = self.path / "metrics.jsonl"
        if self.metrics.exists() and config.training.resume is Resume.never:
            raise InputError(
                f"{self.path} holds a run already; continue it with training.resume=auto, or give another output_dir."
            )

    def best_of(self, stage: int) -> Path:
        """The best checkpoint of one stage; a name that several stages have gets the stage's number."""
        name = re.sub(r"[^\w.-]+", "_", self.stages[stage])
        number = f"-{stage}" if self.stages.count(self.stages[stage]) > 1 else ""
        return self.best.with_name(f"best-{name}{number}.safetensors")

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keeps other processes from training in this folder meanwhile.

        Raises:
            InputError: when one does, or the folder cannot be written.
        """
        lock = FileLock(self.path / "training.lock")
        with self.writing():
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise InputError(
                    f"Another process is training in {self.path}; wait for it to end, or give another output_dir."
                ) from None
        try:
            yield
        finally:
            lock.release()

    def open(self, config: TrainConfig, position: Position) -> list[LogLine]:
        """Make the folder, write the settings, and return the records of a resumed run, less what it will do again."""
        with self.writing():
            self.best.parent.mkdir(parents=True, exist_ok=True)
            for half_written in self.best.parent.glob(".new.*.safetensors"):  # when a process was killed
                half_written.unlink()
            replace_text(self.path / "config.yaml", dump_settings(config))
            kept = list(_not_done_again(read_metrics(self.path), position)) if self.metrics.exists() else []
            replace_text(self.metrics, "".join(json.dumps(m) + "\n" for m in kept))
            self._lines = self.metrics.open("a", buffering=1, encoding="utf-8")
            self._events = SummaryWriter(str(self.path / "tensorboard"), purge_step=position.update + 1)
        return kept

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raises: InputError, when what is done within cannot be written, on a full disk say."""
        try:
            yield
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"{self.path} cannot be written ({error}); free disk space there or give another output_dir, then "
                "continue with training.resume=auto."
            ) from None

    def log(self, record: LogLine) -> None:
        """One JSON object a line, and every number of it to TensorBoard."""
        with self.writing():
            self._lines.write(json.dumps(record) + "\n")
            for key, value in _numbers(record):
                if key != "update":
                    self._events.add_scalar(key, value, record["update"])

    def keep_bad_batches(
        self, batches: Mapping[int, Batch], update: Update, position: Position, process: int
    ) -> Iterator[str]:
        """Keep what an update was skipped for, to replay it; says of each batch its number in the epoch, and where."""
        numbered = list(batches.items())
        for number, batch in [numbered[i] for i in update.bad_batches] if update.cause == "loss" else numbered:
            name = f"update-{position.update + 1:06d}-batch-{number}-process-{process}.safetensors"
            path = self.path / "skipped" / name
            self._keep(batch, path)
            trials = ", ".join(str(key) for key in batch.keys)
            yield f"Skipping batch {number} due to NaN/Inf {update.cause} (trials {trials}; kept in {path})"

    def _keep(self, batch: Batch, path: Path) -> None:
        parts = batch._asdict().items()
        tensors = {name: part.cpu().contiguous() for name, part in parts if isinstance(part, torch.Tensor)}
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as beside:
                save_file(tensors, beside, metadata={"trials": json.dumps([asdict(key) for key in batch.keys])})

    def close(self) -> None:
        with self.writing():
            self._lines.close()
            self._events.close()


def new_name() -> str:
    """Date, time and the process, for several runs may start in one second."""
    return time.strftime(f"runs/%Y-%m-%d_%H-%M-%S_{os.getpid()}")


def _not_done_again(records: list[LogLine], position: Position) -> Iterator[LogLine]:
    """What a run has logged up to a position; a validation of its update is later where the epoch is not over."""
    for record in records:
        if (record["kind"], record["update"]) == ("validation", position.update) and position.batch > 0:
            return
        if record["update"] <= position.update:
            yield record


def _numbers(record: LogLine) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{key}/{inner}", number) for inner, number in _numbers(value))
        elif isinstance(value, int | float):
            yield key, value


def read_metrics(run: Path) -> list[LogLine]:
    """The records of a run's metrics.jsonl; a last line that a kill cut short is left out.

    Raises:
        InputError: where another line is not a record.
        OSError: where there is no such file.
    """
    file = run / "metrics.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    return [_record(line, f"{file}, line {n}") for n, line in enumerate(lines, start=1) if line.endswith(b"\n")]


def _record(line: bytes, place: str) -> LogLine:
    try:
        record: LogLine = parse_json(line.decode())
        record["kind"], record["update"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place} is damaged ({error}); restore the file, or take the line out.") from None
    return record
