"""The folder of one training run: settings, metrics, TensorBoard events, checkpoints, skipped batches, picture."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

from mode_ssm.batch import Batch
from mode_ssm.config import Resume, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.settings import dump_settings


class RunFolder:
    """Writes what a run leaves behind.

    Raises:
        InputError: when the folder holds another run and `training.resume` is never, or cannot be written.
    """

    def __init__(self, config: TrainConfig) -> None:
        if config.output_dir is None and config.training.resume is Resume.auto:
            raise InputError(
                "training.resume=auto needs to know what to continue; give output_dir=RUN, its run folder."
            )
        self.path = Path(config.output_dir or time.strftime("runs/%Y-%m-%d_%H-%M-%S"))
        self.last = self.path / "checkpoints" / "last.safetensors"
        self.best = self.path / "checkpoints" / "best.safetensors"
        self.metrics = self.path / "metrics.jsonl"
        if self.metrics.exists() and config.training.resume is Resume.never:
            raise InputError(
                f"{self.path} holds a run already; continue it with training.resume=auto, or give another output_dir."
            )

    def open(self, config: TrainConfig, updates_done: int) -> None:
        """Make the folder, write the settings and drop metrics of updates that a resumed run will do again."""
        try:
            self.best.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self.path / "config.yaml", dump_settings(config))
            kept = [m for m in read_metrics(self.path) if m["update"] <= updates_done] if self.metrics.exists() else []
            replace_text(self.metrics, "".join(json.dumps(m) + "\n" for m in kept))
        except OSError as error:
            raise InputError(f"{self.path} cannot be written ({error.strerror}); give another output_dir.") from None
        self._lines = self.metrics.open("a", buffering=1)
        self._events = SummaryWriter(str(self.path / "tensorboard"), purge_step=updates_done + 1)

    def log(self, record: dict[str, Any]) -> None:
        """One JSON object a line, and every number of it to TensorBoard."""
        self._lines.write(json.dumps(record) + "\n")
        for key, value in _numbers(record):
            if key != "update":
                self._events.add_scalar(key, value, record["update"])

    def save_skipped(self, batch: Batch, update: int, index: int) -> Path:
        """Keep a batch whose loss or gradient was not finite, to replay it."""
        folder = self.path / "skipped"
        folder.mkdir(exist_ok=True)
        path = folder / f"update-{update:06d}-{index}.safetensors"
        tensors = {
            name: t.cpu().contiguous() for name, t in batch._asdict().items() if name not in ("keys", "sentences")
        }
        save_file(tensors, path, metadata={"trials": json.dumps([asdict(key) for key in batch.keys])})
        return path

    def close(self) -> None:
        self._lines.close()
        self._events.close()


def _numbers(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from ((f"{key}/{inner}", number) for inner, number in _numbers(value))
        elif isinstance(value, int | float):
            yield key, value


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl; a last line that a kill cut short is left out."""
    text = (run / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
