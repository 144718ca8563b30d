"""The list of settings that --help prints: each with its default and what stands beside it in mode_ssm.config."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from typing import Any

from mode_ssm.config import CHOICES, Facts, TrainConfig, word_of
from mode_ssm.settings.assigning import facts_of
from mode_ssm.settings.reading import experiments

FILES = """Files of settings, each going before the ones above it, and KEY=VALUE words before all:
  config=RUN  # the settings of a run, or of its config.yaml, without its output_dir and training.resume
  experiment={names}  # a preset, or a YAML file of your own: experiment=FILE.yaml
A choice that is made anew (encoder=gru) leaves out what a file sets together with another one."""


def settings_help(schema: type) -> str:
    """One line a setting: its key, default, unit, help and bounds."""
    files = [FILES.format(names="|".join(experiments())), ""] if issubclass(schema, TrainConfig) else []
    return "\n".join([*files, "Settings:", *_lines(schema, "")])


def _lines(schema: type, prefix: str) -> Iterator[str]:
    for f in fields(schema):
        key = prefix + word_of(f.name)
        if key in CHOICES:
            yield f"  {key}={'|'.join(CHOICES[key])}"
            for option, node in CHOICES[key].items():
                yield from (f"{line}  [{key}={option}]" for line in _lines(node, f"{key}."))
        elif f.name != "kind":
            yield from _setting(key, _default(f), facts_of(f))


def _default(f: Field[Any]) -> Any:
    return f.default if f.default_factory is MISSING else f.default_factory()


def _setting(key: str, default: Any, facts: Facts) -> Iterator[str]:
    if is_dataclass(default):
        yield from _lines(type(default), f"{key}.")
    elif isinstance(default, list) and default and is_dataclass(default[0]):
        for index, entry in enumerate(default):
            for f in fields(entry):
                yield from _setting(f"{key}.{index}.{f.name}", getattr(entry, f.name), facts_of(f))
    elif isinstance(default, dict) and facts.alias:
        group = key.rsplit(".", 1)[0]
        for name, value in default.items() or [("NAME", "VALUE")]:
            yield from _setting(f"{group}.{name}_{facts.alias}", value, facts._replace(alias=""))
    else:
        listed = f"[{','.join(map(str, default))}]" if isinstance(default, list) else default
        shown = "VALUE" if default is MISSING else "null" if default is None else str(listed)
        yield f"  {key}={shown.lower() if isinstance(default, bool) else shown}" + _remark(default, facts)


def _remark(default: Any, facts: Facts) -> str:
    parts = [facts.unit, facts.help, _bounds(facts)]
    choices = facts.among or (tuple(type(default)) if isinstance(default, StrEnum) else ())
    parts += [f"one of {', '.join(choices)}"] if choices else []
    remark = "; ".join(part for part in parts if part)
    return f"  # {remark}" if remark else ""


def _bounds(facts: Facts) -> str:
    if facts.low is None:
        return ""
    return f"at least {facts.low:g}" if facts.high >= 1e6 else f"{facts.low:g} to {facts.high:g}"
