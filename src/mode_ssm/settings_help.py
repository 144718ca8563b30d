"""The list of settings that --help prints, with the comments that stand beside them in mode_ssm.config."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from typing import Any

from mode_ssm import config as settings_module
from mode_ssm.config import CHOICES


def settings_help(schema: type) -> str:
    """One line a setting: its key, default and unit."""
    lines = ["Settings:", *_lines(schema, "")]
    return "\n".join(lines)


def _lines(schema: type, prefix: str) -> Iterator[str]:
    comments = _comments(schema)
    for field in fields(schema):
        key = prefix + field.name
        if key in CHOICES:
            yield f"  {key}={'|'.join(CHOICES[key])}"
            for option, node in CHOICES[key].items():
                yield from (f"{line}  [{key}={option}]" for line in _lines(node, f"{key}."))
            continue
        default = field.default if field.default_factory is MISSING else field.default_factory()
        yield from _setting(key, default, comments.get(field.name, ""))


def _setting(key: str, default: Any, comment: str) -> Iterator[str]:
    if is_dataclass(default):
        yield from _lines(type(default), f"{key}.")
    elif isinstance(default, list) and default and is_dataclass(default[0]):
        for index, entry in enumerate(default):
            comments = _comments(type(entry))
            for field in fields(entry):
                yield from _setting(f"{key}.{index}.{field.name}", getattr(entry, field.name), comments[field.name])
    elif not key.endswith(".kind"):
        shown = {"???": "VALUE", "None": "null"}.get(str(default), str(default))
        if isinstance(default, StrEnum):
            comment = "; ".join([*([comment] if comment else []), "one of " + ", ".join(type(default))])
        yield f"  {key}={shown}" + (f"  # {comment}" if comment else "")


def _comments(schema: type) -> dict[str, str]:
    """The comment behind each field, of the class and of what it inherits."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if base.__module__ == settings_module.__name__:
            for name, comment in re.findall(r"^    (\w+):[^#\n]*(?:# (.*))?$", inspect.getsource(base), re.MULTILINE):
                found[name] = comment
    return found
