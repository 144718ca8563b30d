"""Push to talk, and what is asked on a page between the events of a source."""

import threading
import time

import numpy as np
import pytest

from mode_ssm.live.desk import Desk, Press
from mode_ssm.live.events import Begin, Correction, End, Event, Frames, Notice
from mode_ssm.live.talk import PushToTalk

DOWN, UP = Press(True), Press(False)
ONE, TWO = Begin("day", "one"), Begin("day", "two")
MEANT = Correction(9, 0, "their", "there")


def frame(number: int) -> Frames:
    return Frames(number, number * 0.02, np.zeros((1, 2), np.float32))


def kinds(events: list[Event | Press]) -> list[object]:
    """Frames by their numbers."""
    return [event.first if isinstance(event, Frames) else event for event in PushToTalk(events)]


def test_a_trial_is_what_comes_while_the_button_is_down():
    events = [ONE, frame(0), DOWN, frame(1), frame(2), UP, frame(3), DOWN, frame(4), UP, End()]
    assert kinds(events) == [ONE, 1, 2, End(), ONE, 4, End()]


def test_the_source_must_have_begun_and_its_end_ends_a_trial():
    assert kinds([DOWN, ONE, frame(0), End(), frame(1), TWO, frame(2), UP, End()]) == [ONE, 0, End(), TWO, 2, End()]
    assert kinds([DOWN, ONE, frame(0), TWO, frame(1), End()]) == [ONE, 0, End(), TWO, 1, End()]
    assert kinds([ONE, frame(0), End()]) == []


def test_what_stands_beside_frames_passes_and_a_second_press_changes_nothing():
    notice = Notice(0, "something")
    assert kinds([notice, ONE, MEANT, DOWN, DOWN, frame(0), notice, UP, UP]) == [notice, MEANT, ONE, 0, notice, End()]


def test_what_is_asked_comes_at_once_while_the_source_waits():
    go_on = threading.Event()

    def source():
        yield ONE
        assert go_on.wait(10)
        yield End()

    desk = Desk()
    events = desk.joined(source())
    assert next(events) == ONE
    desk.ask(MEANT)
    assert next(events) == MEANT
    go_on.set()
    assert list(events) == [End()]


def test_what_was_asked_last_is_not_lost_with_the_end_of_the_source():
    desk = Desk()
    events = desk.joined([ONE])
    assert next(events) == ONE
    time.sleep(0.05)  # the source is at its end
    desk.ask(MEANT)
    assert list(events) == [MEANT]


def test_what_goes_wrong_in_the_source_goes_wrong_where_it_is_taken():
    def source():
        yield ONE
        raise FileNotFoundError("gone")

    events = Desk().joined(source())
    assert next(events) == ONE
    with pytest.raises(FileNotFoundError, match="gone"):
        next(events)


def test_a_source_is_not_read_far_ahead_and_not_after_the_end():
    taken = []

    def source():
        for number in range(10_000):
            taken.append(number)
            yield frame(number)

    desk = Desk()
    events = desk.joined(source())
    assert next(events).first == 0
    time.sleep(0.1)
    assert len(taken) <= 70
    desk.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "live source" and _lives(thread)]


def _lives(thread: threading.Thread) -> bool:
    thread.join(5)
    return thread.is_alive()
