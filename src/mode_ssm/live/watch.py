"""Channels that go flat or out of their range while frames come: said when it begins, and when it is over."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mode_ssm.batch import FRAME_MS
from mode_ssm.config import WatchConfig
from mode_ssm.live.events import Correction, Event, Floats, Frames, Notice, Turn

SECOND = 1000 // FRAME_MS  # frames, after which channels are looked at again
PATIENCE = 10  # times its own longest pause that a quiet channel may be still
KEPT = 0.998  # of that pause, a second later: half of it is forgotten in six minutes
FLAT, RANGE = "flat", "range"

Flags = NDArray[np.bool_]


class ChannelWatch:
    """Events, with notices of channels between them.

    A channel is flat once it has not changed for `flat_seconds`, and for ten times the longest pause after which it
    changed before, so that an electrode that fires seldom is said once or twice, not again and again. It is out of
    range once half of its values of a second are, and back in it after a second without such a value. Behind a closed
    lock, of which a log holds no features, nobody looks.

    Attributes:
        counts: how often a channel got each alarm.
    """

    def __init__(self, channels: int, config: WatchConfig) -> None:
        self.counts: Counter[str] = Counter()
        self._config = config
        self._flat_frames = max(1, round(1000 * config.flat_seconds / FRAME_MS))
        self._still = np.zeros(channels, np.int64)  # frames since a channel changed
        self._pause = np.zeros(channels)  # its longest, with a change after it
        self._beyond = np.zeros((SECOND, channels), np.bool_)  # of the last second, frame n at n % SECOND
        self._last: Floats | None = None  # frame of the piece of speech that is under way
        self._seen = 0
        self._alarms = {name: np.zeros(channels, np.bool_) for name in (FLAT, RANGE)}

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        closed = False
        for event in events:
            yield event
            if isinstance(event, Turn):
                closed = not event.open
            if isinstance(event, Frames) and not closed:
                for offset, frame in enumerate(event.features):
                    yield from self._take(event.first + offset, frame)
            elif not isinstance(event, Notice | Correction):
                self._last = None  # a scale may change between trials, which is no change of a channel

    def _take(self, number: int, frame: Floats) -> Iterator[Notice]:
        self._still += 1
        if self._last is not None:
            changed = frame != self._last
            np.maximum(self._pause, self._still, out=self._pause, where=changed)
            self._still[changed] = 0
        self._last = frame
        self._beyond[self._seen % SECOND] = np.abs(frame) > self._config.range
        self._seen += 1
        if self._seen % SECOND == 0:
            yield from self._look(number)

    def _look(self, number: int) -> Iterator[Notice]:
        self._pause *= KEPT
        flat = self._still >= np.maximum(self._flat_frames, PATIENCE * self._pause)
        share = self._beyond.mean(axis=0)
        beyond = (share >= 0.5) | (self._alarms[RANGE] & (share > 0))
        yield from self._said(number, FLAT, flat, f"flat for {self._config.flat_seconds:g} s or longer", "flat no more")
        limit = f"beyond {self._config.range:g} standard deviations"
        yield from self._said(number, RANGE, beyond, limit, "within their range again")

    def _said(self, number: int, name: str, now: Flags, begins: str, ends: str) -> Iterator[Notice]:
        before, self._alarms[name] = self._alarms[name], now
        all_now = tuple(np.flatnonzero(now).tolist())
        for changed, what in ((now & ~before, begins), (before & ~now, ends)):
            if changed.any():
                yield Notice(number, f"{what}: {channels_text(np.flatnonzero(changed).tolist())}", name, all_now)
        if begun := int((now & ~before).sum()):
            self.counts[name] += begun


def channels_text(channels: list[int]) -> str:
    """
    >>> channels_text([3]), channels_text([0, 1, 2, 7])
    ('channel 3', 'channels 0-2, 7')
    """
    breaks = [place for place, (a, b) in enumerate(pairwise(channels), start=1) if b != a + 1]
    runs = [channels[start:end] for start, end in pairwise([0, *breaks, len(channels)])]
    named = [f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"channel{'s' if len(channels) > 1 else ''} {', '.join(named)}"
