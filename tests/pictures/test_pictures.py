"""`mode-ssm inspect picture=...` on trials with and without their truth, on other channels, and on bad input."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.image import imread

from mode_ssm.commands.inspect import inspect
from mode_ssm.config import DataConfig, InspectConfig, SimulateConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.pictures import trial as trial_picture
from mode_ssm.pictures.reading import read_shown_trial
from mode_ssm.simulation import simulate
from tests.data.files import FakeTrial, make_trial, write_session

SESSION = "t15.2023.08.11"
OTHER = "t15.2023.08.13"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rows = "".join(f"{SESSION},val,1,{i},HH AH L OW | Y UW |,Hello you.\n" for i in (0, 1))
    (folder / "labels.csv").write_text(f"session,split,block,trial,phonemes,sentence\n{rows}")
    simulate(SimulateConfig(out=str(folder / "data"), preset="demo", labels=str(folder / "labels.csv"), workers=1))
    return folder / "data"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two sessions of 8 channels; one trial of the second has NaN."""
    features = make_trial(1, 50).features
    features[3, 2] = np.nan
    write_session(tmp_path / "small", SESSION, "train", [make_trial(i, 40 + i) for i in range(3)])
    write_session(tmp_path / "small", OTHER, "train", [make_trial(0), FakeTrial(features)])
    test = make_trial(5, 30)
    test.labels = None
    write_session(tmp_path / "small", SESSION, "test", [test])
    return tmp_path / "small"


Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Draw:
    def draw(root: Path, picture: str | None = "new/a.png", **what: str) -> Path:
        data = DataConfig(data_root=str(root), cache_dir=str(tmp_path / "cache"))
        path = tmp_path / picture if picture else None
        assert inspect(InspectConfig(data, picture=path and str(path), **what)) == 0
        assert capsys.readouterr().out == f"Written: {path}\n"
        assert path
        return path

    return draw


def _colours(path: Path) -> int:
    return len(np.unique((255 * imread(path)).astype(np.uint8).view(np.uint32)))


def test_a_simulated_trial_is_drawn_with_its_alignment(simulated: Path, draw: Draw) -> None:
    data = DataConfig(data_root=str(simulated), cache_dir=str(simulated / "cache"))
    shown = read_shown_trial(open_source(data), simulated, f"{SESSION}/val/trial_0001")
    assert shown.alignment is not None
    assert shown.labels is not None
    said = [int(a) for a, b in zip(shown.alignment, np.roll(shown.alignment, 1), strict=True) if a not in (0, b)]
    assert said == list(shown.labels)
    path = draw(simulated, trial=f"{SESSION}/val/trial_0001")
    assert (255 * imread(path)).astype(int)[..., :3].std() > 20
    assert _colours(path) > 500


def test_a_test_trial_is_drawn_without_labels(simulated: Path, small: Path, draw: Draw) -> None:
    assert _colours(draw(simulated, trial=f"{SESSION}/test/trial_0000")) > 500
    assert _colours(draw(small, trial=f"{SESSION}/test/trial_0000")) > 100


def test_a_session_is_drawn(simulated: Path, draw: Draw) -> None:
    assert _colours(draw(simulated, session=SESSION)) > 20
    assert draw(simulated, "a.SVG", session=SESSION).read_text().startswith("<?xml")


def test_other_channels_are_drawn_and_bad_trials_left_out(
    small: Path, draw: Draw, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _colours(draw(small, trial=f"{SESSION}/train/trial_0002")) > 100
    draw(small, session=SESSION)
    data = DataConfig(data_root=str(small), cache_dir=str(small / "cache"))
    inspect(InspectConfig(data, picture=str(small / "b.png"), session=OTHER))
    captured = capsys.readouterr()
    assert captured.err.startswith(f"Leaving out: {OTHER}/data_train.hdf5 trial_0001 has 1 NaN")


def test_constant_and_single_frames_are_drawn(tmp_path: Path, draw: Draw) -> None:
    features = [np.zeros((30, 512), np.float32), np.ones((1, 512), np.float32)]
    trials = [FakeTrial(values, sentence="It costs $5 or $\\frac{1.") for values in features]
    write_session(tmp_path / "flat", SESSION, "train", trials)
    for i in range(2):
        draw(tmp_path / "flat", trial=f"{SESSION}/train/trial_000{i}")
    draw(tmp_path / "flat", session=SESSION)


def test_means_run_over_five_frames() -> None:
    values = np.random.default_rng(0).standard_normal((23, 4)).astype(np.float32)
    expected = np.stack([np.convolve(channel, np.full(5, 0.2), mode="same") for channel in values.T], axis=1)
    assert trial_picture._smoothed(values) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({}, f"give either trial={OTHER}/val/trial_0000 or session={OTHER}"),
        ({"trial": "x", "session": "y"}, "shows one trial or one session"),
        ({"trial": "trial_0000"}, "trial=trial_0000 names no trial; write session/split/group"),
        ({"trial": f"{SESSION}/dev/trial_0000"}, "names no trial"),
        ({"trial": "t15.2030.01.01/val/trial_0000"}, f"has no session 't15.2030.01.01'; it has 2, from {SESSION} to"),
        (
            {"trial": f"{SESSION}/val/trial_0000"},
            "data_val.hdf5 is absent, so it has no 'trial_0000'; name a",
        ),
        ({"trial": f"{SESSION}/train/trial_0009"}, "has no 'trial_0009'; its first of 3 trials is trial_0000."),
        ({"trial": f"{OTHER}/train/trial_0001"}, "has 1 NaN or infinite feature values"),
        ({"session": "t15.2030.01.01"}, "has no session"),
        ({"session": SESSION, "picture": None}, "give picture=FILE.png"),
        ({"session": SESSION, "picture": "a.doc"}, "ends with no format that is known"),
        ({"session": SESSION, "picture": "small/a.png/b.png"}, "small/a.png/b.png cannot be written ("),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(small: Path, draw: Draw, what: dict[str, str], words: str) -> None:
    (small / "a.png").write_text("in the way")
    with pytest.raises(InputError) as caught:
        draw(small, **what)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_session_without_a_sound_trial_is_one_sentence(small: Path, draw: Draw) -> None:
    (small / OTHER / "data_train.hdf5").write_text("no such thing")
    with pytest.raises(InputError, match=r"holds no sound trial; the first problem: .*is not an HDF5 file"):
        draw(small, session=OTHER)


@pytest.mark.parametrize("alignment", [np.zeros(3, int), np.full(41, 41), np.zeros(41), "text"])
def test_a_broken_truth_is_one_sentence(small: Path, draw: Draw, alignment: object) -> None:
    with h5py.File(small / SESSION / "truth.hdf5", "w") as truth:
        truth["train/trial_0001/alignment"] = alignment
    with pytest.raises(
        InputError, match=r"truth.hdf5 train/trial_0001 has an alignment that is not the phonemes of 41"
    ):
        draw(small, trial=f"{SESSION}/train/trial_0001")
    draw(small, trial=f"{SESSION}/train/trial_0000")
