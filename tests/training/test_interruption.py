"""Killed or told to stop, in either stage: the resumed run ends with the weights of an uninterrupted one."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from mode_ssm.errors import InputError
from mode_ssm.training.checkpoint import read_checkpoint
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics
from tests.small import small_config, small_words, write_data

WORDS = """
training.stages.0.epochs=3 training.stages.1.epochs=3 training.checkpoint_every_updates=2
losses.rnnt_scaling=gradient training.clip_median_multiple=0.5
training.stages.1.freeze_encoder_updates=4 training.stages.1.freeze_joiner_updates=6
""".split()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(root, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(small_config(root, run, *WORDS))
    return run


def start(words):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "mode_ssm", "train", *words], env=environment, stdout=subprocess.PIPE, text=True
    )


def wait_for(run, updates, process):
    metrics = run / "metrics.jsonl"
    while process.poll() is None and (not metrics.exists() or metrics.read_text().count('"update"') < updates):
        time.sleep(0.01)


def losses(run):
    return [(r["update"], r["loss"]) for r in read_metrics(run) if r["kind"] == "update"]


@pytest.mark.parametrize(("how", "updates"), [(signal.SIGKILL, 3), (signal.SIGKILL, 21), (signal.SIGTERM, 18)])
def test_a_resumed_run_equals_an_uninterrupted_one(root, uninterrupted, tmp_path, how, updates):
    run = tmp_path / "run"
    words = small_words(root, run, *WORDS)
    process = start(words)
    wait_for(run, updates, process)
    process.send_signal(how)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == (143 if how == signal.SIGTERM else -9)
    assert how == signal.SIGKILL or "continue with training.resume=auto" in printed
    train(small_config(root, run, *WORDS, "training.resume=auto"))
    resumed, whole = (
        read_checkpoint(r / "checkpoints" / "last.safetensors", with_optimizer=True) for r in (run, uninterrupted)
    )
    assert all(torch.equal(whole.model[name], resumed.model[name]) for name in whole.model)
    assert all(torch.equal(whole.optimizer[name], resumed.optimizer[name]) for name in whole.optimizer)
    assert resumed.position.update == whole.position.update
    assert resumed.position.steering == whole.position.steering
    assert losses(run) == losses(uninterrupted)


def test_resuming_a_finished_run_changes_nothing(root, uninterrupted):
    before = (uninterrupted / "checkpoints" / "last.safetensors").read_bytes()
    train(small_config(root, uninterrupted, *WORDS, "training.resume=auto"))
    assert (uninterrupted / "checkpoints" / "last.safetensors").read_bytes() == before


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
