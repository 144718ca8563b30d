"""YAML to a tree of texts, and a configuration to YAML.

YAML guesses: `no` is false, `1e-4` a text, `2023-08-11` a date. Here every scalar stays the text that it is, and the
setting that it is for says what it becomes.
"""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, ClassVar

import yaml

from mode_ssm.errors import InputError


class Plain(str):
    """A text without quotes around it, so that null, true and numbers can be meant."""


Tree = str | list["Tree"] | dict[str, "Tree"]


_MOST_VALUES = 100_000


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}  # no sets, no bytes: what stands below
    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # noqa: RUF012 (merge keys alone)


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    return text if node.style else Plain("null" if text == "~" else text)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Tree]:
    loader.flatten_mapping(node)
    found: dict[str, Tree] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str) or key in found:
            problem = f"the key {key} stands twice" if isinstance(key, str) else "a key is not a name"
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        found[str(key)] = loader.construct_object(value_node, deep=True)
    return found


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Tree]:
    return [loader.construct_object(entry, deep=True) for entry in node.value]


_Loader.add_constructor(None, yaml.SafeLoader.construct_undefined)
_Loader.add_constructor("tag:yaml.org,2002:seq", _sequence)
_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
for _tag in ("null", "bool", "int", "float", "timestamp"):  # where someone writes one: !!int 4
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _scalar)


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML has no types
    pass


def _escaped(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Line breaks of every kind as escapes: PyYAML reads some of them back as others."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _escaped)


def parse(text: str, origin: str) -> Tree:
    """Read YAML.

    Raises:
        InputError: where the text is not YAML; the sentence names `origin`.
    """
    try:
        tree: Tree | None = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{origin} cannot be read as YAML{line}: {error.problem or error.context}.") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{origin} cannot be read as YAML: {str(error).splitlines()[0]}.") from None
    if tree is None:  # no text at all
        return Plain("null")
    if _size(tree, {}) > _MOST_VALUES:
        raise InputError(f"{origin} holds more than {_MOST_VALUES} values, by the aliases in it; write them out.")
    return tree


def _size(tree: Tree, known: dict[int, int]) -> int:
    """How many values there are, those of aliases counted each time."""
    if isinstance(tree, str):
        return 1
    if id(tree) not in known:
        inner = tree.values() if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_size(value, known) for value in inner)
    return known[id(tree)]


def dump_settings(config: object) -> str:
    """The YAML that `settings_from_file` reads."""
    text: str = yaml.dump(_plain(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
    return text


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
