"""Following a key through a configuration to the setting that it names, and setting it."""

from collections.abc import Iterator, Sequence
from dataclasses import Field, fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from mode_ssm.config import Facts, word_of
from mode_ssm.errors import InputError
from mode_ssm.settings.hints import unknown_setting
from mode_ssm.settings.values import NULL, shown, value_of, without_none
from mode_ssm.settings.yaml_text import Plain, Tree, parse


class Known(NamedTuple):
    """A field of a dataclass."""

    hint: Any
    facts: Facts
    field: str


def known_fields(group: Any) -> dict[str, Known]:
    """By the word that sets each."""
    schema: Any = type(group)
    return _known_fields(schema)


@cache
def _known_fields(schema: type) -> dict[str, Known]:
    hints = get_type_hints(schema)
    return {word_of(f.name): Known(hints[f.name], facts_of(f), f.name) for f in fields(schema)}


def facts_of(setting: Field[Any]) -> Facts:
    facts: Facts = setting.metadata.get("facts", Facts())
    return facts


class Assigning:
    """Sets what is given in one configuration, in place.

    Args:
        root: the configuration; its choices (`encoder`, ...) are of their final kinds already.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._given: dict[str, tuple[Any, set[str]]] = {}  # groups, by prefix, and what was set in them since `settle`

    def assign(self, path: Sequence[str], given: Tree) -> None:
        """Set one setting, or a part of the configuration.

        Raises:
            InputError: where no setting has that name, the value has another shape or type, or is out of bounds.
        """
        self._in_group(self._root, "", path, given)

    def settle(self) -> None:
        """The end of what one place gives: of two settings that stand for each other, the given one counts.

        Raises:
            InputError: where both were given.
        """
        for prefix, (group, given) in self._given.items():
            for name, (_, facts, _) in known_fields(group).items():
                pair = (name, facts.instead_of)
                said = [one for one in pair if facts.instead_of and one in given and getattr(group, one)]
                if len(said) == 2:
                    raise InputError(f"{prefix}{name} stands for {prefix}{pair[1]}, and both are given; give one.")
                if said == [name]:
                    setattr(group, facts.instead_of, "")
                elif said:
                    setattr(group, name, None)
        self._given.clear()

    def _in_group(self, group: Any, prefix: str, path: Sequence[str], given: Tree) -> None:
        known = known_fields(group)
        name, *rest = path
        if name not in known:
            name, *rest = [*_by_alias(known, name), *rest]
        if name not in known or name == "kind":
            raise unknown_setting(self._root, prefix, path, given)
        key, (hint, facts, field) = prefix + name, known[name]
        current = getattr(group, field)
        if not rest:
            setattr(group, field, self._whole(hint, facts, key, given, current))
            self._given.setdefault(prefix, (group, set()))[1].add(name)
        elif is_dataclass(current):
            self._in_group(current, f"{key}.", rest, given)
        elif get_origin(without_none(hint)[0]) is list:
            self._in_list(current or [], known[name], key, rest, given)
        elif isinstance(current, dict) and len(rest) == 1:
            current |= _mapping(hint, facts, key, {rest[0]: given})
        else:
            raise InputError(f"{key} is one setting and has none within; write {key}=VALUE, not {key}.{rest[0]}.")

    def _in_list(self, entries: list[Any], known: Known, key: str, path: Sequence[str], given: Tree) -> None:
        index, *rest = path
        if not (index.isascii() and index.isdecimal()) or len(index) > 9 or int(index) >= len(entries):
            last = f"{key}.0 to {key}.{len(entries) - 1}" if len(entries) > 1 else f"{key}.0"
            one = "entry" if len(entries) == 1 else "entries"
            has = f"{key} has {len(entries)} {one}" + (f", {last}" if entries else "")
            raise InputError(f"{has}, not {key}.{index}; name one of those, or give the whole list.")
        place, (hint,) = f"{key}.{int(index)}", get_args(without_none(known.hint)[0])
        if not rest:
            entries[int(index)] = self._whole(hint, known.facts, place, given, entries[int(index)])
        elif is_dataclass(entries[int(index)]):
            self._in_group(entries[int(index)], f"{place}.", rest, given)
        else:
            raise InputError(f"{place} is one setting and has none within; write {place}=VALUE.")

    def _whole(self, hint: Any, facts: Facts, key: str, given: Tree, current: Any) -> Any:
        """The value of a setting, a list, a mapping or a group of settings."""
        kind, optional = without_none(hint)
        if not (is_dataclass(current) or get_origin(kind) in (list, dict)):
            return value_of(hint, facts, key, given)
        if isinstance(given, Plain) and given[:1] in ("[", "{"):
            given = parse(given, key)
        if optional and isinstance(given, Plain) and given in NULL:
            return None
        if is_dataclass(current):
            return self._group(key, given, current)
        if get_origin(kind) is dict:
            if not isinstance(given, dict):
                raise InputError(f"{key}={shown(given)} does not fit; it needs a mapping such as {{name: 1}}.")
            return _mapping(kind, facts, key, given)
        return self._list(get_args(kind)[0], facts, key, given)

    def _group(self, key: str, given: Tree, current: Any) -> Any:
        if not isinstance(given, dict):
            example = next(f"{key}.{name}" for name in known_fields(current) if name != "kind")
            raise InputError(
                f"{key} is a group of settings and cannot be {shown(given) or 'empty'}; set one of them, such as "
                f"{example}=VALUE, or several as {key}={{name: value}}."
            )
        names = sorted(given, key=lambda name: name not in known_fields(current))  # an alias adds to its mapping
        for name in names:
            self._in_group(current, f"{key}.", [name], given[name])
        return current

    def _list(self, kind: Any, facts: Facts, key: str, given: Tree) -> list[Any]:
        if not isinstance(given, list):
            entry = "{name: value}" if is_dataclass(kind) else "1"
            raise InputError(f"{key}={shown(given)} does not fit; it needs a list such as [{entry}].")
        if not given:
            raise InputError(f"{key} is empty; give at least one entry.")
        new: Any = kind if is_dataclass(kind) else lambda: None
        return [self._whole(kind, facts, f"{key}.{n}", value, new()) for n, value in enumerate(given)]


def _by_alias(known: dict[str, Known], name: str) -> list[str]:
    """`ctc_weight` -> weights, ctc: the names of the setting that it means; else itself."""
    for setting, (_, facts, _) in known.items():
        of = name.removesuffix(f"_{facts.alias}")
        if facts.alias and of != name and of.isidentifier():
            return [setting, of]
    return [name]


def _mapping(hint: Any, facts: Facts, key: str, given: dict[str, Tree]) -> dict[str, Any]:
    for name in given:
        if not name.isidentifier():
            raise InputError(f"{key} has no place for '{name}'; it takes names of letters, digits and _.")
    return {name: value_of(get_args(hint)[1], facts, f"{key}.{name}", value) for name, value in given.items()}


def walk(node: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a configuration as (dotted key, value), lists by index."""
    if is_dataclass(node):
        for f in fields(node):
            yield from walk(getattr(node, f.name), f"{prefix}{word_of(f.name)}.")
    elif isinstance(node, list) and node:
        for index, item in enumerate(node):
            yield from walk(item, f"{prefix}{index}.")
    elif isinstance(node, dict) and node:
        for key, item in node.items():
            yield from walk(item, f"{prefix}{key}.")
    else:
        yield prefix[:-1], node
