"""When words were said, on hand-made frames, and from files to files."""

import numpy as np
import pytest

from mode_ssm.labels import T15
from mode_ssm.language.hypothesis import WordHypothesis, read_hypothesis
from mode_ssm.language.word_times import FrameClock, word_times
from tests.language.conftest import A, B

END = T15.boundary or 0
CLOCK = FrameClock(first_ms=140.0, step_ms=80.0)


def said(*words: list[tuple[int, int]]) -> WordHypothesis:
    """Words of (label, frame), each with its boundary a frame after its last sound."""
    rows = [(label, frame, -1) for word in words for label, frame in [*word, (END, word[-1][1] + 1)]]
    labels, frames = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    return WordHypothesis(tuple("w" * len(word) for word in words), -1.0, 0.0, labels, (), frames)


def test_a_word_goes_from_its_first_sound_to_a_sound_after_its_last() -> None:
    (first, second) = word_times(said([(A, 2), (B, 4)], [(A, 10), (B, 13), (A, 14)]), CLOCK, END)
    sound = 80 * (2 + 3 + 1) / 3  # the mean distance of sounds within words, 160 ms
    assert first == pytest.approx(((140 + 80 * 2) / 1000, (140 + 80 * 4 + sound) / 1000))
    assert second == pytest.approx(((140 + 80 * 10) / 1000, (140 + 80 * 14 + sound) / 1000))


def test_words_that_would_overlap_meet_in_the_middle() -> None:
    first, second = word_times(said([(A, 0), (B, 4)], [(A, 6), (B, 10)]), CLOCK, END)
    assert first.end == second.start == pytest.approx((140 + 80 * 7) / 1000)  # between 8 and 6


def test_words_of_one_sound_last_a_usual_one() -> None:
    (only,) = word_times(said([(A, 3)]), CLOCK, END)
    assert only.end - only.start == pytest.approx(0.16)


def test_nothing_has_no_times() -> None:
    assert word_times(WordHypothesis((), 0.0, 0.0, ()), CLOCK, END) == ()


def test_a_sentence_that_stops_within_a_word_has_times_for_whole_ones() -> None:
    whole = said([(A, 2), (B, 4)])
    cut = whole._replace(labels=(*whole.labels, A), label_frames=(*whole.label_frames, 9))
    assert len(word_times(cut, CLOCK, END)) == 1


def test_a_path_gives_the_frames_of_words_and_labels() -> None:
    path = np.array([[A, 2, -1], [B, 4, -1], [END, 5, 1], [B, 7, -1], [END, 9, 0]])
    found = read_hypothesis(path, -1.0, -0.5, ["bee", "ab"], END)
    assert (found.words, found.frames) == (("ab", "bee"), ((2, 5), (7, 9)))
    assert found.label_frames == (2, 4, 5, 7, 9)
