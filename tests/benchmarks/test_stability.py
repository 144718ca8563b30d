"""The faults of the stability benchmark do what they say, in training alone, and nothing once they are over."""

import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

import pytest

from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics
from tests.small import small_config, write_data

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import stability
from stability_show import table


def raw_loss(run: Path, *faults: str) -> float:
    with ExitStack() as stack:
        for fault in faults:
            stack.enter_context(stability.FAULTS[fault]())
        train(small_config(run.with_name("data"), run))
    joint = [r for r in read_metrics(run) if r["kind"] == "update" and r["stage"] == "joint_train"]
    assert stability.summary(run)["raw_start"] == pytest.approx(mean(r["loss_rnnt_raw"] for r in joint[:5]))
    return float(joint[0]["loss_rnnt_raw"])


def test_the_faults(tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    sound = raw_loss(tmp_path / "sound")
    assert raw_loss(tmp_path / "padded", "padded") > 5 * sound
    half = raw_loss(tmp_path / "half", "float16 lattice")
    assert half == pytest.approx(sound, rel=0.01)
    assert half != sound
    assert raw_loss(tmp_path / "again") == sound


def test_the_table_says_when_a_run_was_first_warned_of_and_lost() -> None:
    row = {"base": "user", "name": "none", "updates": 240, "skipped": 232, "first_skip": 9, "clipped": 1.0}
    row |= dict.fromkeys(("raw_start", "ratio_start", "ratio", "gradient_ratio", "per_ctc"), 2.5) | {"per_rnnt": None}
    row |= {"warnings": [(14, "skips"), (60, "rnnt_gradient"), (200, "skips")]}
    assert "| 100 | 232 of 240, from 9 | 250 | - | skips 14, rnnt_gradient 60 |" in table([row], "2.13.0")
