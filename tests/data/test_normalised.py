"""Features z-scored by the trials before them, beside the same sums written out."""

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from mode_ssm.batch import Trial
from mode_ssm.config import DataConfig, Normalisation
from mode_ssm.data import open_split
from mode_ssm.index import Problem
from mode_ssm.running_scale import Moments, Scale, running_scale
from tests.data.files import make_trial, write_session

CHANNELS = 8


def moments(values: np.ndarray) -> Moments:
    return Moments.of(values.astype(np.float32))


def raw_trial(seed: int, block: int, level: float = 5.0):
    """A trial far from z-scored."""
    trial = make_trial(seed, 40 + seed % 7)
    return dataclasses.replace(trial, features=(3 * trial.features + level).astype(np.float32), block=block)


def opened(root: Path, split: str):
    config = DataConfig(data_root=str(root), cache_dir=f"{root}.index")
    return open_split(
        config, split, num_channels=CHANNELS, encoder_frames=lambda t: t, normalisation=Normalisation.running
    )


def by_hand(before: list[np.ndarray], reference: list[np.ndarray], features: np.ndarray) -> np.ndarray:
    today, other = np.concatenate(before[-20:] or reference), np.concatenate(reference)
    share = min(len(before[-20:]) / 10, 1)
    mean = share * today.mean(0) + (1 - share) * other.mean(0)
    sd = np.sqrt(share * today.var(0) + (1 - share) * other.var(0))
    z = (features - mean) / sd
    return np.where(np.abs(z) > 10, 0, z)


def test_each_trial_is_scaled_by_those_before_it_of_all_splits(tmp_path: Path) -> None:
    first = [raw_trial(n, block=1) for n in range(25)]
    trained = [raw_trial(100 + n, block=2 + n // 6, level=9.0) for n in range(24)]
    held_out = [raw_trial(200 + n, block=4, level=9.0) for n in range(3)]
    write_session(tmp_path, "t15.2023.08.11", "train", first)
    write_session(tmp_path, "t15.2023.08.13", "train", trained)
    write_session(tmp_path, "t15.2023.08.13", "val", held_out)
    train, val = opened(tmp_path, "train"), opened(tmp_path, "val")
    values = [trial.features.astype(np.float64) for trial in (*first, *trained, *held_out)]
    first_ones, trained_ones, val_ones = values[:25], values[25:49], values[49:]
    in_order = [*trained_ones[:18], *val_ones, *trained_ones[18:]]  # blocks 2, 3, 4 with val at its end, 5
    in_order = [*trained_ones[:12], *trained_ones[12:18], *val_ones, *trained_ones[18:]]
    for n in (0, 4, 23):
        expected = by_hand(first_ones[:n], first_ones[:20], first_ones[n])
        np.testing.assert_allclose(train[n].features.numpy(), expected, atol=2e-5)
    for n in (0, 5, 20):
        place = n if n < 18 else n + 3
        expected = by_hand(in_order[:place], first_ones[-20:], in_order[place])
        np.testing.assert_allclose(train[25 + n].features.numpy(), expected, atol=2e-5)
    np.testing.assert_allclose(
        val[2].features.numpy(), by_hand(in_order[:20], first_ones[-20:], val_ones[2]), atol=2e-5
    )
    again = pickle.loads(pickle.dumps(val))
    assert torch.equal(again[2].features, val[2].features)


def test_what_cannot_be_read_or_is_not_finite_does_not_count(tmp_path: Path) -> None:
    trials = [raw_trial(n, block=1) for n in range(6)]
    broken = [trial.features.copy() for trial in trials]
    broken[2][3, 1] = np.nan
    write_session(
        tmp_path,
        "t15.2023.08.11",
        "train",
        [dataclasses.replace(trial, features=f) for trial, f in zip(trials, broken, strict=True)],
    )
    data = opened(tmp_path, "train")
    assert isinstance(data.read(2), Problem)
    values = [trial.features.astype(np.float64) for n, trial in enumerate(trials) if n != 2]
    found = data.read(5)
    assert isinstance(found, Trial)
    np.testing.assert_allclose(found.features.numpy(), by_hand(values[:4], values, values[4]), atol=2e-5)


def test_only_trials_that_are_not_finite_are_still_named(tmp_path: Path) -> None:
    trial = raw_trial(0, block=1)
    trial.features[:] = np.nan
    write_session(tmp_path, "t15.2023.08.11", "train", [trial])
    found = opened(tmp_path, "train").read(0)
    assert isinstance(found, Problem)
    assert "NaN or infinite" in str(found)


def test_the_scale_of_no_trial_at_all() -> None:
    with pytest.raises(ValueError, match="nothing is known"):
        running_scale([], None)
    reference = Scale(np.zeros(2), np.ones(2))
    assert running_scale([], reference) is reference
    many = [moments(np.full((3, 2), n) + np.arange(3)[:, None]) for n in range(30)]
    np.testing.assert_allclose(running_scale(many, reference).mean, 19.5 + 1)  # the last 20: levels 10 to 29


def test_a_channel_that_never_moved_and_a_value_far_out_become_0() -> None:
    scale = Scale(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    found = scale.normalised(np.array([[5, 9], [1, 11], [1, -10.5]], np.float32))
    assert found.tolist() == [[0, 9], [0, 0], [0, 0]]
