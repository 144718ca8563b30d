"""Settings: the user's own words work, wrong ones end with a sentence, and every one of them is read somewhere."""

import ast
import re
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mode_ssm import config as config_module
from mode_ssm.cli import COMMANDS, LM_COMMANDS
from mode_ssm.config import (
    CHOICES,
    Backend,
    EvaluateConfig,
    GRUEncoderConfig,
    LSTMPredictorConfig,
    SSMEncoderConfig,
    StageConfig,
    StatelessPredictorConfig,
    TrainConfig,
    word_of,
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
    assert [(s.name, s.weights) for s in config.training.stages] == [
        ("ctc_warmup", {"ctc": 1.0}),
        ("joint_train", {"ctc": 0.3, "rnnt": 1.0}),
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


WRONG_SHAPES = {
    "training.stages.0=3": "training.stages.0 is a group of settings and cannot be 3; set one of them, such as "
    "training.stages.0.name=VALUE, or several as training.stages.0={name: value}.",
    "training=3": "training is a group of settings and cannot be 3; set one of them, such as training.batching=VALUE",
    "training.stages=3": "training.stages=3 does not fit; it needs a list such as [{name: value}].",
    "training.stages.x.epochs=1": "training.stages has 2 entries, training.stages.0 to training.stages.1, not "
    "training.stages.x; name one of those, or give the whole list.",
    "training.batch_size.x=1": "training.batch_size is one setting and has none within; write",
    "training.stages.0.weights=3": "training.stages.0.weights=3 does not fit; it needs a mapping such as {name: 1}.",
    "data=DIR": "data is a group of settings and cannot be DIR; set one of them, such as data.data_root=VALUE",
    "training.stages.0.ctc_weight=-1": "training.stages.0.weights.ctc=-1.0 is out of range",
    "training.stages.0.rnnt_weigth=1": "did you mean training.stages.0.rnnt_weight?",
    "trianing={batch_size: 4}": "There is no setting 'trianing'; did you mean training?",
    "lr=1": "There is no setting 'lr'; did you mean training.optimizer.lr?",
    "encoder.kind.x=1": "There is no setting 'encoder.kind.x'; did you mean encoder.kind?",
    "encoder.kind=rnn": "encoder=rnn is not a choice; there are ssm, gru, transformer.",
    "encoder={kind: gru, state_size: 3}": "encoder.state_size is a setting of encoder=ssm; choose that",
    "hydra.run.dir=x": "There is no setting 'hydra.run.dir'; output_dir=DIR is the run folder.",
    "+a=1": "'+a=1' would add or remove a setting",
    "~a": "'~a' would add or remove a setting",
    "training.seed==4": "'training.seed==4' has two signs of equality; write training.seed=4.",
    "--x": "'--x' cannot be read; settings are written key=value",
    "data.data_root=null": "data.data_root cannot be null; it needs a text; put quotes around a text of that name.",
    "data.data_root=": "data.data_root cannot be empty; it needs a text.",
    "losses.clamp=nan": "losses.clamp=nan is not finite; give a number.",
    "losses.fused=maybe": "losses.fused=maybe does not fit; it needs true or false.",
    "training.stages=[{name: a": "training.stages cannot be read as YAML, line 1",
    "training.stages=[{epochs: 1, epochs: 2}]": "the key epochs stands twice",
    "config=nowhere.yaml": "nowhere.yaml cannot be read (No such file or directory)",
    "experiment=nowhere.yaml": "nowhere.yaml cannot be read (No such file or directory)",
}
MALFORMED |= WRONG_SHAPES


@pytest.mark.parametrize("word", MALFORMED)
def test_a_wrong_setting_ends_with_a_sentence(word):
    with pytest.raises(InputError) as error:
        read_settings(TrainConfig, [word])
    assert MALFORMED[word] in str(error.value)
    assert "\n" not in str(error.value)


RIGHT = {
    "encoder.kind=gru": ("encoder", GRUEncoderConfig()),
    "encoder={kind: gru, width: 8}": ("encoder", GRUEncoderConfig(width=8)),
    "training.stages=[{name: a, epochs: 1}]": ("training.stages", [StageConfig("a", 1)]),
    "training.stages=[{weights: {l2: 0.1}, rnnt_weight: 1}]": (
        "training.stages",
        [StageConfig(weights={"l2": 0.1, "rnnt": 1.0})],
    ),
    "training.stages.1.weights.l2=0.1": ("training.stages.1.weights", {"ctc": 0.3, "rnnt": 1.0, "l2": 0.1}),
    "training.stages.1.l2_weight=0.1": ("training.stages.1.weights", {"ctc": 0.3, "rnnt": 1.0, "l2": 0.1}),
    "training.stages.1.weights={l2: 1}": ("training.stages.1.weights", {"l2": 1.0}),
    "training.stages.1.rnnt_ramp_updates=30": ("training.stages.1.ramp_updates", {"rnnt": 30}),
    "training={batch_size: 4, optimizer: {lr: 1e-4}}": ("training.optimizer.lr", 1e-4),
    "training.optimizer.lr=1e-4": ("training.optimizer.lr", 1e-4),
    "training.clip_median_multiple=null": ("training.clip_median_multiple", None),
    "losses.fused=False": ("losses.fused", False),
    "losses.fused=no": ("losses.fused", False),
    "training.seed='4'": ("training.seed", 4),
    "training.stages.0.name='null'": ("training.stages.0.name", "null"),
    "training.stages.0.name=1e3": ("training.stages.0.name", "1e3"),
    "data.data_root=a b,c=d": ("data.data_root", "a b,c=d"),
    "data.data_root=${HOME}": ("data.data_root", "${HOME}"),
    "data.cache_dir=": ("data.cache_dir", None),
}


@pytest.mark.parametrize("word", RIGHT)
def test_a_right_setting_has_its_value(word):
    key, value = RIGHT[word]
    assert at(read_settings(TrainConfig, [word]), key) == value


def at(node, key):
    for name in key.split("."):
        node = node[int(name)] if isinstance(node, list) else getattr(node, name)
    return node


def test_the_order_of_the_words_does_not_matter_but_for_the_same_key():
    words = ["training.stages.0.epochs=3", "encoder.output_projection=false", "training.stages=[{name: a}]"]
    config = read_settings(
        TrainConfig, [*words, "encoder.kind=ssm", "encoder=gru", "training.seed=1", "training.seed=2"]
    )
    assert config.training.stages == [StageConfig("a", 3)]
    assert config.encoder == GRUEncoderConfig(output_projection=False)
    assert config.training.seed == 2


def test_words_go_before_an_experiment_and_that_before_a_run_and_that_before_the_defaults(tmp_path):
    run = tmp_path / "a run"
    run.mkdir()
    words = ["encoder=gru", "encoder.layers=2", "training.batch_size=3", "training.seed=1", "data.num_workers=1"]
    config = read_settings(TrainConfig, [*words, "output_dir=x", "training.resume=auto"])
    (run / "config.yaml").write_text(dump_settings(config))
    own = tmp_path / "own.yaml"
    own.write_text("training: {batch_size: 5, seed: 2}\nencoder: {width: 8}\n")
    read = read_settings(TrainConfig, ["training.seed=3", f"experiment={own}", f"config={run}"])
    assert read.encoder == GRUEncoderConfig(width=8, layers=2)
    assert (read.training.batch_size, read.training.seed, read.data.num_workers) == (5, 3, 1)
    assert (read.output_dir, read.training.resume) == (None, "never")
    assert read_settings(TrainConfig, [f"config={run / 'config.yaml'}", "encoder=ssm"]).encoder == SSMEncoderConfig()


def test_resuming_alone_takes_the_settings_of_the_run(tmp_path):
    config = read_settings(TrainConfig, ["encoder=gru", "training.seed=1", f"output_dir={tmp_path}"])
    (tmp_path / "config.yaml").write_text(dump_settings(config))
    resumed = read_settings(TrainConfig, ["training.resume=auto", f"output_dir={tmp_path}", "training.devices=2"])
    assert replace(resumed, training=replace(resumed.training, resume="never", devices=1)) == config
    assert resumed.training.resume == "auto"


@pytest.mark.parametrize("name", ["config", "experiment"])
def test_a_file_given_twice_is_an_error(name):
    with pytest.raises(InputError, match=f"{name} is given twice, as a and b; give one"):
        read_settings(TrainConfig, [f"{name}=a", f"{name}=b"])


def test_the_data_root_stands_in_the_environment(monkeypatch):
    monkeypatch.setenv("MODE_SSM_DATA", "/recordings")
    assert read_settings(TrainConfig, []).data.data_root == "/recordings"
    assert read_settings(TrainConfig, ["data.data_root=here"]).data.data_root == "here"


# As the version before wrote them, with `ctc_weight` and its like instead of `weights`.
OLD = """
encoder: {kind: gru, direction: bidirectional, width: 16, layers: 2, dropout: 0.3, output_projection: true}
predictor: {kind: lstm, width: 8, dropout: 0.2}
joiner: {kind: additive}
training:
  optimizer: {lr: 0.001, eps: 1.0e-08}
  stages:
  - name: ctc_warmup
    epochs: 1
    ctc_weight: 1.0
    rnnt_weight: 0.0
    rnnt_ramp_updates: 0
    freeze_encoder_updates: 0
  - name: joint_train
    epochs: 1
    ctc_weight: 0.3
    rnnt_weight: 1.0
    rnnt_ramp_updates: 30
    freeze_encoder_updates: 0
output_dir: fixruns/gru
"""


def test_settings_of_an_older_run_are_read():
    config = settings_from_file(TrainConfig, OLD, "config.yaml")
    first, second = config.training.stages
    assert (first.weights, first.ramp_updates) == ({"ctc": 1.0, "rnnt": 0.0}, {"rnnt": 0})
    assert (second.weights, second.ramp_updates) == ({"ctc": 0.3, "rnnt": 1.0}, {"rnnt": 30})
    assert config.encoder == GRUEncoderConfig(width=16, layers=2)
    assert (config.joiner.kind, config.output_dir) == ("additive", "fixruns/gru")


FLOATS = st.floats(0, 1e5, allow_nan=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
STAGES = st.builds(
    StageConfig,
    name=TEXTS,
    epochs=st.integers(0, 10**6),
    weights=st.dictionaries(st.sampled_from(["ctc", "rnnt", "l2"]), FLOATS),
    ramp_updates=st.dictionaries(st.sampled_from(["ctc", "rnnt"]), st.integers(0, 100)),
)


@given(
    stages=st.lists(STAGES, min_size=1, max_size=3),
    root=TEXTS.filter(lambda text: not text.startswith("~")),
    lr=st.floats(1e-12, 1e6),
    encoder=st.one_of(
        st.builds(GRUEncoderConfig, dropout=st.floats(0, 0.95), output_projection=st.booleans()),
        st.builds(SSMEncoderConfig, backend=st.sampled_from(list(Backend)), attention_every=st.integers(0, 9)),
    ),
)
def test_what_is_written_is_read_again(stages, root, lr, encoder):
    config = TrainConfig(encoder=encoder, output_dir=root)
    config.training.stages, config.training.optimizer.lr, config.data.data_root = stages, lr, root
    assert settings_from_file(TrainConfig, dump_settings(config), "config.yaml") == config


@given(st.text(max_size=40))
def test_any_text_is_settings_or_a_sentence(text):
    with suppress(InputError):
        assert isinstance(settings_from_file(TrainConfig, text, "config.yaml"), TrainConfig)
    with suppress(InputError):
        assert isinstance(read_settings(TrainConfig, [text]), TrainConfig)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trianing: {seed: 1}", "own.yaml: There is no setting 'trianing'; did you mean training?"),
        ("encoder: {kind: gru, state_size: 2}", "own.yaml: encoder.state_size is a setting of encoder=ssm"),
        ("- 3", "own.yaml holds no settings; it needs lines such as"),
        ("a: [", "own.yaml cannot be read as YAML, line 1"),
        ("training: {seed: -1}", "own.yaml: training.seed=-1 is out of range"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, sentence):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        read_settings(TrainConfig, [f"experiment={tmp_path / 'own.yaml'}"])
    assert sentence in str(error.value)


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


@pytest.mark.parametrize("schema", [command.schema for command in (*COMMANDS.values(), *LM_COMMANDS.values())])
def test_help_lists_every_setting(schema):
    text = settings_help(schema)
    needed = [f"{word_of(f.name)}=X" for f in fields(schema) if f.default is f.default_factory is MISSING]
    config = read_settings(schema, needed if schema is not TrainConfig else [])
    for key, _ in walk(config):
        key = re.sub(r"weights\.(\w+)$", r"\1_weight", key).removesuffix(".ramp_updates")
        key = re.sub(r"\b(splits|sink|speaking|begin|end)\.\d+$", r"\1", key)
        if not key.endswith(".kind"):
            assert re.search(rf"^  {re.escape(key)}[=.]", text, re.MULTILINE), key
