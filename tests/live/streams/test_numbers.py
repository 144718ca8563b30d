"""Frame numbers out of counts: by hand, and any stream whose frames are lost, doubled and late."""

from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.live.repair import LONGEST_GAP
from mode_ssm.live.streams.numbers import FrameNumbers


def numbers_of(counts, step=None):
    numbers = FrameNumbers(step)
    return [numbers.of(count) for count in counts]


def test_the_step_is_what_lies_between_the_first_two():
    found = numbers_of([600, 1200, 1800, 3600])
    assert [each.number for each in found] == [0, 1, 2, 5]
    assert [each.said is not None for each in found] == [False, True, False, False]


def test_a_step_that_was_too_large_is_put_right():
    found = numbers_of([0, 1200, 1800, 2400])
    assert [each.number for each in found] == [0, 1, 2, 3]
    assert found[2].said == "the count in sync grows by 600 a frame; entries were lost at the start"


def test_a_given_step_finds_the_loss_of_the_second_frame():
    assert [each.number for each in numbers_of([0, 1200, 1800], step=600)] == [0, 2, 3]


def test_what_is_doubled_or_late_has_the_number_that_it_had():
    assert [each.number for each in numbers_of([0, 1, 2, 2, 1, 3])] == [0, 1, 2, 2, 1, 3]


def test_counts_that_jitter_never_drift():
    assert [each.number for each in numbers_of([0, 599, 1201, 1799, 2398, 2999], step=600)] == list(range(6))
    assert numbers_of([round(n * 599.9) for n in range(1000)], step=600)[-1].number == 999


def test_a_source_that_was_started_again_goes_on_with_the_next_number():
    found = numbers_of([1000, 1001, 1002, 0, 1])
    assert [each.number for each in found] == [0, 1, 2, 3, 4]
    assert [each.anew for each in found] == [False, False, False, True, False]
    assert found[3].said == "the count in sync went back from 1002 to 0: the source was started again"


@given(
    st.lists(st.integers(0, LONGEST_GAP), min_size=1, max_size=60),
    st.integers(1, 30_000),
    st.integers(-(10**12), 10**12),
)
def test_with_a_given_step_each_entry_has_the_number_of_its_frame(frames, step, offset):
    found = numbers_of([offset + step * frame for frame in frames], step)
    assert [each.number for each in found] == [frame - frames[0] for frame in frames]
    assert not any(each.said or each.anew for each in found)


@given(st.lists(st.integers(-(2**70), 2**70), max_size=40), st.none() | st.integers(1, 10**6))
def test_any_counts_are_survived(counts, step):
    for each in numbers_of(counts, step):
        assert isinstance(each.number, int)
