"""Lost, doubled, late and damaged frames: whatever comes, frames go on by one, and each is counted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.live.events import Begin, End, Frames, Notice
from mode_ssm.live.repair import LONGEST_GAP, Repair

CHANNELS = 3


def frame(number: int, value: float | None = None, channels: int = CHANNELS) -> Frames:
    features = np.full((1, channels), number if value is None else value, dtype=np.float32)
    return Frames(number, (number + 1) * 0.02, features)


def repaired(*events):
    repair = Repair(CHANNELS)
    return list(repair([Begin("day"), *events, End()])), repair.counts


def frames_of(found):
    return [event for event in found if isinstance(event, Frames)]


def notices_of(found):
    return [event.text for event in found if isinstance(event, Notice)]


def test_what_is_sound_stays_as_it_is():
    found, counts = repaired(*map(frame, range(5)))
    assert [event.first for event in frames_of(found)] == list(range(5))
    assert counts == {"taken": 5}
    assert not notices_of(found)


def test_missing_frames_become_zeros_and_later_ones_keep_their_time():
    found, counts = repaired(frame(7), frame(10))
    assert [(event.first, len(event.features)) for event in frames_of(found)] == [(7, 1), (8, 2), (10, 1)]
    assert not frames_of(found)[1].features.any()
    assert frames_of(found)[1].time == 0.2
    assert counts == {"taken": 2, "filled": 2}
    assert notices_of(found) == ["2 frames from frame 8 never came; zeros stand for them"]


def test_a_frame_that_comes_twice_or_late_is_dropped():
    found, counts = repaired(frame(0), frame(1), frame(1), frame(0), frame(2))
    assert [event.first for event in frames_of(found)] == [0, 1, 2]
    assert counts == {"taken": 3, "dropped": 2}


def test_after_a_long_gap_a_trial_begins_anew():
    found, counts = repaired(frame(0), frame(LONGEST_GAP + 2))
    assert [type(event) for event in found] == [Begin, Frames, Notice, End, Begin, Frames, End]
    assert found[4] == Begin("day")
    assert counts == {"taken": 2, "in gaps": LONGEST_GAP + 1}


def test_values_that_are_not_finite_become_zeros():
    found, counts = repaired(frame(0, np.nan), frame(1, np.inf), frame(2))
    assert [event.features.tolist() for event in frames_of(found)] == [[[0.0] * 3], [[0.0] * 3], [[2.0] * 3]]
    assert counts == {"taken": 3, "damaged": 2}


def test_a_frame_of_another_width_becomes_zeros():
    found, counts = repaired(frame(0, channels=5), frame(1))
    assert [event.features.shape for event in frames_of(found)] == [(1, 3), (1, 3)]
    assert notices_of(found) == ["frame 0 has 5 channels, not 3; zeros stand for it"]
    assert counts == {"taken": 1, "malformed": 1}


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 5)), max_size=12))
def test_frames_go_on_by_one_whatever_comes(pieces):
    events = [Frames(first, first * 0.02, np.ones((count, CHANNELS), dtype=np.float32)) for first, count in pieces]
    found, counts = repaired(*events)
    due = None
    for event in found:
        if isinstance(event, Begin):
            due = None
        elif isinstance(event, Frames):
            assert due in (None, event.first)
            due = event.first + len(event.features)
    assert counts["taken"] + counts["dropped"] == sum(count for _, count in pieces)
    assert sum(len(event.features) for event in frames_of(found)) == counts["taken"] + counts["filled"]
