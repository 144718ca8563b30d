"""The settings of a run: what differs from the defaults, then all of them; and what differs between runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from mode_ssm.config import CHOICES, TrainConfig
from mode_ssm.report.page import Block, Note, Section, Table
from mode_ssm.report.records import Run
from mode_ssm.settings import read_settings, walk

ABSENT = "(none)"  # a setting that the other side does not have


def settings_section(run: Run) -> Section:
    """Everything behind a fold, what was chosen first."""
    given = _flat(run.config)
    choices = [f"{group}={given[f'{group}.kind']}" for group in CHOICES]
    default = _flat(read_settings(TrainConfig, choices))
    differing = [(key, *values) for key, values in _differing([given, default])]
    changed = Table(
        f"{len(differing)} settings that differ from the defaults",
        ("setting", "this run", "default"),
        differing,
        words=3,
        folded=True,
    )
    whole = Table(f"All {len(given)} settings", ("setting", "this run"), list(given.items()), words=2, folded=True)
    return Section("settings", "Settings", [changed, whole])


def differing_settings(runs: Sequence[Run]) -> Block:
    """A row for each setting in which some runs differ; where they were written is none."""
    rows = [(key, *values) for key, values in _differing([_flat(r.config) for r in runs]) if key != "output_dir"]
    if not rows:
        return Note("All settings are the same.")
    header = ("setting", *(run.name for run in runs))
    return Table("Settings that differ", header, rows, words=len(header), wide=True)


def _flat(config: TrainConfig) -> dict[str, str]:
    return {key: _text(value) for key, value in walk(config)}


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _differing(settings: Sequence[Mapping[str, str]]) -> list[tuple[str, tuple[str, ...]]]:
    keys = dict.fromkeys(key for each in settings for key in each)
    rows = [(key, tuple(each.get(key, ABSENT) for each in settings)) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]
