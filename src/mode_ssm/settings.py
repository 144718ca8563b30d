"""From `key=value` words to a checked, typed configuration, or to one sentence that says what is wrong with them.

Hydra stops here: what comes out is a plain dataclass of `mode_ssm.config`.
"""

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Any, TypeVar, cast, get_type_hints

import yaml
from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from mode_ssm import config as config_module
from mode_ssm.config import CHOICES, TrainConfig
from mode_ssm.errors import InputError

Config = TypeVar("Config")

# The least and the greatest allowed value, by the name of the setting wherever it stands.
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        "max_sessions num_channels session_rank patch_frames stride_frames width layers state_size expansion "
        "head_width conv_frames chunk_frames batch_size sessions_per_batch gradient_accumulation_steps "
        "max_skipped_in_a_row devices log_every_updates checkpoint_every_updates beam_size "
        "max_labels_per_frame context attention_window max_distance".split(),
        (1, 10**9),
    ),
    **dict.fromkeys(
        "num_workers max_cut_frames time_masks patch_masks warmup_updates rewarm_updates epochs rnnt_ramp_updates seed "
        "freeze_encoder_updates freeze_predictor_updates freeze_joiner_updates attention_every".split(),
        (0, 10**9),
    ),
    **dict.fromkeys(
        "ctc_beam_size rnnt_beam_size nbest tries max_sentences max_words min_count workers attention_window".split(),
        (1, 10**9),
    ),
    **dict.fromkeys("decode_workers sample_trials alignments examples".split(), (0, 10**9)),
    **dict.fromkeys(
        "beam_threshold label_threshold lm_weight internal_lm_weight blank_penalty weight drift_days".split(), (0, 1e6)
    ),
    "max_trials": (1, 10**9),
    "temperature": (0.01, 100),
    "order": (2, 5),
    "share": (0, 1),
    **dict.fromkeys("dropout stochastic_depth".split(), (0.0, 0.95)),
    "max_speed_change": (0.0, 0.9),
    **dict.fromkeys("time_mask_max_fraction patch_mask_max_fraction final_lr_fraction step_at".split(), (0.0, 1.0)),
    **dict.fromkeys("beta1 beta2".split(), (0.0, 0.999999)),
    **dict.fromkeys("smoothing_sd_frames".split(), (0.0, 100.0)),
    **dict.fromkeys(
        "white_noise_sd constant_offset_sd weight_decay ctc_weight rnnt_weight fastemit_lambda".split(), (0.0, 1e6)
    ),
    **dict.fromkeys("lr eps max_grad_norm clip_median_multiple dt_min dt_max".split(), (1e-12, 1e6)),
}

ALLOWED: dict[str, tuple[str, ...]] = {
    "precision": ("32-true", "bf16-mixed"),
    "accelerator": ("auto", "cpu", "cuda"),
    "split": ("train", "val", "test"),
}

# The settings that are text, by name.
TEXTS = {
    name
    for node in vars(config_module).values()
    if is_dataclass(node)
    for name, hint in get_type_hints(node).items()
    if hint in (str, str | None)
}


def _register(schema: type) -> str:
    """Put a command's tree, and the choices of a training tree, where Hydra finds them."""
    store = ConfigStore.instance()
    defaults: list[Any] = ["_self_"]
    if issubclass(schema, TrainConfig):
        for group, options in CHOICES.items():
            for name, node in options.items():
                store.store(group=group, name=name, node=node)
        defaults += [{group: next(iter(options))} for group, options in CHOICES.items()] + [{"experiment": None}]
    root = make_dataclass(
        schema.__name__, [("defaults", list[Any], field(default_factory=lambda: defaults))], bases=(schema,)
    )
    store.store(name=schema.__name__, node=root)
    return schema.__name__


def read_settings(schema: type[Config], overrides: Sequence[str]) -> Config:
    """Compose the typed configuration of one command.

    Args:
        schema: a root dataclass of mode_ssm.config, such as TrainConfig.
        overrides: words such as `training.batch_size=4`.

    Raises:
        InputError: for an unknown key, a wrong type, a value out of bounds, a choice or list index that is not there.
    """
    name = _register(schema)
    for word in overrides:
        if word[:1] in ("+", "~"):
            raise InputError(f"'{word}' would add or remove a setting; write key=value for one that is there.")
    try:
        with initialize_config_module("mode_ssm.conf", version_base="1.3"):
            resolved = OmegaConf.to_object(compose(name, overrides=[_literal(word) for word in overrides]))
    except OverrideParseException as error:
        raise InputError(
            f"'{error.override}' cannot be read; settings are written key=value, without spaces."
        ) from None
    except MissingConfigException as error:
        raise InputError(_unknown_choice(str(error.missing_cfg_file))) from None
    except MissingMandatoryValue as error:
        raise InputError(f"The setting {error.full_key} has no default; give it as {error.full_key}=VALUE.") from None
    except (ConfigCompositionException, HydraException, OmegaConfBaseException, TypeError, ValueError) as error:
        raise InputError(_explain(error, name)) from None
    return _checked(schema, resolved)


def _literal(word: str) -> str:
    """The word for Hydra: text as it stands, whatever a path's name holds, but for quotes around it and a leading ~."""
    key, _, value = word.partition("=")
    quoted = value[:1] in ("'", '"') and value[:1] == value[-1:]
    if key.rsplit(".", 1)[-1] not in TEXTS or value in ("", "null") or quoted:
        return word
    return f"{key}={QuotedString(os.path.expanduser(value), Quote.single).with_quotes()}"


def settings_from_file(schema: type[Config], text: str, origin: str) -> Config:
    """Rebuild a typed configuration from the YAML of a run folder.

    Raises:
        InputError: when the text is not such a configuration; the sentence names `origin`.
    """
    try:
        plain = yaml.safe_load(text)
        if not isinstance(plain, dict):
            raise InputError(f"{origin} holds no settings; give a folder that `mode-ssm train` wrote.")
        tree = OmegaConf.create(plain)
        base = OmegaConf.structured(schema)
        for group, options in CHOICES.items():
            if group in tree:
                kind = tree[group].get("kind")
                if kind not in options:
                    raise InputError(f"{origin} names the {group} '{kind}'; there are {', '.join(options)}.")
                base = OmegaConf.merge(base, {group: OmegaConf.structured(options[kind])})
        resolved = OmegaConf.to_object(OmegaConf.merge(base, tree))
    except (OmegaConfBaseException, yaml.YAMLError, AttributeError) as error:
        raise InputError(f"{origin} cannot be read as settings: {str(error).splitlines()[0]}") from None
    return _checked(schema, resolved)


def dump_settings(config: object) -> str:
    """The YAML that `settings_from_file` reads."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def _checked(schema: type[Config], resolved: Any) -> Config:
    config = schema(**{f.name: getattr(resolved, f.name) for f in fields(cast(Any, schema))})
    for key, value in walk(config):
        _check_value(key, value)
    return config


def _check_value(key: str, value: Any) -> None:
    leaf = key.rsplit(".", 1)[-1]
    if value == []:
        raise InputError(f"{key} is empty; give at least one entry.")
    if leaf in BOUNDS and value is not None:
        low, high = BOUNDS[leaf]
        if not low <= value <= high:
            raise InputError(f"{key}={value} is out of range; it must lie between {low:g} and {high:g}.")
    if leaf in ALLOWED and value not in ALLOWED[leaf]:
        raise InputError(f"{key}={value} is not a choice; there are {', '.join(ALLOWED[leaf])}.")


def walk(node: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a configuration as (dotted key, value), lists by index."""
    if is_dataclass(node):
        for f in fields(node):
            yield from walk(getattr(node, f.name), f"{prefix}{f.name}.")
    elif isinstance(node, list) and node:
        for index, item in enumerate(node):
            yield from walk(item, f"{prefix}{index}.")
    else:
        yield prefix[:-1], node


def _unknown_choice(missing: str) -> str:
    group, _, option = missing.partition("/")
    known = list(CHOICES.get(group, {}))
    if group == "experiment":
        from importlib.resources import files

        known = sorted(p.name[:-5] for p in files("mode_ssm.conf.experiment").iterdir() if p.name.endswith(".yaml"))
    return f"{group}={option} is not a choice; there are {', '.join(known) or 'none'}."


def _explain(error: Exception, name: str) -> str:
    message = str(error)
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown:
        return _unknown_key(unknown.group(1), name)
    no_index = _no_such_index(message, name)
    if no_index:
        return no_index
    merging = re.search(r"Error merging override (\S+)", message)
    cause = ": ".join(line.rstrip(".:") for line in str(error.__cause__ or error).splitlines()[:2] if line[:1] != " ")
    if not merging:
        return f"The settings do not fit together: {cause}."
    return f"{merging.group(1)} does not fit: {cause}."


def _defaults(name: str) -> dict[str, Any]:
    with initialize_config_module("mode_ssm.conf", version_base="1.3"):
        tree = compose(name)
    plain = OmegaConf.to_container(tree)
    flat: dict[str, Any] = {}

    def visit(node: Any, prefix: str) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            flat[f"{prefix}{key}"] = value
            visit(value, f"{prefix}{key}.")

    visit(plain, "")
    return flat


def _unknown_key(key: str, name: str) -> str:
    group, _, leaf = key.partition(".")
    having = [f"{group}={option}" for option, node in CHOICES.get(group, {}).items() if leaf in get_type_hints(node)]
    if having:
        return f"{key} is a setting of {' or '.join(having)}; choose that, or leave the setting out."
    keys = list(_defaults(name))
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    same_leaf = [k for k in keys if k.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
    hint = near or same_leaf
    return f"There is no setting '{key}'" + (f"; did you mean {hint[0]}?" if hint else "; --help lists the settings.")


def _no_such_index(message: str, name: str) -> str | None:
    """The sentence for `training.stages.7.epochs=2` where there are two stages."""
    index = re.search(r"override (\S+?)\.(\d+)(?:\.[^=]*)?=", message)
    entries = _defaults(name).get(index.group(1)) if index else None
    if not index or not isinstance(entries, list) or int(index.group(2)) < len(entries):
        return None
    key, last = index.group(1), len(entries) - 1
    return f"{key} has {last + 1} entries, {key}.0 to {key}.{last}, not {key}.{index.group(2)}; name one of those."
