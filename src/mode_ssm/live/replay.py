"""Recorded trials as if they came from the amplifier: a frame every 20 ms, or as fast as they are taken."""

import time
from collections.abc import Callable, Iterable, Iterator

from mode_ssm.batch import FRAME_MS, Trial
from mode_ssm.live.events import Begin, End, Event, Frames


class Replay:
    """A source that plays trials.

    Args:
        trials: in the order to play.
        speed: how many times faster than they were recorded; 0 = as fast as they are taken.
        clock, sleep: of the computer; a test has its own.
    """

    def __init__(
        self,
        trials: Iterable[Trial],
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._trials, self._speed, self._clock, self._sleep = trials, speed, clock, sleep

    def __iter__(self) -> Iterator[Event]:
        number = 0
        started = self._clock()
        for trial in self._trials:
            yield Begin(trial.key.session, str(trial.key), trial.sentence)
            for frame in trial.features.numpy():
                seconds = (number + 1) * FRAME_MS / 1000
                if self._speed > 0:
                    self._sleep(max(0.0, started + seconds / self._speed - self._clock()))
                yield Frames(number, seconds, frame[None])
                number += 1
            yield End()
