"""Runs without their picture, which takes longer than a small training and is tested with the commands."""

import pytest


@pytest.fixture(autouse=True)
def no_picture(monkeypatch):
    monkeypatch.setattr("mode_ssm.training.loop.draw_run", lambda *_: None)
