"""A replay keeps the time of the recording, by a clock of the test's own."""

import torch

from mode_ssm.batch import Trial, TrialKey
from mode_ssm.live.events import Begin, End, Frames
from mode_ssm.live.replay import Replay


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def trial(number: int, frames: int) -> Trial:
    return Trial(TrialKey("day", "val", f"trial_{number:04d}", 1, number), torch.ones(frames, 2), None, "Said.")


def test_a_frame_comes_every_twenty_milliseconds():
    clock = Clock()
    came = []
    for event in Replay([trial(0, 3), trial(1, 2)], 2.0, clock, clock.sleep):
        came.append((type(event), round(clock.now - 100, 6)))
    assert came == [
        (Begin, 0.0),
        *[(Frames, round(0.01 * n, 6)) for n in (1, 2, 3)],
        (End, 0.03),
        (Begin, 0.03),
        *[(Frames, round(0.01 * n, 6)) for n in (4, 5)],
        (End, 0.05),
    ]


def test_numbers_and_times_go_on_over_trials():
    events = list(Replay([trial(0, 2), trial(1, 1)], 0))
    assert [(e.first, e.time) for e in events if isinstance(e, Frames)] == [(0, 0.02), (1, 0.04), (2, 0.06)]
    assert events[0] == Begin("day", "day/val/trial_0000", "Said.")
