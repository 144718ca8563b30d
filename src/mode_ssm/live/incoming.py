"""What sources that follow a stream have in common: numbers of frames, and silence that is said once."""

from collections.abc import Iterator
from typing import NamedTuple

from mode_ssm.live.events import Begin, End, Event, Notice

QUIET_READS = 3  # of a second each without a frame, while someone speaks, after which it is said


class Numbered(NamedTuple):
    number: int
    said: str | None = None  # in words, what was found out about the count or the clock
    anew: bool = False  # it started again: what comes has nothing to do with what came

    def notices(self, trial: Begin | None) -> Iterator[Event]:
        """What is told before the frame, where it goes on with a trial of which frames were given, or with none."""
        if self.said is not None:
            yield Notice(self.number, self.said)
        if self.anew and trial is not None:
            yield from (End(), trial)


class Silence:
    """Says once that no frame comes while someone speaks."""

    def __init__(self, stream: str) -> None:
        self._stream, self._reads = stream, 0

    def after(self, came: bool, speaking: bool) -> str | None:
        """What to say after a read of up to a second."""
        self._reads = 0 if came or not speaking else self._reads + 1
        return f"nothing came on {self._stream} for a while; waiting" if self._reads == QUIET_READS else None
