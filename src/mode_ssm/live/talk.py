"""Push to talk: trials that begin and end with a button."""

from collections.abc import Iterable, Iterator

from mode_ssm.live.desk import Press
from mode_ssm.live.events import Begin, End, Event, Frames


class PushToTalk:
    """Events in which someone speaks while the source says that one may, and the button is down.

    What the source says of a trial, its day above all, is said of each piece of talk in it. Frames outside are left
    out, and nothing moves in time: frames keep their numbers.
    """

    def __init__(self, events: Iterable[Event | Press]) -> None:
        self._events = events
        self._may: Begin | None = None  # what the source began
        self._down = False

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            talked = self._talks
            if isinstance(event, Frames):
                if talked:
                    yield event
            elif isinstance(event, Press):
                self._down = event.down
            elif isinstance(event, Begin | End):
                self._may = event if isinstance(event, Begin) else None
                if talked and self._talks:  # the source began anew without an end
                    yield End()
                    talked = False
            else:
                yield event
            if talked and not self._talks:
                yield End()
            elif self._talks and not talked and self._may is not None:
                yield self._may

    @property
    def _talks(self) -> bool:
        return self._down and self._may is not None
