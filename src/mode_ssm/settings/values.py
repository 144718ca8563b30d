"""A text to the type that a setting has."""

import math
import os
import types
from enum import Enum
from typing import Any, get_args

from mode_ssm.config import Facts
from mode_ssm.errors import InputError
from mode_ssm.settings.yaml_text import Plain, Tree

NULL = ("", "~", "null", "Null", "NULL")
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
WANTED = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def value_of(hint: Any, facts: Facts, key: str, given: Tree) -> Any:
    """What is given, as `hint` says: int, float, bool, str, an Enum, or one of these or None.

    Raises:
        InputError: where it is of another type, out of bounds or not among the allowed values.
    """
    kind, optional = without_none(hint)
    if isinstance(given, Plain) and given in NULL and not (facts.path and given == "~"):
        if optional:
            return None
        quoted = "; put quotes around a text of that name" if given and kind is str else ""
        raise InputError(f"{key} cannot be {'null' if given else 'empty'}; it needs {wanted(hint, facts)}{quoted}.")
    try:
        value = _converted(kind, given)
    except (ValueError, KeyError):
        raise InputError(f"{key}={shown(given)} does not fit; it needs {wanted(hint, facts)}.") from None
    if isinstance(value, str) and facts.path:
        value = os.path.expanduser(value)
    check_value(key, value, facts)
    return value


def _converted(kind: Any, given: Tree) -> Any:
    if not isinstance(given, str):
        raise ValueError
    if kind is bool:
        return BOOLEANS[given.lower()]
    return kind(given) if issubclass(kind, Enum) else kind(str(given))


def check_value(key: str, value: Any, facts: Facts) -> None:
    """Raises: InputError, where the value is out of the setting's bounds or not among its values."""
    if facts.among and value not in facts.among:
        raise InputError(f"{key}={value} is not a choice; there are {', '.join(facts.among)}.")
    if isinstance(value, float) and not math.isfinite(value) and facts.low is None:
        raise InputError(f"{key}={value} is not finite; give a number.")
    if facts.low is not None and value is not None and not facts.low <= value <= facts.high:
        raise InputError(f"{key}={value} is out of range; it must lie between {facts.low:g} and {facts.high:g}.")


def without_none(hint: Any) -> tuple[Any, bool]:
    """`int | None` -> int, True; `int` -> int, False."""
    if not isinstance(hint, types.UnionType):
        return hint, False
    (kind,) = (part for part in get_args(hint) if part is not type(None))
    return kind, True


def wanted(hint: Any, facts: Facts) -> str:
    kind, optional = without_none(hint)
    if issubclass(kind, Enum):
        text = "one of " + ", ".join(member.value for member in kind)
    else:
        text = WANTED[kind] + (f" ({facts.unit})" if facts.unit else "")
    return text + (" or null" if optional else "")


def shown(given: Tree) -> str:
    """What was given, as short as an error can hold it."""
    if isinstance(given, str):
        return given
    inner = given if isinstance(given, list) else [f"{key}: {shown(value)}" for key, value in given.items()]
    text = ", ".join(shown(value) for value in inner)
    text = text if len(text) <= 60 else text[:57] + "..."
    return f"[{text}]" if isinstance(given, list) else f"{{{text}}}"
