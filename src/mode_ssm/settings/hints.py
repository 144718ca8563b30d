"""What a person may have meant by a key that no setting has."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from mode_ssm.config import CHOICES, Facts, word_of
from mode_ssm.errors import InputError
from mode_ssm.settings.yaml_text import Plain, Tree


def unknown_setting(root: Any, prefix: str, path: Sequence[str], given: Tree) -> InputError:
    """The sentence for an unknown key: whose setting it is, or the nearest one of the same shape.

    Args:
        root: the configuration.
        prefix: what could be followed, `training.` say, or nothing.
        path: the rest; its first name is not known there.
    """
    key = prefix + ".".join(path)
    group = prefix[:-1]
    having = [f"{group}={kind}" for kind, node in CHOICES.get(group, {}).items() if path[0] in _names(node)]
    if having and path[0] != "kind":
        return InputError(f"{key} is a setting of {' or '.join(having)}; choose that, or leave the setting out.")
    if key.startswith("hydra."):
        return InputError(f"There is no setting '{key}'; output_dir=DIR is the run folder.")
    if key == "device":
        return InputError("There is no setting 'device' here; training.accelerator=cpu or cuda chooses the device.")
    near = _nearest(key, [name for name, shape in keys(root) if shape is _shape(given)])
    return InputError(f"There is no setting '{key}'" + (f"; did you mean {near}?" if near else "; --help lists them."))


def _names(node: Any) -> set[str]:
    return {f.name for f in fields(node)}


def _shape(given: Tree) -> type:
    if isinstance(given, Plain) and given[:1] in ("[", "{"):
        return list if given[0] == "[" else dict
    return type(given) if isinstance(given, list | dict) else str


def _nearest(key: str, names: Sequence[str]) -> str | None:
    """Of those with the same last name, or else of all, the one most like `key`."""
    same = [name for name in names if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    found = difflib.get_close_matches(key, same or names, n=1, cutoff=0.0 if same else 0.6)
    return found[0] if found else None


def keys(node: Any, prefix: str = "") -> Iterator[tuple[str, type]]:
    """Every key that can be set, with the shape of its value: str (one value), list or dict (a group)."""
    for f in fields(node):
        key, value, alias = prefix + word_of(f.name), getattr(node, f.name), f.metadata.get("facts", Facts()).alias
        yield key, dict if is_dataclass(value) or isinstance(value, dict) else list if isinstance(value, list) else str
        if is_dataclass(value):
            yield from keys(value, f"{key}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{name}_{alias}" if alias else f"{key}.{name}", str) for name in value)
        elif isinstance(value, list):
            yield from _of_entries(value, key)


def _of_entries(entries: list[Any], key: str) -> Iterator[tuple[str, type]]:
    """The keys of a list's entries; what one of them can have, each can."""
    inner = [pair for entry in entries if is_dataclass(entry) for pair in keys(entry)]
    for index in range(len(entries)):
        yield f"{key}.{index}", dict if inner else str
        yield from ((f"{key}.{index}.{name}", shape) for name, shape in dict(inner).items())
