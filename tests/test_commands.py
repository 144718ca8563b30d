"""The commands as a person runs them: the user's own words, files in, files out, one sentence where input is wrong."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mode_ssm
from mode_ssm.cli import main
from mode_ssm.training.run_folder import read_metrics
from tests.data.files import make_trial, write_session
from tests.small import SESSIONS, SMALL, small_words, write_data

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(SystemExit) as exit_:
        main(["train", *small_words(root, run)])
    assert exit_.value.code == 0
    return run


def status(arguments):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    return exit_.value.code


def test_the_users_command_in_its_own_layout(tmp_path):
    """Batches of one trial, four accumulated, two epochs a stage; the network is made small to be quick."""
    write_data(tmp_path / "data" / "raw" / "t15_copyTask_neuralData" / "hdf5_data_final")
    small = [w for w in SMALL if not w.startswith(("preprocessor.num", "training.batch", "training.stages"))]
    words = """
    data.data_root=data/raw/t15_copyTask_neuralData/hdf5_data_final data.max_sessions=3 training.optimizer.lr=0.00005
    preprocessor.num_channels=8 training.batch_size=1 training.gradient_accumulation_steps=4
    training.stages.0.epochs=2 training.stages.1.epochs=2
""".split()
    script = [sys.executable, str(REPOSITORY / "scripts" / "train.py")]
    command = [*script, *words, *small, "data.cache_dir=index"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Batch 4/18 (22%) | Loss: " in done.stdout
    assert "RNN-T/CTC ratio " in done.stdout
    (run,) = (tmp_path / "runs").iterdir()
    updates = [r for r in read_metrics(run) if r["kind"] == "update"]
    assert len(updates) == 4 * 5
    assert updates[-1]["skipped"] == 0


def test_a_run_folder_holds_what_it_says(trained):
    for name in (
        "config.yaml",
        "metrics.jsonl",
        "training.png",
        "card.md",
        "checkpoints/last.safetensors",
        "checkpoints/best.safetensors",
    ):
        assert (trained / name).stat().st_size > 0
    assert list((trained / "tensorboard").iterdir())
    updates = [r for r in read_metrics(trained) if r["kind"] == "update"]
    keys = """
        stage update loss loss_ctc loss_rnnt loss_rnnt_raw rnnt_ctc_ratio grad_norm lr skipped frames_per_s
""".split()
    assert set(keys) <= set(updates[0])
    joint = [r for r in updates if r["stage"] == "joint_train"]
    for r in joint:
        assert r["loss"] == pytest.approx(0.3 * r["loss_ctc"] + r["loss_rnnt"], rel=1e-5)
        assert r["rnnt_ctc_ratio"] == pytest.approx(r["loss_rnnt"] / r["loss_ctc"], rel=1e-5)
        assert r["loss_rnnt_raw"] > r["loss_rnnt"]
    validations = [r for r in read_metrics(trained) if r["kind"] == "validation"]
    assert [v["per_rnnt"] is None for v in validations] == [True, False]
    assert set(validations[-1]["per_ctc_by_session"]) == set(SESSIONS[1:])


@pytest.mark.parametrize(("decoder", "beam"), [("ctc", 1), ("rnnt", 1), ("rnnt", 3)])
def test_evaluate_writes_what_it_prints(trained, root, tmp_path, capsys, decoder, beam):
    corpus = tmp_path / "blocks.csv"
    corpus.write_text("Date,Block number,Corpus\n2023-08-13,1,Harvard\n")
    words = [f"checkpoint={trained}", f"data.data_root={root}", f"decoder={decoder}", f"output_dir={tmp_path / 'out'}"]
    assert status(["evaluate", *words, f"beam_size={beam}", f"corpus_csv={corpus}"]) == 0
    summary = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert summary["trials"] == 6
    assert summary["per"] == pytest.approx(summary["edits"] / summary["reference_phonemes"])
    assert set(summary["per_by_session"]) == set(SESSIONS[1:])
    assert set(summary["per_by_corpus"]) == {"Harvard", "not listed"}
    assert summary["trials_unseen_sentences"] == 6
    assert sum(summary["per_by_session_trials"].values()) == sum(summary["per_by_corpus_trials"].values()) == 6
    kinds = [summary[kind] for kind in ("substitutions", "deletions", "insertions")]
    assert sum(kinds) == summary["edits"]
    low, high = summary["per_interval"]
    printed = capsys.readouterr().out
    assert f"{100 * summary['per']:.2f} │ {100 * low:.2f}-{100 * high:.2f} │      6" in printed
    assert f"{kinds[0]:,} substitutions, {kinds[1]:,} deletions, {kinds[2]:,} insertions." in printed
    with (tmp_path / "out" / "hypotheses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["edits"]) for row in rows) == summary["edits"]
    rates = [int(row["edits"]) / len(row["phonemes"].split()) for row in rows]
    assert min(rates) <= low <= summary["per"] <= high <= max(rates)
    scored = ["score", str(tmp_path / "out" / "hypotheses.csv"), "--reference", "phonemes"]
    assert status([*scored, "--hypothesis", "predicted_phonemes"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["error_rate"] == pytest.approx(summary["per"])
    assert result["error_rate_interval"] == pytest.approx(summary["per_interval"])


def test_training_sentences_are_told_from_others(trained, root, tmp_path):
    words = [f"checkpoint={trained}", f"data.data_root={root}", "split=train", f"output_dir={tmp_path}"]
    assert status(["evaluate", *words]) == 0
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    assert (summary["trials_seen_sentences"], summary["trials_unseen_sentences"]) == (18, 0)
    assert summary["per_unseen_sentences"] is None


def test_a_split_that_cannot_be_read_has_no_error_rate(trained, tmp_path, capsys):
    trial = make_trial(1, 90)
    trial.features[:] = np.nan
    write_session(tmp_path / "data", SESSIONS[1], "val", [trial])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "evaluation.json").write_text("good")
    words = [f"checkpoint={trained}", f"data.data_root={tmp_path / 'data'}", f"output_dir={tmp_path / 'out'}"]
    assert status(["evaluate", *words]) == 2
    assert "None of the 1 val trials could be decoded; mode-ssm inspect says" in capsys.readouterr().err
    assert (tmp_path / "out" / "evaluation.json").read_text() == "good"


def test_sessions_that_were_not_trained_on_are_named(trained, tmp_path, capsys):
    write_session(tmp_path / "data", "t15.2024.01.01", "val", [make_trial(1, 90)])
    words = [f"checkpoint={trained}", f"data.data_root={tmp_path / 'data'}", f"output_dir={tmp_path / 'out'}"]
    assert status(["evaluate", *words]) == 0
    assert "t15.2024.01.01 was not trained on" in capsys.readouterr().err


WRONG = {
    "a path where none stands alone": (["train", "nowhere"], "settings are written key=value"),
    "two paths": (["evaluate", "a", "b"], "checkpoint is given twice; name one path"),
    "a path alone and named": (["inspect", "a", "data.data_root=b"], "data.data_root is given twice"),
    "a path alone": (["inspect", "nowhere"], "data.data_root=nowhere does not exist"),
    "unknown command": (["trian"], "invalid choice: 'trian'"),
    "unknown setting": (["train", "data.data_rot=x"], "did you mean data.data_root?"),
    "setting of another choice": (
        ["train", "encoder=gru", "encoder.head_width=32"],
        "encoder.head_width is a setting of encoder=ssm or encoder=transformer; choose that, or leave the setting out.",
    ),
    "setting of a choice that was not made": (
        ["train", "encoder.max_distance=1"],
        "encoder.max_distance is a setting of encoder=transformer; choose that, or leave the setting out.",
    ),
    "unknown setting of the demo": (["demo", "foo=1"], "There is no setting 'foo'"),
    "no data root": (["train", "data.data_root=nowhere"], "data.data_root=nowhere does not exist"),
    "no checkpoint": (["evaluate", "checkpoint=nowhere"], "nowhere does not exist"),
    "checkpoint not given": (["evaluate"], "The setting checkpoint has no default"),
    "unknown split": (["evaluate", "checkpoint=x", "split=dev"], "there are train, val, test"),
    "no such file to score": (["score", "x.csv", "--reference", "a", "--hypothesis", "b"], "x.csv cannot be read"),
    "score without columns": (["score", "x.csv"], "arguments are required: --reference"),
    "no block list": (["evaluate", "checkpoint=x", "corpus_csv=nowhere"], "corpus_csv=nowhere cannot be read"),
}


def test_without_a_command_there_is_help_and_the_version_is_told(capsys):
    assert status([]) == 0
    assert "usage: mode-ssm" in capsys.readouterr().out
    assert status(["--version"]) == 0
    assert capsys.readouterr().out == f"mode-ssm {mode_ssm.__version__}\n"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_ends_with_one_sentence(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, sentence = WRONG[name]
    assert status(arguments) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.err.startswith("mode-ssm: ")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Date,Block number\n", "has no column 'Corpus'"),
        ("Date,Block number,Corpus\nyesterday,1,Harvard\n", "line 2 has Date='yesterday'"),
        ("Date,Block number,Corpus\n2023-08-11,x,Harvard\n", "Block number='x'"),
    ],
)
def test_a_wrong_block_list_is_named(tmp_path, capsys, text, sentence):
    (tmp_path / "blocks.csv").write_text(text)
    assert status(["evaluate", "checkpoint=x", f"corpus_csv={tmp_path / 'blocks.csv'}"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "name"), [("ascii:strict", "w\u00e9"), ("utf-8:strict", "w\udcff")])
def test_a_name_that_cannot_be_printed_is_escaped(tmp_path: Path, encoding: str, name: str) -> None:
    """A terminal without accents, and a file whose name is no text in UTF-8."""
    command = [sys.executable, "-m", "mode_ssm", "words", "add", f"file={tmp_path / name}.txt", "zoe"]
    ran = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ascii(name).strip("'").encode() in ran.stdout
