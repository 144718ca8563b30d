"""NWB: files that pynwb writes, read back; what is wrong with one, in a sentence."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from tests.data.files import make_trial
from tests.formats.conftest import read_split, run, said

pytest.importorskip("pynwb")

from pynwb import NWBHDF5IO, NWBFile, TimeSeries

SESSION = "p1.2026.01.31"
FRAMES, GAP = (60, 75, 80), 10
TRIALS = [make_trial(seed, frames) for seed, frames in enumerate(FRAMES)]


def write(root: Path, times: bool = False, name: str = "binned", columns: bool = True, **changed: Any) -> Path:
    """Three trials with ten frames of rest after each, 20 ms a frame."""
    file = NWBFile(
        session_description="a test",
        identifier="p1",
        session_start_time=dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
    )
    rest = np.full((GAP, 8), 9.0, np.float32)
    values = np.concatenate([part for trial in TRIALS for part in (trial.features, rest)])
    when: dict[str, Any] = {"timestamps": 5 + 0.02 * np.arange(len(values))}
    timing = when if times else {"rate": 50.0, "starting_time": 5.0}
    file.add_acquisition(TimeSeries(name=name, data=changed.get("data", values), unit="sd", **timing))
    if columns:
        for column in ("sentence", "split", "block"):
            file.add_trial_column(name=column, description=f"its {column}")
        file.add_trial_column(name="labels", description="label numbers", index=True)
    start = 0
    for place, trial in enumerate(TRIALS):
        begin, end = 5 + 0.02 * start, 5 + 0.02 * (start + FRAMES[place])
        more: dict[str, Any] = {"sentence": trial.sentence, "split": "val" if place == 1 else "train", "block": 2}
        more |= {"labels": changed.get("labels", np.array(trial.labels)), **changed.get("row", {})}
        file.add_trial(start_time=begin, stop_time=end, **(more if columns else {}))
        start += FRAMES[place] + GAP
    path = root / f"{SESSION}.nwb"
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def config_of(root: Path, series: str | None = None) -> DataConfig:
    return DataConfig(data_root=str(root), source="nwb", nwb_series=series)


@pytest.mark.parametrize("times", [False, True], ids=["rate", "timestamps"])
def test_trials_are_the_frames_within_their_times(tmp_path, times):
    write(tmp_path, times)
    for split, places in (("train", (0, 2)), ("val", (1,))):
        dataset = read_split(config_of(tmp_path), split, 8)
        assert (dataset.problems, len(dataset)) == ([], len(places))
        for n, place in enumerate(places):
            trial = dataset.read(n)
            np.testing.assert_array_equal(trial.features.numpy(), TRIALS[place].features)
            assert trial.labels.tolist() == list(TRIALS[place].labels)
            assert (trial.sentence, trial.key.block, trial.key.number) == (TRIALS[place].sentence, 2, place)


def test_inspect(tmp_path, capsys):
    write(tmp_path)
    run("inspect", str(tmp_path), "data.source=nwb", "data.nwb_series=binned")
    assert "3 trials (2 train, 1 val, 0 test)" in " ".join(capsys.readouterr().out.split())


ODD = {
    "another series": ({}, "spikes", "has the series binned. Name the one with the features: data.nwb_series=NAME."),
    "one row": ({"data": np.zeros(245)}, None, "has a series of type float64 and shape (245,), needed is (frames,"),
    "another split": ({"row": {"split": "dev"}}, None, "has split=dev, needed is train, val or test"),
    "half a block": ({"row": {"block": 0.5}}, None, "has block=0.5, needed is a whole number"),
    "a label beyond": ({"labels": np.array([99])}, None, "has 99 as label 0, needed are labels of 1 to 40"),
    "labels of floats": ({"labels": np.array([1.0])}, None, "has labels of type float64, needed are whole numbers"),
    "too few frames": (
        {"data": np.zeros((5, 8))},
        None,
        "has the series of shape (0, 8), needed is (frames, channels)",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_told(tmp_path, name):
    changed, series, sentence = ODD[name]
    write(tmp_path, **changed)
    assert sentence in said(open_source(config_of(tmp_path, series)).index("train", [SESSION]).problems)


@pytest.mark.parametrize("content", [b"no nwb", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_a_broken_file_is_one_problem(tmp_path, content):
    (tmp_path / f"{SESSION}.nwb").write_bytes(content)
    problems = open_source(config_of(tmp_path)).index("train", [SESSION]).problems
    assert "is no NWB file that can be read" in said(problems)


def test_times_alone_make_unlabelled_trials(tmp_path):
    write(tmp_path, columns=False)
    records = open_source(config_of(tmp_path)).index("train", [SESSION]).records[SESSION]
    assert [(record.frames, record.labels, record.sentence) for record in records] == [(f, None, None) for f in FRAMES]


def test_roots_and_settings_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match=r"holds no <participant>.YYYY.MM.DD.nwb, such as t15.2023.08.13.nwb"):
        open_source(config_of(tmp_path))
    with pytest.raises(InputError, match=r"data.nwb_series is set and data.source=t15 does not read it; nwb does\."):
        open_source(DataConfig(data_root=str(tmp_path), nwb_series="x"))
