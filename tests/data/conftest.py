"""One good data root, and how the tests open it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mode_ssm.config import BadTrial, DataConfig
from mode_ssm.data import TrialDataset, open_split
from tests.data.files import make_trial, write_session

SESSIONS = ("t15.2023.08.11", "t15.2023.08.13", "t15.2023.09.01")
CHANNELS = 8


def patches(frames: int) -> int:
    """S of patches of 4 frames, stride 2."""
    return (frames - 4) // 2 + 1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three sessions with 4 train and 2 val trials each, and one test file of 2 trials."""
    folder = tmp_path / "hdf5"
    for place, session in enumerate(SESSIONS):
        write_session(folder, session, "train", [make_trial(10 * place + i, 30 + 7 * i) for i in range(4)])
        write_session(folder, session, "val", [make_trial(10 * place + i, 40 + 7 * i) for i in range(5, 7)])
    unlabelled = [make_trial(i) for i in range(2)]
    for trial in unlabelled:
        trial.labels = None
    write_session(folder, SESSIONS[1], "test", unlabelled)
    return folder


@pytest.fixture
def config(root: Path, tmp_path: Path) -> DataConfig:
    return DataConfig(data_root=str(root), on_bad_trial=BadTrial.skip, cache_dir=str(tmp_path / "cache"))


Opener = Callable[..., TrialDataset]


@pytest.fixture
def open_root(config: DataConfig) -> Opener:
    """open_split on the good root, with settings changed by keyword."""

    def opener(
        split: str = "train", *, channels: int = CHANNELS, labelled: bool | None = None, **settings: object
    ) -> TrialDataset:
        for name, value in settings.items():
            setattr(config, name, value)
        return open_split(config, split, num_channels=channels, encoder_frames=patches, labelled=labelled)

    return opener
