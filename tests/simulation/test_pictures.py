"""Statistics against numpy on the whole, and pictures of simulated trials with and without their truth."""

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.simulation import simulate
from mode_ssm.simulation.pictures import draw_features, draw_trial
from mode_ssm.simulation.statistics import PUBLISHED, FeatureStatistics

SESSION = "t15.2023.08.11"


@given(st.integers(0, 1000), st.lists(st.integers(5, 30), min_size=1, max_size=4))
def test_statistics_are_those_of_all_values_together(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    trials = [rng.standard_normal((n, 128)).astype(np.float32) for n in lengths]
    statistics = FeatureStatistics()
    for trial in trials:
        statistics.add(trial)
    values, whole = statistics.values(), np.concatenate(trials)
    assert values["feature mean"] == pytest.approx(whole.mean(), abs=1e-5)
    assert values["feature sd"] == pytest.approx(whole.std(), rel=1e-5)
    assert values["feature median"] == pytest.approx(np.median(whole), abs=0.02)
    assert (values["feature min"], values["feature max"]) == (whole.min(), whole.max())
    electrodes = [np.corrcoef(t[:, i], t[:, 64 + i])[0, 1] for t in trials for i in range(64)]
    assert values["crossings against power, one electrode"] == pytest.approx(np.mean(electrodes), abs=1e-5)
    arrays = [np.corrcoef(t[:, :64].mean(axis=1), t[:, 64:].mean(axis=1))[0, 1] for t in trials]
    assert values["crossings against power, array means"] == pytest.approx(np.mean(arrays), abs=1e-4)
    assert set(values) - set(PUBLISHED) == {"crossings against power, one electrode"}


def test_the_lag_is_one_frame() -> None:
    noise = np.random.default_rng(0).standard_normal((4001, 10)).astype(np.float32)
    statistics = FeatureStatistics()
    statistics.add(noise[1:] + noise[:-1])
    assert statistics.values()["lag-1 autocorrelation of a channel"] == pytest.approx(0.5, abs=0.02)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    with open(folder / "labels.csv", "w", newline="") as file:
        rows = [("session", "split", "block", "trial", "phonemes", "sentence")]
        csv.writer(file).writerows(rows + [(SESSION, "val", 1, i, "HH AH L OW | Y UW |", "Hello you.") for i in (0, 1)])
    simulate(SimulateConfig(out=str(folder / "data"), preset="demo", labels=str(folder / "labels.csv"), workers=1))
    return folder / "data"


def _colours(path: Path) -> int:
    return len(np.unique((255 * imread(path)).astype(np.uint8).view(np.uint32)))


def test_a_trial_is_drawn_with_and_without_its_truth(root: Path, tmp_path: Path) -> None:
    with_truth = draw_trial(root, f"{SESSION}/val/trial_0001", tmp_path / "a" / "with.png")
    truth = root / SESSION / "truth.hdf5"
    truth.rename(tmp_path / "aside")
    without = draw_trial(root, f"{SESSION}/test/trial_0000", tmp_path / "without.png")
    (tmp_path / "aside").rename(truth)
    assert _colours(with_truth) > 500
    assert _colours(without) > 500


def test_a_session_is_drawn(root: Path, tmp_path: Path) -> None:
    assert _colours(draw_features(root, SESSION, tmp_path / "session.png")) > 20


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ("trial_0000", "There is no"),
        (f"{SESSION}/train/trial_0000", "data_train.hdf5; name a trial such as"),
        (f"{SESSION}/val", "has no trial ''; name one of its groups, such as trial_0000"),
        (f"{SESSION}/val/trial_0009", "has no trial 'trial_0009'"),
        (f"{SESSION}/bad/trial_0000", "is not an HDF5 file"),
        (f"{SESSION}/odd/trial_0000", "has 3 feature channels"),
    ],
)
def test_a_trial_that_cannot_be_drawn_is_named(root: Path, tmp_path: Path, trial: str, words: str) -> None:
    (root / SESSION / "data_bad.hdf5").write_text("no such thing")
    with h5py.File(root / SESSION / "data_val.hdf5", "r") as source, h5py.File(tmp_path / "odd", "w") as odd:
        source.copy("trial_0000", odd)
        del odd["trial_0000/input_features"]
        odd["trial_0000/input_features"] = np.zeros((odd["trial_0000"].attrs["n_time_steps"], 3), np.float32)
    (tmp_path / "odd").replace(root / SESSION / "data_odd.hdf5")
    try:
        with pytest.raises(InputError) as caught:
            draw_trial(root, trial, tmp_path / "picture.png")
    finally:
        (root / SESSION / "data_bad.hdf5").unlink()
        (root / SESSION / "data_odd.hdf5").unlink()
    assert words in str(caught.value)


def test_a_session_without_trials_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="t15.2030.01.01 holds no trials"):
        draw_features(root, "t15.2030.01.01", tmp_path / "picture.png")
