"""The words of a command, `key=value`, as keys and texts."""

from collections.abc import Sequence
from typing import NamedTuple

from mode_ssm.errors import InputError
from mode_ssm.settings.yaml_text import Plain, Tree


class Given(NamedTuple):
    """A value for a key."""

    path: tuple[str, ...]
    value: Tree


def cut(words: Sequence[str]) -> list[Given]:
    """`training.batch_size=4` -> (training, batch_size), 4. Quotes around a value go, and it is text whatever it holds.

    Raises:
        InputError: for a word that is not key=value.
    """
    return [_cut(word) for word in words]


def _cut(word: str) -> Given:
    key, equals, value = word.partition("=")
    if word[:1] in ("+", "~"):
        raise InputError(f"'{word}' would add or remove a setting; write key=value for one that is there.")
    if not equals or not key or key.startswith("-") or any(letter.isspace() for letter in key):
        raise InputError(f"'{word}' cannot be read; settings are written key=value, without spaces or dashes before.")
    if value.startswith("="):
        raise InputError(f"'{word}' has two signs of equality; write {key}={value[1:]}.")
    if len(value) > 1 and value[0] in "'\"" and value[0] == value[-1] and value[0] not in value[1:-1]:
        return Given(tuple(key.split(".")), value[1:-1])
    return Given(tuple(key.split(".")), Plain(value))
