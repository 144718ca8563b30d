"""Trials written in a format, and read through the house's own door."""

import contextlib
from collections.abc import Iterator

import pytest

from mode_ssm.cli import main
from mode_ssm.config import DataConfig
from mode_ssm.data import Problem, TrialDataset, open_split


def patches(frames: int) -> int:
    return (frames - 14) // 4 + 1


def read_split(config: DataConfig, split: str, channels: int) -> TrialDataset:
    return open_split(config, split, num_channels=channels, encoder_frames=patches)


def said(problems: list[Problem]) -> str:
    return "\n".join(map(str, problems))


@contextlib.contextmanager
def exits(status: int) -> Iterator[None]:
    with pytest.raises(SystemExit) as stopped:
        yield
    assert stopped.value.code == status


def run(*words: str, status: int = 0) -> None:
    with exits(status):
        main([*words])
