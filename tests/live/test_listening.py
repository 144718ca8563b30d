"""Speech found by the network itself: a detector on posteriors made by hand, and the command beside cut trials."""

import json

import numpy as np
import pytest

from mode_ssm.config import ListenConfig
from mode_ssm.labels import Labels
from mode_ssm.live.listening import ListenFrames, SpeechDetector
from tests.live.test_live import SESSION, live, messages

LABELS = Labels(("_", "A", "B", "|"), blank=0, boundary=3)
REST, SAID, BETWEEN = [0.97, 0.01, 0.01, 0.01], [0.1, 0.8, 0.05, 0.05], [0.1, 0.02, 0.02, 0.86]


def heard(frames: list[list[float]], **config: float) -> str:
    """Frame by frame: s where someone speaks, . where nobody does."""
    settings = ListenConfig(**config)
    detector = SpeechDetector(LABELS, settings, ListenFrames.of(settings, 80.0))
    return "".join("s" if detector.hear(np.log(np.array(frame, np.float32))) else "." for frame in frames)


def test_speech_begins_with_enough_labels_and_ends_with_a_long_pause() -> None:
    frames = [REST] * 5 + [SAID, REST, SAID] + [REST] * 4 + [BETWEEN, REST] + [SAID] + [REST] * 9
    config = {"onset_labels": 1.5, "onset_seconds": 0.4, "end_seconds": 0.56}  # 5 and 7 frames
    assert heard(frames, **config) == "." * 7 + "s" * 14 + "..."


def test_labels_too_far_apart_and_boundaries_between_words_are_rest() -> None:
    apart = ([SAID] + [REST] * 5) * 4
    assert heard(apart, onset_labels=1.5, onset_seconds=0.4) == "." * len(apart)
    assert heard([BETWEEN] * 20, onset_labels=1.5, onset_seconds=0.4) == "." * 20


def test_after_an_end_speech_must_begin_anew() -> None:
    frames = [SAID] * 2 + [REST] * 3 + [SAID] + [REST] * 2 + [SAID]
    assert heard(frames, onset_labels=1.5, onset_seconds=0.24, end_seconds=0.24) == ".sss....."


def test_times_are_whole_frames_and_one_at_least() -> None:
    assert ListenFrames.of(ListenConfig(end_seconds=0.02, forget_seconds=4.0), 80.0)[1:4:2] == (1, 50)


EAGER = ["listen=true", "listening.onset_labels=0.01", "listening.end_seconds=60", "listening.forget_seconds=600"]


@pytest.mark.parametrize("decoder", ["ctc", "rnnt"])
def test_what_is_found_at_once_and_never_ends_is_the_trial_as_it_was_cut(laboratory, tmp_path, capsys, decoder) -> None:
    """With thresholds that let everything pass, a piece is the whole trial: what the source says begins and ends it."""
    told = []
    for name, more in (("cut", []), ("found", EAGER)):
        words = [f"decoder={decoder}", f"source=replay:{SESSION}/val", f"sink=[jsonl:{tmp_path / name}]", *more]
        live(capsys, laboratory, *words)
        told.append(messages(tmp_path / name))
    cut, found = (
        [(m["type"], m.get("phonemes"), m.get("committed"), m.get("words")) for m in several] for several in told
    )
    assert found == cut


def test_short_pauses_cut_a_trial_into_pieces_that_begin_and_end_in_turns(laboratory, tmp_path, capsys) -> None:
    quick = ["listening.onset_labels=0.9", "listening.end_evidence=0.999", "listening.end_seconds=0.08"]
    sink = f"sink=[jsonl:{tmp_path / 'said'}]"
    printed = live(capsys, laboratory, f"source=replay:{SESSION}/val", sink, "listen=true", *quick)
    told = messages(tmp_path / "said")
    sure = {m["end"]: len(m["posteriors"]) for m in told if m["type"] == "sure"}
    said = {m["frame"]: len(m["words"]) for m in told if m["type"] == "end" and m["words"]}
    assert sure == said  # each once, if only while the next piece is spoken
    told = [m for m in told if m["type"] != "sure"]
    begun = False
    for message in told:
        assert begun == (message["type"] != "begin")
        begun = message["type"] != "end"
    assert not begun
    assert sum(m["type"] == "begin" for m in told) > 3
    assert json.loads(printed.splitlines()[-1])["step"]["steps"] > 50
