"""When someone may speak: markers of an LSL stream, in their order in time among the frames."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import pylsl

from mode_ssm.config import LslConfig
from mode_ssm.live.events import Begin, End
from mode_ssm.live.lsl.inlet import Read


class Marker(NamedTuple):
    time: float  # seconds on this computer's clock of LSL
    text: str


class Markers:
    """Trials out of markers: one of `begin` begins a trial and one of `end` ends it; others change nothing."""

    def __init__(self, config: LslConfig) -> None:
        self._begins, self._ends, self._session = frozenset(config.begin), frozenset(config.end), config.session
        self._waiting: deque[Marker] = deque()
        self.begun: Begin | None = None  # the trial that is under way

    @property
    def waiting(self) -> bool:
        """Whether a marker waits for a frame of its time."""
        return bool(self._waiting)

    def always(self) -> Begin:
        """Someone may speak all the time."""
        self.begun = Begin(self._session)
        return self.begun

    def add(self, read: Read, now: float) -> None:
        """Take what an inlet of markers read, (n, 1) of bytes; none can be of the future."""
        for values, time in zip(read.values, read.times, strict=True):
            text = bytes(values[0]).decode("utf-8", errors="replace").strip()
            if text in self._begins | self._ends:
                self._waiting.append(Marker(min(float(time), now), text))

    def until(self, time: float) -> Iterator[tuple[float, Begin | End]]:
        """What the markers up to a time begin and end, and when."""
        while self._waiting and self._waiting[0].time <= time:
            marker = self._waiting.popleft()
            if self.begun is not None:
                self.begun = None
                yield marker.time, End()
            if marker.text in self._begins:
                self.begun = Begin(self._session)
                yield marker.time, self.begun


def not_markers(stream: Any) -> str | None:
    """What is wrong with a stream that is to hold markers."""
    if stream.channel_format() != pylsl.cf_string or stream.channel_count() != 1:
        return f"has {stream.channel_count()} channels, not one of text; lsl.markers needs a stream of markers"
    return None
