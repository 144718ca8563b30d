"""What a run folder tells without its network: settings, the records of metrics.jsonl, the time that it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import Decoder, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.settings import settings_from_file
from mode_ssm.training.run_folder import read_metrics

Floats = NDArray[np.float64]
Record = dict[str, Any]

NEEDED = {
    "update": ("update", "stage", "skipped_now"),
    "validation": ("update",),
    "stage": ("update", "name"),
    "warning": ("update", "stage", "rule", "text"),
}
HEAD_NAMES = {Decoder.ctc: "CTC", Decoder.rnnt: "RNN-T"}


class Series(NamedTuple):
    """One measured number over the updates of a run."""

    x: Floats  # update, counted from 1
    y: Floats

    def __bool__(self) -> bool:
        return len(self.x) > 0


class Switch(NamedTuple):
    """Where a stage begins."""

    update: int  # its first
    name: str


@dataclass(frozen=True)
class Run:
    """The records of one run, in the order in which they were written."""

    path: Path
    name: str
    config: TrainConfig
    records: Sequence[Record]

    def of_kind(self, kind: str) -> list[Record]:
        return [record for record in self.records if record["kind"] == kind]

    @cached_property
    def all_updates(self) -> list[Record]:
        return self.of_kind("update")

    @cached_property
    def updates(self) -> list[Record]:
        """Those that moved the weights."""
        return [record for record in self.all_updates if not record["skipped_now"]]

    @cached_property
    def validations(self) -> list[Record]:
        return self.of_kind("validation")

    @cached_property
    def switches(self) -> list[Switch]:
        """The first update of every stage that was begun."""
        written = [Switch(record["update"], record["name"]) for record in self.of_kind("stage")]
        if written or not self.all_updates:
            return written
        pairs = pairwise([{"stage": None}, *self.all_updates])
        return [Switch(b["update"], b["stage"]) for a, b in pairs if a["stage"] != b["stage"]]

    @cached_property
    def seconds(self) -> float | None:
        """Of training, up to the last checkpoint; None where there is none that can be read."""
        try:
            return read_checkpoint(self.path / "checkpoints" / "last.safetensors").position.seconds
        except InputError:
            return None

    def series(self, key: str, kind: str = "update") -> Series:
        """The values of a key such as `loss_ctc` or `grad_norms.encoder`, where it was recorded and is a number."""
        found = [(r["update"], _value(r, key)) for r in (self.updates if kind == "update" else self.of_kind(kind))]
        kept = np.array([(x, y) for x, y in found if y is not None], dtype=np.float64).reshape(-1, 2)
        kept = kept[np.isfinite(kept[:, 1])]
        return Series(kept[:, 0], kept[:, 1])

    def error_rates(self, head: Decoder) -> Series:
        """Phoneme error rate of the validations in per cent."""
        rates = self.series(f"per_{head.value}", "validation")
        return Series(rates.x, 100 * rates.y)


def _value(record: Record, key: str) -> float | None:
    value: Any = record
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None else float(value)


def read_runs(words: Sequence[str]) -> list[Run]:
    """Read run folders; runs of one name are named by their whole paths.

    Raises:
        InputError: on a folder that holds no run, or the same one twice.
    """
    paths = [Path(word) for word in words]
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise InputError(f"A run is named twice among {', '.join(words)}; name each once.")
    names = [path.name for path in whole]
    unique = names if len(set(names)) == len(names) else words
    return [_read_run(path, name) for path, name in zip(paths, unique, strict=True)]


def _read_run(path: Path, name: str) -> Run:
    try:
        text = (path / "config.yaml").read_text()
        records = read_metrics(path)
        _check(records)
    except OSError as error:
        raise InputError(
            f"{path} is not a run folder ({error.strerror}: {Path(error.filename).name}); give one that "
            "`mode-ssm train` wrote."
        ) from None
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path / 'metrics.jsonl'} is damaged ({error}); restore it, or take the damaged line out."
        ) from None
    if not any(record["kind"] == "update" for record in records):
        raise InputError(f"{path} has no update yet; make the report after training has begun.")
    return Run(path, name, settings_from_file(TrainConfig, text, str(path / "config.yaml")), records)


def _check(records: Sequence[Record]) -> None:
    """Raises: KeyError where a record lacks what every record of its kind has."""
    for record in records:
        for key in NEEDED.get(record["kind"], ()):
            record[key]
