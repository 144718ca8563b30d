"""Frame numbers out of timestamps: by hand, with jitter of every kind, and whatever a sender writes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.live.lsl.timestamps import PERIOD, FrameTimes, Sample, TimedFrame
from mode_ssm.live.repair import LONGEST_GAP

NOTHING = np.zeros(1, dtype=np.float32)


def timed(times, came=None) -> list[TimedFrame]:
    """All frames of samples that came when they were taken, unless `came` says otherwise."""
    frames = FrameTimes()
    found = []
    for time, now in zip(times, times if came is None else came, strict=True):
        found += frames.take(Sample(time, time, NOTHING), now)
    return found + frames.settle()


def numbers_of(times, came=None) -> list[int]:
    return [frame.numbered.number for frame in timed(times, came)]


def at(*frames: float) -> list[float]:
    return [100.0 + PERIOD * frame for frame in frames]


def test_what_was_lost_is_found():
    assert numbers_of(at(0, 1, 2, 4, 5, 6, 7, 8, 11, 12)) == [0, 1, 2, 4, 5, 6, 7, 8, 11, 12]


def test_a_loss_is_settled_after_80_ms():
    frames = FrameTimes()
    settled = [len(frames.take(Sample(time, time, NOTHING), time)) for time in at(0, 1, 3, 4, 5, 6, 7, 8)]
    assert settled == [1, 1, 0, 0, 0, 0, 5, 1]


def test_a_sender_that_was_held_up_has_lost_nothing():
    """Its samples have the time at which they were sent: none for half a second, then all at once."""
    times = at(*range(10), *(34 + 0.013 * n for n in range(25)), *range(35, 50))
    assert numbers_of(times) == list(range(50))


def test_a_first_sample_that_was_late_moves_nothing():
    times = at(6, 6.01, 6.02, 6.03, 6.04, 6.05, 6.06, *range(7, 300), *range(302, 310))
    assert numbers_of(times) == [*range(300), *range(302, 310)]


def test_chunks_of_four_frames_that_come_late_have_lost_nothing():
    """The last sample of a chunk has the time at which it was sent, the others the rate's distance."""
    delays = [0, 0, 0.4, 1.7, 0, 3.2, 0, 0.9, 0, 0]
    times = at(*(4 * chunk + delays[chunk] + place for chunk in range(10) for place in range(4)))
    came = [max(times[: 4 * (n // 4) + 4]) for n in range(40)]
    assert numbers_of(times, came) == list(range(40))


def test_a_doubled_sample_and_one_from_before_have_numbers_that_were_given():
    assert numbers_of(at(0, 1, 2, 2, 1, 3, 4)) == [0, 1, 2, 2, 1, 3, 4]
    assert numbers_of(at(0, 1, 2, 3, 1.2, 4)) == [0, 1, 2, 3, 1, 4]


def test_a_clock_that_goes_back_starts_anew():
    found = timed([*at(0, 1, 2), *at(-1000, -999)])
    assert [frame.numbered.number for frame in found] == [0, 1, 2, 3, 4]
    assert [frame.numbered.anew for frame in found] == [False, False, False, True, False]
    assert found[3].numbered.said == "the sender's clock went back by 20.0 s"


def test_a_clock_that_goes_back_a_little_starts_anew_after_five_samples():
    found = timed([*at(*range(60)), *at(*(n + 0.3 for n in range(10, 20)))])
    anew = [frame.numbered for frame in found if frame.numbered.anew]
    assert len(found) == 70
    assert [numbered.number for numbered in anew] == [60]
    assert [frame.numbered.number for frame in found[-4:]] == [61, 62, 63, 64]


def test_a_clock_that_leaps_ahead_starts_anew_and_a_gap_does_not():
    ahead = at(0, 1, 100_001, 100_002)
    found = timed(ahead, came=at(0, 1, 2, 3))
    assert [frame.numbered.number for frame in found] == [0, 1, 2, 3]
    assert found[2].numbered.said == "the sender's clock leapt 2000.0 s ahead"
    assert numbers_of(ahead) == [0, 1, 100_001, 100_002]


@pytest.mark.parametrize(
    ("kind", "spread"), [("uniform", 0.007), ("normal", 0.003), ("exponential", 0.005), ("held up now and then", 0.2)]
)
@pytest.mark.parametrize("drift", [-0.005, 0.0, 0.005])
def test_jitter_and_drift_lose_nothing_and_move_nothing(kind, spread, drift):
    random = np.random.default_rng(1)
    count = 5000
    true = PERIOD * (1 + drift) * np.arange(count)
    if kind == "held up now and then":
        delay = np.where(random.random(count) < 0.01, random.uniform(0, spread, count), 0.0003)
        times = np.maximum.accumulate(true + delay) + 1e-6 * np.arange(count)
    else:
        delay = {"uniform": random.uniform, "normal": random.normal}.get(kind, lambda _, s, n: random.exponential(s, n))
        times = true + delay(-spread if kind == "uniform" else 0, spread, count)
    assert numbers_of(times.tolist()) == list(range(count))


@settings(max_examples=50)
@given(st.lists(st.integers(0, LONGEST_GAP), min_size=1, max_size=80, unique=True), st.floats(-1e6, 1e6))
def test_with_exact_times_each_sample_has_the_number_of_its_frame(frames, start):
    frames = sorted(frames)
    assert numbers_of([start + PERIOD * frame for frame in frames]) == [frame - frames[0] for frame in frames]


@given(st.lists(st.floats(-1e12, 1e12), max_size=40))
def test_any_times_are_survived(times):
    found = numbers_of(times)
    assert len(found) == len(times)
    assert all(number >= 0 for number in found)
