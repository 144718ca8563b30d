"""Thresholds of speech, learnt: on trials made by hand, from the command, and what live makes of them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mode_ssm.config import ListenConfig
from mode_ssm.errors import InputError
from mode_ssm.live import thresholds
from mode_ssm.live.listening import ListenFrames
from mode_ssm.live.thresholds import HeardTrial, learn_thresholds, thresholds_file, with_learnt, write_thresholds
from tests.live.conftest import Laboratory
from tests.live.test_live import SESSION, live, messages, run

FRAMES = ListenFrames(onset=4, end=5, before=6, forget=20)


def trial(words: int, said: float, rest: float) -> HeardTrial:
    """Ten frames of rest, words of two labels in neighbouring frames eight frames apart, ten frames of rest."""
    evidence = np.full(10 + 8 * words + 10, rest)
    begins = [10 + 8 * word + np.array([0, 1]) for word in range(words)]
    for word in begins:
        evidence[word] = said
    return HeardTrial(evidence, begins)


def test_thresholds_stand_in_the_middle():
    learnt = learn_thresholds([trial(5, 0.9, 0.05)] * 30, FRAMES)
    assert learnt.end_evidence == pytest.approx((0.9 + 0.05) / 2, abs=1e-3)
    word, quiet = 2 * 0.9 + 2 * 0.05, 4 * 0.05  # in the four frames of a window
    assert learnt.onset_labels == pytest.approx((word + quiet) / 2, abs=1e-3)
    assert (learnt.words, learnt.missed, learnt.false) == (150, 0.0, 0.0)
    # 8 frames before the first label; of the 16 after the last label's first frame, the last three are its neighbours
    assert learnt.rest_frames == 30 * (8 + (10 + 6 - 2))


def test_one_bad_word_and_one_loud_moment_in_a_hundred_change_nothing():
    trials = [trial(5, 0.9, 0.05) for _ in range(60)]
    trials[0].evidence[10] = trials[0].evidence[11] = 0.0
    trials[1].evidence[3] = 1.0
    learnt = learn_thresholds(trials, FRAMES)
    usual = learn_thresholds([trial(5, 0.9, 0.05)] * 60, FRAMES)
    assert learnt.onset_labels == pytest.approx(usual.onset_labels, abs=0.02)
    assert learnt.end_evidence == pytest.approx(usual.end_evidence, abs=0.02)
    assert learnt.missed == pytest.approx(1 / 300)
    assert 0 < learnt.false < 0.01


def test_too_little_is_an_error():
    with pytest.raises(InputError, match="There are 10 words and 44 encoder frames of rest around them; thresholds of"):
        learn_thresholds([trial(5, 0.9, 0.05)] * 2, FRAMES)


def test_what_was_given_goes_before_what_was_learnt(tmp_path):
    path = tmp_path / "decoding" / "listening.json"
    assert with_learnt(ListenConfig(), path) == ListenConfig()
    write_thresholds(path, learn_thresholds([trial(5, 0.9, 0.05)] * 30, FRAMES))
    learnt = with_learnt(ListenConfig(end_seconds=0.7), path)
    assert (learnt.onset_labels, learnt.end_evidence, learnt.end_seconds) == (1.05, 0.475, 0.7)
    assert with_learnt(ListenConfig(onset_labels=3.0), path) == replace(
        ListenConfig(), onset_labels=3.0, end_evidence=0.475
    )


@pytest.mark.parametrize("text", ["{}", "[1]", "nonsense", '{"onset_labels": "x", "end_evidence": 1}'])
def test_a_file_of_something_else_is_an_error(tmp_path, text):
    path = tmp_path / "listening.json"
    path.write_text(text)
    with pytest.raises(InputError, match="does not hold thresholds of speech .* run mode-ssm listening"):
        with_learnt(ListenConfig(), path)


def test_thresholds_out_of_range_are_an_error(tmp_path):
    path = tmp_path / "listening.json"
    path.write_text('{"onset_labels": 0, "end_evidence": 2}')
    with pytest.raises(InputError, match=r"has onset_labels=0\.0 and end_evidence=2\.0; run mode-ssm listening"):
        with_learnt(ListenConfig(), path)


def test_the_command_learns_them_and_live_uses_them(laboratory: Laboratory, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(thresholds, "LEAST_WORDS", 10)
    monkeypatch.setattr(thresholds, "LEAST_REST", 10)
    own = laboratory._replace(run=tmp_path / "run")
    shutil.copytree(laboratory.run, own.run)
    told = run(capsys, "listening", str(own.run), f"data.data_root={own.data}", "split=train")
    path = thresholds_file(own.run / "checkpoints" / "last.safetensors")
    learnt = json.loads(path.read_text())
    assert f"onset_labels={learnt['onset_labels']}, which" in told
    assert f"Kept in {path}" in told

    def pieces(*words: str) -> list[dict]:
        sink = tmp_path / f"said{len(list(tmp_path.iterdir()))}.jsonl"
        live(capsys, own, f"source=replay:{SESSION}/val", f"sink=[jsonl:{sink}]", "listen=true", *words)
        return [message for message in messages(sink) if message["type"] != "words"]

    given = [f"listening.{name}={learnt[name]}" for name in ("onset_labels", "end_evidence")]
    used = pieces()
    path.unlink()
    assert pieces(*given) == used


def test_a_split_with_too_little_is_said(laboratory: Laboratory, capsys):
    told = run(capsys, "listening", str(laboratory.run), f"data.data_root={laboratory.data}", status=2)
    assert "thresholds of speech take 50 and 250; give a larger split" in told
