"""One configuration out of words and files, in their order: defaults, config=RUN, experiment=NAME, words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from mode_ssm.config import CHOICES, Resume, TrainConfig, word_of
from mode_ssm.errors import InputError
from mode_ssm.settings.assigning import Assigning
from mode_ssm.settings.values import shown
from mode_ssm.settings.words import Given, cut
from mode_ssm.settings.yaml_text import Plain, parse

Config = TypeVar("Config")


class Layer(NamedTuple):
    """Settings from one place; a later layer goes before an earlier one."""

    origin: str  # of a file; "" = the words
    given: list[Given]


def read_settings(schema: type[Config], words: Sequence[str]) -> Config:
    """The typed configuration of one command.

    Args:
        schema: a root dataclass of mode_ssm.config, such as TrainConfig.
        words: such as `training.batch_size=4`; for a training also `experiment=NAME` or `experiment=FILE.yaml`, and
            `config=RUN`. Of two words with the same key the later one counts; `training.stages.0.epochs=1` goes before
            `training.stages=[...]` and `encoder.width=64` before `encoder={...}`, wherever they stand.

    Raises:
        InputError: for an unknown key, a wrong type, a value out of bounds, a choice or list index that is not there.
    """
    given = cut(words)
    files = list(_training_files(given)) if issubclass(schema, TrainConfig) else []
    of_files = (("config",), ("experiment",)) if files else ()
    own = [_as_choice(each) for each in given if each.path not in of_files]
    return _build(schema, [*files, Layer("", sorted(own, key=lambda each: len(each.path)))])


def settings_from_file(schema: type[Config], text: str, origin: str) -> Config:
    """Rebuild a typed configuration from the YAML of a run folder.

    Raises:
        InputError: when the text is not such a configuration; the sentence names `origin`.
    """
    return _build(schema, [_file_layer(text, origin)])


def experiments() -> dict[str, Path]:
    """The files of conf/experiment by name."""
    folder = Path(__file__).parent.parent / "conf" / "experiment"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _training_files(given: Sequence[Given]) -> Iterator[Layer]:
    config, experiment = _only(given, "config"), _only(given, "experiment")
    if config is not None:
        yield _run_layer(Path(config).expanduser())
    elif (run := _continued(given)) is not None:
        yield _run_layer(run)
    if experiment is not None:
        path = experiments().get(experiment, Path(experiment).expanduser())
        if not (path.is_file() or path.suffix in (".yaml", ".yml")):
            known = ", ".join(experiments())
            raise InputError(f"experiment={experiment} is not a choice; there are {known}, or a YAML file of your own.")
        yield _file_layer(_text(path), str(path))


def _only(given: Sequence[Given], name: str) -> str | None:
    values = [shown(each.value) for each in given if each.path == (name,)]
    if len(values) > 1:
        raise InputError(f"{name} is given twice, as {values[0]} and {values[1]}; give one.")
    return values[0] if values else None


def _continued(given: Sequence[Given]) -> Path | None:
    """The config.yaml of the run that training.resume=auto goes on with, where it has one."""
    said = {each.path: shown(each.value) for each in given}
    run = said.get(("output_dir",))
    if said.get(("training", "resume")) != Resume.auto or not run:
        return None
    path = Path(run).expanduser() / "config.yaml"
    return path if path.is_file() else None


def _run_layer(path: Path) -> Layer:
    """The settings of a run, without its folder and whether it was resumed."""
    path = path / "config.yaml" if path.is_dir() else path
    layer = _file_layer(_text(path), str(path))
    for each in layer.given:
        if each.path == ("training",) and isinstance(each.value, dict):
            each.value.pop("resume", None)
    return Layer(layer.origin, [each for each in layer.given if each.path != ("output_dir",)])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path} cannot be read ({reason}); give a YAML file of settings.") from None


def _file_layer(text: str, origin: str) -> Layer:
    tree = parse(text, origin)
    if not isinstance(tree, dict):
        raise InputError(f"{origin} holds no settings; it needs lines such as `training: {{batch_size: 4}}`.")
    return Layer(origin, [Given((name,), value) for name, value in tree.items()])


def _build(schema: type[Config], layers: Sequence[Layer]) -> Config:
    blank = {f.name: MISSING for f in fields(cast(Any, schema)) if f.default is f.default_factory is MISSING}
    config = schema(**blank)
    for group in CHOICES:
        if hasattr(config, group):
            layers = list(_chosen(config, group, layers))
    assigning = Assigning(config)
    for layer in layers:
        for each in layer.given:
            with _naming(layer.origin):
                assigning.assign(each.path, each.value)
        with _naming(layer.origin):
            assigning.settle()
    for name in blank:
        if getattr(config, name) is MISSING:
            word = word_of(name)
            raise InputError(f"The setting {word} has no default; give it as {word}=VALUE.")
    return config


@contextmanager
def _naming(origin: str) -> Iterator[None]:
    """A wrong setting's sentence begins with the file where it stands."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{origin}: {error}" if origin else str(error)) from None


def _as_choice(given: Given) -> Given:
    """`encoder.kind=gru` is `encoder=gru`."""
    is_kind = len(given.path) == 2 and given.path[0] in CHOICES and given.path[1] == "kind"
    return Given(given.path[:1], given.value) if is_kind else given


def _chosen(config: Any, group: str, layers: Sequence[Layer]) -> Iterator[Layer]:
    """Make `config.group` of the kind that is named last, and leave out what was given together with another kind.

    `encoder: {width: 192}` alone is for any kind; `encoder: {kind: gru, width: 768}` is for that one.
    """
    options, kind = CHOICES[group], next(iter(CHOICES[group]))
    for layer in layers:
        with _naming(layer.origin):
            for named, _ in map(partial(_with_kind, group), layer.given):
                if named is not None and named not in options:
                    raise InputError(f"{group}={named} is not a choice; there are {', '.join(options)}.")
                kind = kind if named is None else named
    setattr(config, group, options[kind]())
    for layer in layers:
        split = [_with_kind(group, each) for each in layer.given]
        yield Layer(layer.origin, [rest for named, rest in split if rest and named in (None, kind)])


def _with_kind(group: str, given: Given) -> tuple[str | None, Given | None]:
    """The kind that is named, if any, and what is given besides."""
    if given.path != (group,):
        return None, given
    value = given.value
    if isinstance(value, Plain) and value.startswith("{"):
        value = parse(value, group)
    if not isinstance(value, dict):
        return shown(value), None
    rest = {name: inner for name, inner in value.items() if name != "kind"}
    return shown(value["kind"]) if "kind" in value else None, Given(given.path, rest)
