"""The monitor: in real trainings that go wrong, and in what it says when an alarm goes on, is over, or comes again."""

import json

import pytest

from mode_ssm.training import loop
from mode_ssm.training.loop import train
from mode_ssm.training.monitor import QUIET_UPDATES, Monitor
from mode_ssm.training.run_folder import read_metrics
from tests.small import small_config, write_data
from tests.training.clear_speech import CLEAR, write_clear_data
from tests.training.test_alarms import update, validation


def warnings_of(run):
    return [r for r in read_metrics(run) if r["kind"] == "warning"]


def test_an_unscaled_transducer_of_long_trials_is_warned_of(tmp_path, capsys):
    words = [*CLEAR, "training.stages.0.epochs=2", "training.stages.1.epochs=7", "losses.rnnt_scaling=none"]
    root = write_clear_data(tmp_path / "data", trials=12, labels=(11, 13))
    train(small_config(root, tmp_path / "run", *words, "training.batch_size=4"))
    warning = next(w for w in warnings_of(tmp_path / "run") if w["rule"] == "rnnt_gradient")
    assert warning["stage"] == "joint_train"
    assert warning["update"] == 2 * 9 + 50
    assert warning["epoch"] == 5
    assert "times the CTC gradient for 50 updates; set losses.rnnt_scaling=gradient" in warning["text"]
    assert f"Warning: {warning['text']}" in capsys.readouterr().out


def test_a_transducer_that_stays_silent_and_clipping_far_above_the_bound_are_warned_of(tmp_path):
    words = [*CLEAR, "training.stages.0.epochs=1", "training.stages.1.epochs=9", "training.max_grad_norm=0.01"]
    train(small_config(write_clear_data(tmp_path / "data"), tmp_path / "run", *words))
    said = {w["rule"]: w for w in warnings_of(tmp_path / "run")}
    assert len(said) == len(warnings_of(tmp_path / "run"))
    assert said["clipping"]["update"] == 12 + 100
    assert "100 % of the last 100 updates were clipped" in said["clipping"]["text"]
    assert said["blank_collapse"]["update"] == 12 + 108  # the first validation after 100 updates
    assert "the RNN-T head still says blank and little else" in said["blank_collapse"]["text"]


def test_updates_that_are_skipped_now_and_then_are_warned_of(tmp_path, monkeypatch):
    real = loop.read_batches

    def poisoned(dataset, batches, **options):
        for number, batch in enumerate(real(dataset, batches, **options)):
            if number == 1 and dataset.entries[0].key.split == "train":
                batch.features[0] = float("nan")
            yield batch

    monkeypatch.setattr(loop, "read_batches", poisoned)
    config = small_config(write_data(tmp_path / "data"), tmp_path / "run", "training.stages.0.epochs=7")
    train(config)
    (warning,) = warnings_of(tmp_path / "run")
    assert warning["rule"] == "skips"
    assert warning["update"] == 5 * 5 + 2
    assert warning["text"].startswith("6 of the last 27 updates were skipped for NaN/Inf; look at the batches")


def test_a_sound_run_is_told_nothing(tmp_path):
    words = [*CLEAR, "training.stages.0.epochs=5", "training.stages.1.epochs=6"]
    train(small_config(write_clear_data(tmp_path / "data"), tmp_path / "run", *words))
    assert warnings_of(tmp_path / "run") == []


CONFIG = ["training.stages.0.epochs=3", "training.stages.1.epochs=20"]


def records():
    """A warm-up of 100 updates; a joint stage of 800, bad from its update 100 to 160, and from 400 to 460."""
    made = [update(n, encoder_grad_ratio=None, rnnt_ctc_ratio=None) for n in range(1, 101)]
    for n in range(101, 901):
        bad = 200 <= n < 260 or 500 <= n < 560
        made.append(update(n, encoder_grad_ratio=50.0 if bad else 3.0))
        if n % 50 == 0:
            made.append(validation(n, per_ctc=0.9 if 700 <= n <= 750 else 0.3))
    return [
        record | {"stage": "ctc_warmup" if record["update"] <= 100 else "joint_train", "epoch": 0} for record in made
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return small_config(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run"), *CONFIG)


def watched(config, stop=None):
    """What a monitor says; with `stop`, one that a checkpoint after that many records has given up its place to."""
    speaking, said = {}, []
    monitor = Monitor(config, [40, 40], speaking)
    monitor.begin(0, 0)
    for place, record in enumerate(records()):
        if place == stop:
            start = 0 if record["update"] <= 101 else 100
            monitor = Monitor(config, [40, 40], json.loads(json.dumps(speaking)), [*records()[:place], *said])
            speaking = monitor.speaking
            monitor.begin(1 if start else 0, start)
        if record["update"] == 101 and record["kind"] == "update":
            monitor.begin(1, 100)
        said += monitor.see(record)
    return said


def test_an_alarm_speaks_once_and_again_when_it_was_over(config):
    said = watched(config)
    assert [(w["rule"], w["update"]) for w in said] == [
        ("rnnt_gradient", 244),
        ("rnnt_gradient", 544),
        ("worse_than_best", 750),
    ]
    assert all(w["kind"] == "warning" and w["stage"] == "joint_train" for w in said)
    assert QUIET_UPDATES < 544 - 260


@pytest.mark.parametrize("stop", [1, 50, 100, 101, 150, 230, 275, 520, 640, 770, 800, 850])
def test_a_resumed_monitor_says_what_an_uninterrupted_one_says(config, stop):
    assert watched(config, stop) == watched(config)
