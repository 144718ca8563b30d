"""`mode-ssm inspect`: the table counts what was written, figures equal numpy's, and everything wrong is named."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.console import Console

from mode_ssm.commands.inspect import inspect, print_inspection
from mode_ssm.commands.inspection import examine
from mode_ssm.config import DataConfig, InspectConfig
from mode_ssm.errors import InputError
from tests.data.files import FakeTrial, make_trial, write_session

SESSIONS = ("t15.2023.08.11", "t15.2023.08.13")


def numbered(seed: int, split_number: int, frames: int = 60) -> FakeTrial:
    trial = make_trial(seed, frames)
    trial.block, trial.number = split_number, seed
    return trial


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "hdf5"
    for session in SESSIONS:
        write_session(folder, session, "train", [numbered(i, 1, 60 + 10 * i) for i in range(4)])
    write_session(folder, SESSIONS[1], "val", [numbered(i, 2, 100) for i in range(2)])
    test = numbered(9, 3, 50)
    test.labels = None
    write_session(folder, SESSIONS[1], "test", [test])
    return folder


@pytest.fixture
def config(root: Path, tmp_path: Path) -> InspectConfig:
    return InspectConfig(DataConfig(data_root=str(root), cache_dir=str(tmp_path / "cache")))


def printed(config: InspectConfig, width: int = 200, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, **options)  # type: ignore[arg-type]
    print_inspection(examine(config), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_sound_data_end_with_zero(config: InspectConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect(config) == 0
    output = capsys.readouterr().out
    assert "2 sessions (t15.2023.08.11 to t15.2023.08.13), 11 trials (8 train, 2 val, 1 test), 0.0 hours" in output
    assert output.rstrip().endswith("Nothing is wrong.")
    assert "\x1b" not in output


def test_odd_trials_are_named(root: Path, config: InspectConfig) -> None:
    still = [numbered(i, 1) for i in range(3)]
    for trial in still[:2]:
        trial.features[:] = 0
    still[2].features[5, 3] = 1e30
    still += [numbered(8, 1), numbered(9, 1, 4)]
    still[3].features[0, 0] = -2000
    still[4].features[:] = np.nan
    write_session(root, SESSIONS[0], "train", still)
    words = " ".join(printed(config).split())
    name = f"{SESSIONS[0]}/data_train.hdf5"
    assert f"{name} trial_0000 never changes, as 1 more of the trials read." in words
    assert f"{name} trial_0002 reaches 1e+30; 1 more of the trials read go beyond 1000." in words
    assert words.count("never changes") == 1


def test_a_root_that_cannot_be_trained_on_says_so(root: Path, config: InspectConfig) -> None:
    for session in SESSIONS:
        (root / session / "data_train.hdf5").unlink()
    assert "holds no data_train.hdf5. Nothing can be trained on it." in " ".join(printed(config).split())


def test_features_turned_round_are_one_problem(root: Path, config: InspectConfig) -> None:
    for place, session in enumerate(SESSIONS):
        turned = [numbered(4 * place + i, 1, 60 + i) for i in range(4)]
        for trial in turned:
            trial.features = np.ascontiguousarray(trial.features.T)
            trial.labels = [1, 40]
        for path in (root / session).iterdir():
            path.unlink()
        write_session(root, session, "train", turned)
    (problem,) = examine(config).problems
    assert "has 8 trials of 8 frames and of varying numbers of feature channels. They seem to be" in str(problem)


def test_table_counts_what_was_written(config: InspectConfig) -> None:
    cells = [line.split() for line in printed(config).splitlines()]
    assert ["session", "train", "val", "test", "frames", "min", "mean", "max", "labels", "blocks"] in cells
    assert [SESSIONS[0], "4", "-", "-", "60", "75", "90", "5.0", "1"] in cells
    assert [SESSIONS[1], "4", "2", "1", "50", "79", "100", "5.0", "3"] in cells
    assert ["all", "8", "2", "1", "50", "77", "100", "5.0", "4"] in cells


def all_features(root: Path) -> np.ndarray:
    values = []
    for path in root.glob("*/*.hdf5"):
        with h5py.File(path) as file:
            values += [trial["input_features"][()].astype(np.float64) for trial in file.values()]
    return np.concatenate(values)


def test_feature_statistics_are_those_of_numpy(config: InspectConfig, root: Path) -> None:
    found = examine(config).statistics["t15"]
    values = all_features(root)
    assert found.trials == 11
    assert found.mean == pytest.approx(values.mean(), rel=1e-9)
    assert found.sd == pytest.approx(values.std(), rel=1e-9)
    np.testing.assert_allclose(found.channel_mean, values.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.channel_sd, values.std(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(found.low, values.min(axis=0))
    np.testing.assert_array_equal(found.high, values.max(axis=0))
    assert (found.not_finite, found.constant_channels) == (0, [])


def test_sample_is_bounded_and_says_so(config: InspectConfig) -> None:
    config.sample_trials = 3
    assert "Feature values of 3 of 11 trials: mean " in printed(config)
    config.sample_trials = 0
    assert "Feature values: none were read." in printed(config)
    config.sample_trials = -1
    with pytest.raises(InputError, match="sample_trials is -1; set it to 0"):
        examine(config)


def test_values_that_are_not_finite_are_counted_and_named(config: InspectConfig, root: Path) -> None:
    with h5py.File(root / SESSIONS[0] / "data_train.hdf5", "a") as file:
        file["trial_0001"]["input_features"][5, 3:5] = [np.nan, np.inf]
    found = examine(config)
    values = all_features(root)
    assert found.statistics["t15"].not_finite_share == 2 / values.size
    assert found.statistics["t15"].mean == pytest.approx(values[np.isfinite(values)].mean(), rel=1e-9)
    assert [str(problem).split(". ")[0] for problem in found.problems] == [
        f"{SESSIONS[0]}/data_train.hdf5 trial_0001 has 2 NaN or infinite feature values, "
        "the first at frame 5, channel 3"
    ]


def test_everything_wrong_is_named_and_ends_with_one(
    config: InspectConfig, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / SESSIONS[1] / "data_val.hdf5").write_bytes(b"not a recording")
    with h5py.File(root / SESSIONS[0] / "data_train.hdf5", "a") as file:
        file["trial_0000"].attrs["seq_len"] = 0
        file["trial_0002"].attrs["seq_len"] = 0
        del file["trial_0003"]["input_features"]
        file["trial_0003"]["input_features"] = np.zeros((90, 5), np.float32)
        file["notes"] = "by hand"
    write_session(root, "t15.2023.09.01", "train", [make_trial(0, frames=20)])
    (root / "t15.2023.09.02").mkdir()
    assert inspect(config) == 1
    output = capsys.readouterr().out
    for sentence in (
        "6 problems:",
        f"{SESSIONS[1]}/data_val.hdf5 is not an HDF5 file. Copy",
        f"{SESSIONS[0]}/data_train.hdf5 trial_0000, trial_0002 has no labels, and only a test trial can do without",
        f"{SESSIONS[0]}/data_train.hdf5 trial_0003 has 5 feature channels but the model expects 8. Train with",
        "t15.2023.09.01/data_train.hdf5 trial_0000 has 20 frames, which may make only 2 encoder frames, but its 5",
        "t15.2023.09.02/data_train.hdf5 is absent. Copy the file there",
        f"{SESSIONS[0]}/data_train.hdf5 holds notes beside its trials. Nothing but trial_NNNN groups is read.",
        "Trials by feature channels: 9 with 8, 1 with 5.",
        f"Settings that fit: data.data_root={root} preprocessor.num_channels=8",
    ):
        assert sentence in output
    assert "Nothing is wrong." not in output


def test_a_train_trial_must_fit_when_its_first_frames_are_cut(config: InspectConfig, root: Path) -> None:
    for seed, split in enumerate(("train", "val")):
        write_session(root, "t15.2023.09.01", split, [make_trial(seed, frames=31)])
    (problem,) = examine(config).problems
    assert str(problem).startswith(
        "t15.2023.09.01/data_train.hdf5 trial_0000 has 31 frames, which may make only 4 encoder frames, but its 5"
    )


def test_notes_alone_end_with_zero(config: InspectConfig, root: Path) -> None:
    several = np.random.default_rng(0).standard_normal((7, 70, 8)).astype(np.float32) * [0, 9, 1, 1, 1, 1, 1, 1]
    write_session(root, SESSIONS[0], "train", [FakeTrial(features, number=3) for features in several[:2]])
    write_session(root, SESSIONS[1], "train", [FakeTrial(several[2 + i], block=2, number=i) for i in range(3)])
    config.data.max_sessions = 2
    for split in ("val", "test"):
        (root / SESSIONS[1] / f"data_{split}.hdf5").unlink()
    write_session(root, SESSIONS[1], "val", [FakeTrial(several[5 + i], block=2, number=i) for i in range(2)])
    found = examine(config)
    assert found.problems == ()
    assert [f"{note.file} {note.what}" for note in found.notes] == [
        f"{SESSIONS[0]} has the same block_num=1 and trial_num=3 in train/trial_0000 and train/trial_0001",
        f"{SESSIONS[1]} has the same block_num=2 and trial_num=0 in train/trial_0000 and val/trial_0000, "
        "and 2 such pairs of numbers in all",
        f"{root} has channels that never change in the trials read: 0",
        f"{root} has channels with a standard deviation outside 0.2-5: 1",
    ]
    output = printed(config)
    assert "4 notes:" in output
    assert "data.max_sessions=2 preprocessor.num_channels=8" in output
    assert inspect(config) == 0


@pytest.mark.parametrize("width", [10, 40, 60])
def test_narrow_terminal_loses_nothing(config: InspectConfig, width: int) -> None:
    output = printed(config, width, force_terminal=True, color_system=None)
    assert (
        f"session {SESSIONS[1]}, train 4, val 2, test 1, frames min 50, mean 79, max 100, labels 5.0, blocks 3"
        in output
    )


def test_table_fits_a_usual_terminal(config: InspectConfig) -> None:
    output = printed(config, 80, force_terminal=True, color_system=None)
    assert f"{SESSIONS[0]}      4" in output


def test_any_output_encoding_can_show_any_path(root: Path, config: InspectConfig) -> None:
    strange = root.with_name("Aufnahmen \udcff ü")
    root.rename(strange)
    config.data.data_root = str(strange)
    for encoding in ("ascii", "utf-8", "latin-1"):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        print_inspection(examine(config), Console(file=file, width=100))
        file.flush()
        assert b"Nothing is wrong." in file.buffer.getvalue()


def test_root_without_train_files_is_sound_but_for_empty_folders(config: InspectConfig, root: Path) -> None:
    for session in SESSIONS:
        (root / session / "data_train.hdf5").unlink()
    assert [str(problem) for problem in examine(config).problems] == [
        f"{SESSIONS[0]} holds no session file. Copy its files there, or remove the folder."
    ]


def test_root_without_any_file_is_one_sentence(tmp_path: Path, config: InspectConfig) -> None:
    (tmp_path / "empty" / SESSIONS[0]).mkdir(parents=True)
    config.data.data_root = str(tmp_path / "empty")
    with pytest.raises(InputError, match=r"None of the 1 sessions under .* has any of data_train.hdf5, data_val.hdf5,"):
        inspect(config)


def test_nothing_but_broken_files_is_told(
    config: InspectConfig, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in root.glob("*/*.hdf5"):
        path.write_bytes(b"")
    assert inspect(config) == 1
    output = capsys.readouterr().out
    assert "Trials by feature channels: none is sound." in output
    assert "4 problems:" in output
