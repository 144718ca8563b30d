"""Frame numbers out of timestamps: what was lost is found, and what only jitters is neither lost nor moved.

A sample that comes half a frame or more after it is due was held up itself, or follows others that were lost. Which of
the two it was, the next ones show: a sender that was held up catches up, and a loss remains. So such samples are held
until one is in time, and then all were only late; or until five in a row, over 80 ms, had the same delay, and then the
least delay is what was lost. The due time follows the sender's clock slowly: a drift of half a percent is no loss.
"""

from collections import deque
from typing import NamedTuple

from mode_ssm.batch import FRAME_MS
from mode_ssm.live.events import Floats
from mode_ssm.live.incoming import Numbered
from mode_ssm.live.repair import LONGEST_GAP

PERIOD = FRAME_MS / 1000  # seconds
_EQUAL = 5  # samples in a row with one delay, to half a frame, after which it is a loss
_BELIEVED = 3.5 * PERIOD  # within which they did not come at once
_LONGEST_HELD = 0.5  # seconds, after which the delay is a loss whether it was the same or not
_FOLLOW = 0.05  # share of a deviation by which the due time follows
_ENOUGH = float("inf")
_LONGEST = LONGEST_GAP * PERIOD
_AHEAD = 1.0  # seconds beyond now, where no sample can come from
_BACK = 5  # samples in a row from before the newest, after which the clock went back


class Sample(NamedTuple):
    time: float  # seconds on this computer's clock of LSL
    stamp: float  # as its sender wrote it
    features: Floats  # (C,)


class TimedFrame(NamedTuple):
    numbered: Numbered
    sample: Sample


class FrameTimes:
    """Numbers of samples in the order in which they came.

    A sample with the stamp of an earlier one, or from before the newest by half a frame or more, has a number that was
    given already. Where the clock leaps back by more than three seconds, or by less for five samples in a row, or into
    the future, numbers go on from there anew.
    """

    def __init__(self) -> None:
        self.newest = -1  # frame that was numbered
        self._due, self._last = 0.0, 0.0  # when the newest frame was due, and when the last sample was taken
        self._stamps: deque[tuple[float, int]] = deque(maxlen=LONGEST_GAP)  # with their frames' numbers
        self._held: list[Sample] = []
        self._held_since = 0.0
        self._followed = 0  # frames since the clock began, over whose due times the first second is a mean
        self._before = 0  # samples in a row from before the newest

    @property
    def waiting(self) -> bool:
        """Whether samples are held."""
        return bool(self._held)

    def take(self, sample: Sample, now: float) -> list[TimedFrame]:
        """What is settled by a sample; `now` is on the clock of its time."""
        known = self._known(sample)
        if known is not None:
            return [TimedFrame(Numbered(known), sample)]
        leap = None if self.newest < 0 else self._leap(sample, now)
        if leap is not None:
            settled = self.settle()
            self.newest += 1
            self._start(sample)
            return [*settled, TimedFrame(Numbered(self.newest, f"the sender's clock {leap}", anew=True), sample)]
        if self.newest < 0:
            self.newest = 0
            self._start(sample)
            return [TimedFrame(Numbered(0), sample)]
        if self._is_before(sample):
            return [TimedFrame(Numbered(max(0, self.newest - round((self._due - sample.time) / PERIOD))), sample)]
        if not self._held:
            self._held_since = now
        self._held.append(sample)
        self._last, self._before = sample.time, 0
        return self._settled(now - self._held_since)

    def settle(self) -> list[TimedFrame]:
        """What is held, when no more comes to show what its delay was: it counts as a loss."""
        return self._settled(_ENOUGH)

    def _settled(self, seconds: float) -> list[TimedFrame]:
        """Of what is held, and was for so long, what is known to be late or to follow a loss."""
        settled: list[TimedFrame] = []
        while self._held:
            delays = [held.time - self._due - place * PERIOD for place, held in enumerate(self._held, start=1)]
            in_time = [place for place, delay in enumerate(delays, start=1) if delay < PERIOD / 2]
            if in_time:
                settled += [self._follow(1) for _ in range(in_time[-1])]
            elif self._is_loss(delays, seconds):
                settled.append(self._follow(1 + round(min(delays) / PERIOD)))
            else:
                break
        return settled

    def _is_loss(self, delays: list[float], seconds: float) -> bool:
        """Whether samples that were held for so long, by this computer's clock, follow a loss."""
        lasted = min(seconds, self._held[-1].time - self._held[0].time)
        newest = delays[-_EQUAL:]
        equal = len(newest) == _EQUAL and max(newest) - min(newest) < PERIOD / 2
        return seconds == _ENOUGH or lasted >= _LONGEST_HELD or (equal and lasted >= _BELIEVED)

    def _follow(self, steps: int) -> TimedFrame:
        sample = self._held.pop(0)
        self.newest += steps
        self._due += steps * PERIOD
        deviation = sample.time - self._due
        self._followed += 1
        if deviation < PERIOD / 2:  # one that was held up says nothing about the clock
            self._due += max(_FOLLOW, 1 / self._followed) * deviation
        self._stamps.append((sample.stamp, self.newest))
        return TimedFrame(Numbered(self.newest), sample)

    def _start(self, sample: Sample) -> None:
        self._due = self._last = sample.time
        self._followed = 1
        self._stamps.clear()
        self._stamps.append((sample.stamp, self.newest))
        self._before = 0

    def _known(self, sample: Sample) -> int | None:
        """The number of a sample that came before, of the newest frame where it is held."""
        if any(held.stamp == sample.stamp for held in self._held):
            return self.newest
        return next((number for stamp, number in self._stamps if stamp == sample.stamp), None)

    def _is_before(self, sample: Sample) -> bool:
        before = not self._held and sample.time <= self._last - PERIOD / 2
        self._before += before
        return before

    def _leap(self, sample: Sample, now: float) -> str | None:
        step = sample.time - self._last
        if step > _AHEAD and sample.time > now + _AHEAD:
            return f"leapt {step:.1f} s ahead"
        if step < -_LONGEST or (self._before == _BACK and step < -PERIOD / 2):
            return f"went back by {-step:.1f} s"
        return None
