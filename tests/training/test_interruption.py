"""Killed, told to stop, or out of disk space, in every phase: the resumed run ends as an uninterrupted one does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import Position, read_checkpoint
from mode_ssm.settings import read_settings
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import RunFolder, read_metrics
from tests.data.files import make_trial, write_session
from tests.small import SESSIONS, small_config, small_words, write_data
from tests.training.faults import PHASES, in_another_process, train_with_accident, train_with_little_disk

WORDS = """
training.stages.0.epochs=3 training.stages.1.epochs=3 training.checkpoint_every_updates=3
losses.rnnt_scaling=gradient training.clip_median_multiple=0.5
training.stages.1.freeze_encoder_updates=4 training.stages.1.freeze_joiner_updates=6
encoder.stochastic_depth=0.1 augmentation.max_speed_change=0.12
""".split()
OF_THE_CLOCK = {"frames_per_s", "seconds", "peak_memory_mb"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(root, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mode_ssm.training.loop.draw_run", lambda *_: None)
        train(small_config(root, run, *WORDS))
    return run


def records(run):
    return [{key: value for key, value in r.items() if key not in OF_THE_CLOCK} for r in read_metrics(run)]


def assert_resumes_as_if_nothing_had_happened(root, run, uninterrupted):
    for name in ("last", "best", "best-ctc_warmup", "best-joint_train"):  # whole, or not there
        path = run / "checkpoints" / f"{name}.safetensors"
        assert not path.exists() or read_checkpoint(path)
    train(small_config(root, run, *WORDS, "training.resume=auto"))
    resumed, whole = (
        read_checkpoint(r / "checkpoints" / "last.safetensors", with_optimizer=True) for r in (run, uninterrupted)
    )
    assert all(torch.equal(whole.model[name], resumed.model[name]) for name in whole.model)
    assert all(torch.equal(whole.optimizer[name], resumed.optimizer[name]) for name in whole.optimizer)
    for position in (whole.position, resumed.position):
        position.seconds = 0.0
    assert resumed.position == whole.position
    assert records(run) == records(uninterrupted)
    assert sorted(p.stem for p in (run / "checkpoints").iterdir()) == [
        "best",
        "best-ctc_warmup",
        "best-joint_train",
        "last",
    ]


KILLED = [(signal.SIGKILL, phase) for phase in PHASES]
TOLD_TO_STOP = [(signal.SIGTERM, phase) for phase in ("update of the second stage", "checkpoint writing", "validation")]


@pytest.mark.parametrize(("how", "phase"), KILLED + TOLD_TO_STOP)
def test_a_run_that_ended_early_goes_on_where_it_was(root, uninterrupted, tmp_path, how, phase):
    run = tmp_path / "run"
    code = in_another_process(train_with_accident, small_config(root, run, *WORDS), phase, how)
    assert code == (143 if how == signal.SIGTERM else -9)
    assert how == signal.SIGKILL or (run / "checkpoints" / "last.safetensors").exists()
    assert_resumes_as_if_nothing_had_happened(root, run, uninterrupted)


def test_without_its_last_checkpoint_a_run_goes_on_from_the_best(root, uninterrupted, tmp_path, capsys):
    run = tmp_path / "run"
    accident = "update of the second stage", signal.SIGKILL
    assert in_another_process(train_with_accident, small_config(root, run, *WORDS), *accident) == -9
    (run / "checkpoints" / "last.safetensors").unlink()
    assert_resumes_as_if_nothing_had_happened(root, run, uninterrupted)
    assert f"from {run}/checkpoints/best.safetensors" in capsys.readouterr().out


def test_a_run_that_has_nothing_to_resume_or_nothing_left_says_so(root, tmp_path, capsys):
    words = small_words(root, tmp_path / "run", "training.resume=auto")
    for sentence in ("There is no checkpoint in", "Nothing is left to train: all 2 epochs are done"):
        train(read_settings(TrainConfig, words))
        assert sentence in capsys.readouterr().out


def test_a_stage_made_shorter_does_not_count_for_more_than_it_has(root, tmp_path, capsys):
    train(small_config(root, tmp_path / "run", "training.stages.0.epochs=3", "training.stages.1.epochs=0"))
    train(small_config(root, tmp_path / "run", "training.stages.0.epochs=2", "training.resume=auto"))
    printed = capsys.readouterr().out
    assert "Nothing is left to train" not in printed
    assert "Stage 2/2 joint_train, epoch 1/1" in printed


def test_other_trials_of_the_same_sessions_are_named(tmp_path, capsys):
    write_data(tmp_path / "data")
    train(small_config(tmp_path / "data", tmp_path / "run"))
    others = write_data(tmp_path / "others")
    write_session(others, SESSIONS[0], "train", [replace(make_trial(n, 90), sentence="Other words.") for n in range(6)])
    train(small_config(others, tmp_path / "run", "training.resume=auto", "training.stages.1.epochs=2"))
    assert "; the train sentences are not those that it was started on" in capsys.readouterr().out


def test_a_damaged_record_ends_a_resumption(root, uninterrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    (run / "metrics.jsonl").write_text("garbage\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl, line 1 is damaged \(Expecting value"):
        train(small_config(root, run, *WORDS, "training.resume=auto"))
    assert (run / "metrics.jsonl").read_text() == "garbage\n"


def test_half_a_checkpoint_of_a_killed_run_goes_away(root, tmp_path):
    folder = RunFolder(small_config(root, tmp_path / "run"))
    half_written = tmp_path / "run" / "checkpoints" / ".new.best.safetensors"
    half_written.parent.mkdir(parents=True)
    half_written.write_bytes(b"half a checkpoint")
    folder.open(small_config(root, tmp_path / "run"), Position())
    folder.close()
    assert not half_written.exists()


@pytest.mark.parametrize("full", ["checkpoint", "metrics"])
def test_a_full_disk_stops_the_run_with_a_sentence_and_loses_nothing(root, uninterrupted, tmp_path, full):
    run, sentence = tmp_path / "run", tmp_path / "sentence"
    in_another_process(
        train_with_accident, small_config(root, run, *WORDS), "update of the first stage", signal.SIGTERM
    )
    last = run / "checkpoints" / "last.safetensors"
    before = last.read_bytes()
    room = {"checkpoint": len(before) // 2, "metrics": (run / "metrics.jsonl").stat().st_size + 500}[full]
    config = small_config(root, run, *WORDS, "training.resume=auto")
    assert in_another_process(train_with_little_disk, config, room, sentence) == 0
    what = {"checkpoint": f"The checkpoint {last} could not be written", "metrics": f"{run} cannot be written"}[full]
    assert sentence.read_text().startswith(what)
    assert "then continue with training.resume=auto" in sentence.read_text()
    assert last.read_bytes() == before
    assert_resumes_as_if_nothing_had_happened(root, run, uninterrupted)


@pytest.mark.parametrize(
    ("how", "workers", "seconds"),
    [
        (signal.SIGTERM, 0, 0),
        (signal.SIGTERM, 1, 0),
        (signal.SIGTERM, 1, 0.5),
        (signal.SIGINT, 1, 0),
        (signal.SIGINT, 1, 0.5),
    ],
)
def test_a_command_told_to_stop_says_how_to_go_on(root, tmp_path, how, workers, seconds):
    """After half a second the server of the reader processes is about to start."""
    run = tmp_path / "run"
    words = small_words(root, run, *WORDS, f"data.num_workers={workers}")
    command = [sys.executable, "-m", "mode_ssm", "train", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not (run / "metrics.jsonl").exists():
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(process.pid, how)  # as a terminal does, and a batch system: the reader processes get it too
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"Stopped; to go on, add training.resume=auto output_dir={run} to the same command" in printed
    assert read_checkpoint(run / "checkpoints" / "last.safetensors").position.update > 0


def test_a_validation_that_was_logged_but_not_saved_is_done_again(root, tmp_path):
    """The last checkpoint may be of the same update, from before the validation."""
    config = small_config(root, tmp_path / "run", "training.resume=auto")
    lines = ["update", "warning", "validation", "warning"]
    for batch, kept in ((5, ["update", "warning"]), (0, lines)):
        folder = RunFolder(config)
        folder.path.mkdir(exist_ok=True)
        folder.metrics.write_text("".join(json.dumps({"kind": kind, "update": 5}) + "\n" for kind in lines))
        assert [r["kind"] for r in folder.open(config, Position(update=5, batch=batch))] == kept
        folder.close()


def test_resuming_a_finished_run_changes_nothing(root, uninterrupted):
    before = (uninterrupted / "checkpoints" / "last.safetensors").read_bytes()
    train(small_config(root, uninterrupted, *WORDS, "training.resume=auto"))
    assert (uninterrupted / "checkpoints" / "last.safetensors").read_bytes() == before


def test_settings_that_changed_are_told(root, uninterrupted, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(uninterrupted, run)
    train(small_config(root, run, *WORDS, "training.resume=auto", "training.optimizer.lr=0.25"))
    printed = capsys.readouterr().out
    assert "From here on with training.optimizer.lr=0.25; until now it was 0." in printed
    assert printed.count("From here on") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "holds a run already; continue it with training.resume=auto, or give another output_dir"),
        (["training.resume=auto", "encoder.width=24"], "was started with encoder.width=16, not 24"),
        (["training.resume=auto", "data.max_sessions=2"], "was started on 3 sessions"),
        (["training.resume=auto", "output_dir=null"], "give output_dir=RUN"),
    ],
)
def test_a_run_is_never_overwritten_or_resumed_as_another(root, uninterrupted, words, sentence):
    with pytest.raises(InputError, match=sentence):
        train(small_config(root, uninterrupted, *WORDS, *words))


def test_two_processes_do_not_train_in_one_folder(root, tmp_path):
    config = small_config(root, tmp_path / "run", *WORDS)
    with RunFolder(config).claimed(), pytest.raises(InputError, match="Another process is training in .*run; wait"):
        train(config)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
