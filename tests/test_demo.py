"""The demo, cut short: simulated recordings, both stages, decoded phonemes, a picture."""

import json

import pytest

from mode_ssm.commands.demo import demo
from mode_ssm.commands.live_demo import live_demo

SHORT = ["training.stages.0.epochs=1", "training.stages.1.epochs=1", "encoder.layers=1", "training.accelerator=cpu"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of both demos, simulated once."""
    return tmp_path_factory.mktemp("demo")


def test_the_demo_shows_what_was_learnt(out, capsys):
    demo(out, SHORT)
    printed = capsys.readouterr().out
    assert printed.count("\n  said ") == printed.count("\n  rnnt ") == 5
    assert "val phoneme error rate, rnnt: " in printed
    (run,) = (out / "runs").iterdir()
    assert f"Picture:    {run / 'training.png'}" in printed
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")


def test_the_live_demo_plays_a_session_on_a_page_and_takes_its_network_again(out, capsys):
    one = ["speed=0", "sink=[console,page:0]", "source=replay:t15.2023.08.18/val/trial_0000"]
    live_demo(out, SHORT, one)
    printed = capsys.readouterr().out
    assert "Page: http://127.0.0.1:" in printed
    assert printed.count("said     ") == printed.count("decoded  ") == 1
    assert json.loads(printed.splitlines()[-1])["frames"]["taken"] > 50
    before = (out / "live" / "metrics.jsonl").read_bytes()
    live_demo(out, SHORT, one)
    assert capsys.readouterr().out.count("decoded  ") == 1
    assert (out / "live" / "metrics.jsonl").read_bytes() == before
