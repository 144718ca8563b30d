"""Two processes train as one process that accumulates two batches, whether started here or by torchrun."""

import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from mode_ssm.config import TrainConfig
from mode_ssm.data import deal
from mode_ssm.recognition.checkpoint import Position, read_checkpoint
from mode_ssm.training import timetable
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.splits import open_splits
from mode_ssm.training.timetable import Timetable
from tests.data.files import make_trial, write_session
from tests.small import SESSIONS, small_config, small_words, write_data
from tests.training.test_update import PLAIN

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4", "-m", "mode_ssm", "train"]
SLURM_BATCH = {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train"}
STARTS = {  # processes, command, more settings, and variables: those of SLURM do not say how many to start
    "here": (2, ["-m", "mode_ssm", "train"], ["training.devices=2"], SLURM_BATCH),
    "torchrun": (4, TORCHRUN, [], {}),
}


@pytest.mark.parametrize(("trials", "world"), [(1, 4), (4, 4), (5, 4), (6, 5)])
def test_every_process_gets_as_many_batches(tmp_path, trials, world):
    write_session(tmp_path / "data", SESSIONS[0], "train", [make_trial(n, 90) for n in range(trials)])
    config = small_config(tmp_path / "data", tmp_path / "run", "training.batch_size=2")
    splits = open_splits(config)
    training = config.training
    plans = [Timetable(training, splits, rank, world).plan(training.stages[0], 0) for rank in range(world)]
    assert {len(plan) for plan in plans} == {math.ceil(math.ceil(trials / 2) / world)}
    assert {index for plan in plans for batch in plan for index in batch} == set(range(trials))


@pytest.mark.parametrize("start", STARTS)
def test_several_processes_equal_as_many_accumulated_batches(tmp_path, start, monkeypatch, capsys):
    """One process accumulates what several read at the same time."""
    root = write_data(tmp_path / "data")
    processes, command, more, variables = STARTS[start]
    plain = [
        *PLAIN,
        "losses.rnnt_scaling=gradient",
        "training.batch_size=3",
    ]  # six batches: an even share for two processes
    words = [*small_words(root, tmp_path / "several", *plain), *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(
        [sys.executable, *command, *words], capture_output=True, text=True, env=environment, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert (
        f"An update takes up to {3 * processes} trials: batches of 3, 1 accumulated, {processes} processes"
        in done.stdout
    )
    monkeypatch.setattr(
        timetable, "deal", lambda sizes, *_: [[place] for turn in deal(sizes, processes) for place in turn]
    )
    train(small_config(root, tmp_path / "one", *plain, f"training.gradient_accumulation_steps={processes}"))
    assert f"{3 * processes} trials: batches of 3, {processes} accumulated, 1 processes" in capsys.readouterr().out
    several, one = (read_checkpoint(tmp_path / run / "checkpoints" / "last.safetensors") for run in ("several", "one"))
    assert several.position.update == one.position.update
    running = several.position.running, one.position.running
    assert running[0]["grad_norms"] == pytest.approx(running[1]["grad_norms"], rel=1e-3)
    for name in ("equalising_scales", "gradient_scale"):
        assert running[0]["terms"]["rnnt"][name] == pytest.approx(running[1]["terms"]["rnnt"][name], rel=1e-3)
    for name, weights in one.model.items():
        torch.testing.assert_close(several.model[name], weights, rtol=1e-3, atol=1e-5)
    losses = [[r["loss"] for r in read_metrics(tmp_path / run) if r["kind"] == "update"] for run in ("several", "one")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_two_processes_share_a_run_folder_and_name_the_bad_batch_alone(tmp_path):
    for session in SESSIONS:
        trials = [make_trial(number, 90) for number in range(4)]
        if session == SESSIONS[1]:
            trials[2].features[40] = -1e30
        write_session(tmp_path / "data", session, "train", trials)
    words = [word for word in small_words(tmp_path / "data", tmp_path) if not word.startswith("output_dir")]
    words += ["training.devices=2", "training.batch_size=2", "preprocessor.softsign=false"]
    done = subprocess.run(
        [sys.executable, "-m", "mode_ssm", "train", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    skipped = [r["update"] for r in read_metrics(run) if r["kind"] == "update" and r["skipped_now"]]
    kept = sorted(path.name for path in (run / "skipped").iterdir())
    named = [line for line in done.stdout.splitlines() if line.startswith("Skipping batch ")]
    assert 0 < len(skipped) == len(kept) == len(named)
    assert all(f"{SESSIONS[1]}/train/trial_0002" in line and "due to NaN/Inf loss" in line for line in named)


def test_another_number_of_processes_stands_at_the_same_place_in_the_epoch():
    stopped = Position(batch=7, update=9, processes=3)
    assert stopped.among(3) == stopped
    among_two = stopped.among(2)
    assert among_two == Position(batch=10, update=9, processes=2, earlier=[[3, 7]])
    assert among_two.among(8) == Position(batch=2, update=9, processes=8, earlier=[[3, 7]])
    among_two.batch += 2
    assert among_two.among(5) == Position(batch=5, update=9, processes=5, earlier=[[3, 7], [2, 2]])
    assert Position(processes=3).among(2) == Position(processes=2)


def test_more_processes_go_on_at_the_learning_rate_of_that_place_in_the_data(tmp_path):
    """Two epochs of six batches by one process, then two by two processes: half of the cosine is left to them."""
    root, run = write_data(tmp_path / "data"), tmp_path / "run"
    words = ["training.batch_size=3", "training.stages.1.epochs=0", "training.optimizer.lr=1", "training.resume=auto"]
    train(small_config(root, run, *words, "training.stages.0.epochs=2"))
    more = [*words, "training.stages.0.epochs=4", "training.devices=2"]
    done = subprocess.run(
        [sys.executable, "-m", "mode_ssm", "train", *small_words(root, run, *more)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert "From here on with processes=2; until now it was 1" in done.stdout
    rates = {r["update"]: r["lr"] for r in read_metrics(run) if r["kind"] == "update"}
    floor = TrainConfig().training.schedule.final_lr_fraction
    expected = {13 + n: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (6 + n) / 12)) for n in range(6)}
    assert {update: rate for update, rate in rates.items() if update > 12} == pytest.approx(expected)


def test_two_processes_stop_after_the_same_update_when_one_is_told_to(tmp_path):
    root, run = write_data(tmp_path / "data"), tmp_path / "run"
    words = small_words(root, run, "training.devices=2", "training.stages.0.epochs=1000")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mode_ssm", "train", *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (run / "metrics.jsonl").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    printed, complaints = process.communicate(timeout=120)
    assert "Stopped; to go on, add training.resume=auto" in printed, complaints
    assert process.returncode == 143, complaints
    updates = [r["update"] for r in read_metrics(run) if r["kind"] == "update"]
    assert read_checkpoint(run / "checkpoints" / "last.safetensors").position.update == updates[-1]
