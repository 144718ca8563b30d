"""Trials out of the states of a task, in both forms that BRAND's tasks have had."""

import pytest

from mode_ssm.live.events import Begin, End
from mode_ssm.live.streams.tasks import TaskStates


def events_of(*entries):
    tasks = TaskStates(("go", "1"), "day")
    return [event for entry in entries for event in tasks.take({k.encode(): v.encode() for k, v in entry.items()})]


@pytest.mark.parametrize(
    ("field", "states"), [("state", ["start_trial", "go", "freeze", "end_trial"]), ("taskState", ["0", "1", "3"])]
)
def test_a_trial_is_the_time_in_which_one_speaks(field, states):
    assert events_of(*[{field: state} for state in states * 2]) == [Begin("day"), End(), Begin("day"), End()]


def test_a_state_says_what_is_to_be_said():
    entry = {"state": "go", "sentenceCue": "Hi there.", "trialNum": "7", "session": "another"}
    assert events_of(entry) == [Begin("another", "7", "Hi there.")]


def test_the_same_state_twice_is_one_and_another_trial_begins_anew():
    one, two = {"state": "go", "trial": "1"}, {"state": "go", "trial": "2"}
    assert events_of(one, one, two) == [Begin("day", "1"), End(), Begin("day", "2")]


def test_an_entry_without_a_state_changes_nothing():
    assert events_of({"state": "go"}, {"comment": "water"}) == [Begin("day")]


def test_bytes_that_are_no_text_are_a_state_in_which_nobody_speaks():
    tasks = TaskStates(("go",), None)
    assert list(tasks.take({b"state": b"\xff\xfe"})) == []
