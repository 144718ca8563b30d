"""What a run folder tells without its network: settings, the records of metrics.jsonl, the time that it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.settings import settings_from_file
from mode_ssm.training.history import LogLine
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.terms import TERMS, Term, run_terms

Floats = NDArray[np.float64]

NEEDED = {
    "update": ("update", "stage", "skipped_now"),
    "validation": ("update",),
    "stage": ("update", "name"),
    "warning": ("update", "stage", "rule", "text"),
}
COLOURS = 8  # c0 ... c7 of the style sheet


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
    records: Sequence[LogLine]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Those that its stages name."""
        return run_terms(self.config)

    @property
    def heads(self) -> list[Term]:
        """The terms whose heads are validated."""
        return [term for term in self.terms if term.validated]

    def colour(self, term: Term) -> str:
        """A class of the style sheet."""
        return f"c{self.terms.index(term) % COLOURS}"

    def of_kind(self, kind: str) -> list[LogLine]:
        return [record for record in self.records if record["kind"] == kind]

    @cached_property
    def all_updates(self) -> list[LogLine]:
        return self.of_kind("update")

    @cached_property
    def updates(self) -> list[LogLine]:
        """Those that moved the weights."""
        return [record for record in self.all_updates if not record["skipped_now"]]

    @cached_property
    def validations(self) -> list[LogLine]:
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
        """The values of a key such as `lr` or `grad_norms.encoder`, where it was recorded and is a number."""
        found = [(r["update"], _value(r, key)) for r in (self.updates if kind == "update" else self.of_kind(kind))]
        kept = np.array([(x, y) for x, y in found if y is not None], dtype=np.float64).reshape(-1, 2)
        kept = kept[np.isfinite(kept[:, 1])]
        return Series(kept[:, 0], kept[:, 1])

    def error_rates(self, head: Term) -> Series:
        """Phoneme error rate of the validations in per cent."""
        rates = self.series(f"per_{head.name}", "validation")
        return Series(rates.x, 100 * rates.y)


def _value(record: LogLine, key: str) -> float | None:
    value: Any = record
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None else float(value)


def terms_of(runs: Sequence[Run]) -> list[Term]:
    """The terms of several runs, each once."""
    by_name = {term.name: term for run in reversed(runs) for term in run.terms}
    return [by_name[name] for name in TERMS if name in by_name]


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
        text = (path / "config.yaml").read_text(encoding="utf-8")
        records = read_metrics(path)
        _check(records)
    except OSError as error:
        raise InputError(
            f"{path} is not a run folder ({error.strerror}: {Path(error.filename).name}); give one that "
            "`mode-ssm train` wrote."
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path / 'config.yaml'} is not UTF-8 text; restore it.") from None
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path / 'metrics.jsonl'} is damaged ({error}); restore it, or take the damaged line out."
        ) from None
    if not any(record["kind"] == "update" for record in records):
        raise InputError(f"{path} has no update yet; make the report after training has begun.")
    return Run(path, name, settings_from_file(TrainConfig, text, str(path / "config.yaml")), records)


def _check(records: Sequence[LogLine]) -> None:
    """Raises: KeyError where a record lacks what every record of its kind has."""
    for record in records:
        for key in NEEDED.get(record["kind"], ()):
            record[key]
