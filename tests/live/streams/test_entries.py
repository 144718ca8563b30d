"""Whatever bytes stand in an entry, they are read or they are not; none ends a session."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.live.lm_server.messages import read_logits
from mode_ssm.live.lm_server.parameters import Parameters
from mode_ssm.live.streams.entries import read_count, read_frame, read_seconds, written_now
from mode_ssm.live.streams.tasks import TaskStates

NAMES = st.binary(max_size=12) | st.sampled_from([b"state", b"trial", b"beam", b"nbest"])
FIELDS = st.dictionaries(NAMES, st.binary() | st.sampled_from([b"go", b"3", b"0.5"]))
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers(), st.lists)


@given(st.lists(st.floats(width=32), max_size=20))
def test_a_frame_is_read_as_it_was_written(values):
    np.testing.assert_array_equal(read_frame(np.array(values, dtype="<f4").tobytes())[0], np.float32(values))


@given(st.binary(max_size=50))
def test_any_bytes_are_a_frame_or_none(raw):
    assert read_frame(raw).shape == (1, len(raw) // 4 if len(raw) % 4 == 0 else 0)


@given(st.dictionaries(st.text(), st.integers(-(2**62), 2**62), min_size=1))
def test_the_first_count_is_read(counts):
    assert read_count(json.dumps(counts).encode()) == next(iter(counts.values()))


@given(st.binary(max_size=30) | JSON.map(json.dumps).map(str.encode))
def test_any_bytes_are_a_count_or_none(raw):
    count = read_count(raw)
    assert count is None or abs(count) < 2**63


def test_a_count_beyond_64_bits_is_none():
    assert read_count(b'{"nsp": 1' + b"0" * 4000 + b"}") is None
    assert read_count(b"[" * 100_000) is None


@given(st.binary(max_size=20))
def test_any_bytes_are_a_time_or_none(raw):
    seconds = read_seconds(raw)
    assert seconds is None or seconds >= 0


def test_what_is_written_now_is_read_as_now():
    first, second = read_seconds(written_now()), read_seconds(written_now())
    assert first is not None
    assert second is not None
    assert 0 <= second - first < 10


@given(st.lists(FIELDS, max_size=5))
def test_any_states_begin_and_end_trials_in_turn(entries):
    tasks = TaskStates(("go",), None)
    kinds = [type(event).__name__ for entry in entries for event in tasks.take(entry)]
    assert kinds == ["Begin", "End"] * (len(kinds) // 2) + ["Begin"] * (len(kinds) % 2)


@given(st.binary(max_size=700))
def test_any_bytes_are_logits_or_said_to_be_none(raw):
    logits, said = read_logits({b"logits": raw})
    assert np.isfinite(logits).all()
    assert (said is None) == (len(logits) > 0 and len(logits) == len(raw) / 164)


@given(FIELDS)
def test_any_parameters_leave_a_search_that_can_be_run(fields):
    parameters, _ = Parameters(1.0, 2.0, 20.0, 5).updated(fields)
    assert min(parameters) > 0
    assert isinstance(parameters.nbest, int)
