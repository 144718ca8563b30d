"""Settings: the user's own words work, wrong ones end with a sentence, and every one of them is read somewhere."""

import ast
import re
from dataclasses import MISSING, fields, is_dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mode_ssm import config as config_module
from mode_ssm.cli import COMMANDS, LM_BUILD
from mode_ssm.config import (
    CHOICES,
    EvaluateConfig,
    GRUEncoderConfig,
    LSTMPredictorConfig,
    SSMEncoderConfig,
    StatelessPredictorConfig,
    TrainConfig,
)
from mode_ssm.errors import InputError
from mode_ssm.settings import dump_settings, read_settings, settings_from_file, walk
from mode_ssm.settings.help import settings_help

SOURCE = Path(config_module.__file__).parent


def test_the_defaults_are_a_joint_run_at_the_size_of_t15():
    config = read_settings(TrainConfig, [])
    assert isinstance(config.encoder, SSMEncoderConfig)
    assert isinstance(config.predictor, StatelessPredictorConfig)
    assert config.preprocessor.num_channels == 512
    assert [(s.name, s.ctc_weight, s.rnnt_weight) for s in config.training.stages] == [
        ("ctc_warmup", 1.0, 0.0),
        ("joint_train", 0.3, 1.0),
    ]


def test_list_indices_floats_and_choices():
    words = ["training.stages.1.epochs=2", "training.optimizer.lr=0.00005", "encoder=gru", "predictor=lstm"]
    config = read_settings(TrainConfig, [*words, "data.max_sessions=3", "encoder.direction=causal"])
    assert config.training.stages[1].epochs == 2
    assert config.training.optimizer.lr == 5e-5
    assert isinstance(config.encoder, GRUEncoderConfig)
    assert isinstance(config.predictor, LSTMPredictorConfig)
    assert config.data.max_sessions == 3


EXPERIMENTS = {p.name[:-5]: p.read_text() for p in files("mode_ssm.conf.experiment").iterdir()}
FREE = [
    (name, f"{group}={option}")
    for name, text in sorted(EXPERIMENTS.items())
    for group in CHOICES
    for option in CHOICES[group]
    if f"{group}: {{kind:" not in text and f"{group}:\n  kind:" not in text
]


@pytest.mark.parametrize(("name", "choice"), FREE)
def test_every_experiment_fits_every_choice_that_it_leaves_open(name, choice):
    group, option = choice.split("=")
    assert getattr(read_settings(TrainConfig, [f"experiment={name}", choice]), group).kind == option


def test_what_an_experiment_sets_of_its_own_choice_does_not_go_to_another():
    config = read_settings(TrainConfig, ["experiment=nejm_gru", "encoder=ssm"])
    assert config.encoder == SSMEncoderConfig()
    assert config.preprocessor.projection is False


def test_a_later_word_beats_the_experiment():
    assert read_settings(TrainConfig, ["experiment=an4", "encoder.width=64"]).encoder.width == 64


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(lambda text: "/" + text))
@example("/data, copied (1)/José's #2 {x}=[y]")
@example("/ends in \\")
@example("/it\\'s")
@example("1e3")
@example("true")
def test_a_path_is_taken_as_it_stands(path):
    config = read_settings(TrainConfig, [f"data.data_root={path}"])
    assert config.data.data_root == path
    assert settings_from_file(TrainConfig, dump_settings(config), "config.yaml") == config


def test_a_path_may_be_quoted_or_null_or_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["data.data_root=~/t15, all", "output_dir='a, b'", "data.cache_dir=null"]
    config = read_settings(TrainConfig, words)
    assert (config.data.data_root, config.output_dir, config.data.cache_dir) == (f"{tmp_path}/t15, all", "a, b", None)


def test_settings_survive_a_run_folder():
    config = read_settings(TrainConfig, ["encoder=gru", "training.precision=bf16-mixed", "data.max_sessions=2"])
    assert settings_from_file(TrainConfig, dump_settings(config), "config.yaml") == config


MALFORMED = {
    "training.bach_size=4": "did you mean training.batch_size?",
    "stages.0.epochs=2": "did you mean training.stages.0.epochs?",
    "encoder.state_sizes=4": "did you mean encoder.state_size?",
    "training.batch_size=four": "training.batch_size=four does not fit; it needs a whole number (trials).",
    "training.batch_size=1.5": "it needs a whole number",
    "training.batch_size=": "training.batch_size cannot be empty; it needs a whole number",
    "training.batch_size=[": "training.batch_size=[ does not fit; it needs a whole number",
    "training.batch_size": "settings are written key=value",
    "training.batch_size=1,2": "training.batch_size=1,2 does not fit; it needs a whole number",
    "training.batch_size=0": "must lie between 1 and",
    "training.optimizer.lr=nan": "must lie between",
    "training.optimizer.lr=-1": "must lie between",
    "encoder.dropout=1.5": "must lie between 0 and 0.95",
    "training.stages.2.epochs=2": "training.stages has 2 entries, training.stages.0 to training.stages.1",
    "training.stages.first.epochs=2": "training.stages.1, not training.stages.first;",
    "training.stages=[]": "give at least one entry",
    "training.stages=null": "training.stages=null does not fit; it needs a list such as [{name: value}].",
    "training.stages.0.epoch=2": "did you mean training.stages.0.epochs?",
    "encoder=rnn": "there are ssm, gru, transformer",
    "experiment=t16": "there are an4, demo",
    "encoder.direction=backwards": "encoder.direction=backwards does not fit; it needs one of bidirectional, causal.",
    "losses.rnnt_scaling=length": "it needs one of sequence_length, sqrt",
    "training.precision=float16": "there are 32-true, bf16-mixed",
    "training.accelerator=tpu": "there are auto, cpu, cuda",
    "~training": "would add or remove a setting",
    "+training.more=1": "would add or remove a setting",
    "data=null": "data is a group of settings and cannot be null; set one of them, such as data.data_root=VALUE",
    "=3": "settings are written key=value",
}


@pytest.mark.parametrize("word", MALFORMED)
def test_a_wrong_setting_ends_with_a_sentence(word):
    with pytest.raises(InputError) as error:
        read_settings(TrainConfig, [word])
    assert MALFORMED[word] in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_setting_is_named():
    with pytest.raises(InputError, match="The setting checkpoint has no default; give it as checkpoint=VALUE"):
        read_settings(EvaluateConfig, [])


@pytest.mark.parametrize("text", ["", "3", "a: [", "encoder: {kind: rnn}", "training: 3", "unknown: 1"])
def test_a_foreign_settings_file_ends_with_a_sentence(text):
    with pytest.raises(InputError, match=r"config\.yaml"):
        settings_from_file(TrainConfig, text, "config.yaml")


def test_every_setting_is_read_somewhere():
    read = set()
    for path in SOURCE.rglob("*.py"):
        if path.parent.name == "settings":
            continue
        tree = ast.parse(path.read_text())
        read |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}
    schemas = [c for c in vars(config_module).values() if isinstance(c, type) and is_dataclass(c)]
    unread = {f"{c.__name__}.{f.name}" for c in schemas for f in fields(c) if f.name not in read and f.name != "kind"}
    assert not unread


@pytest.mark.parametrize("schema", [command.schema for command in (*COMMANDS.values(), LM_BUILD)])
def test_help_lists_every_setting(schema):
    text = settings_help(schema)
    needed = [f"{f.name}=X" for f in fields(schema) if f.default is f.default_factory is MISSING]
    config = read_settings(schema, needed if schema is not TrainConfig else [])
    for key, _ in walk(config):
        key = re.sub(r"weights\.(\w+)$", r"\1_weight", key).removesuffix(".ramp_updates")
        if not key.endswith(".kind"):
            assert re.search(rf"^  {re.escape(key)}[=.]", text, re.MULTILINE), key
