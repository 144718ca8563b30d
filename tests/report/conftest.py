"""A small trained run whose recordings hold a sentence that no page may run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from mode_ssm.cli import main
from mode_ssm.training.loop import train
from tests.data.files import make_trial, write_session
from tests.small import SESSIONS, small_config, write_data

MALICIOUS = "<script>alert('x')</script>&\"<img src=x>"


class Trained(NamedTuple):
    run: Path
    data: Path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("report")
    data = write_data(folder / "data")
    trials = [replace(make_trial(70 + n, 90), sentence=MALICIOUS) for n in range(3)]
    write_session(data, SESSIONS[1], "val", trials)
    return Trained(train(small_config(data, folder / "first")), data)


@pytest.fixture(scope="session")
def other(trained: Trained) -> Path:
    """The same data, another learning rate."""
    return train(small_config(trained.data, trained.run.with_name("second"), "training.optimizer.lr=0.003"))


Command = Callable[..., str]


@pytest.fixture
def make_report(tmp_path: Path) -> Command:
    """Run `mode-ssm report` and read the page."""

    def run(*words: object) -> str:
        page = tmp_path / "page.html"
        with pytest.raises(SystemExit) as exit_:
            main(["report", *map(str, words), f"out={page}"])
        assert exit_.value.code == 0
        return page.read_text()

    return run
