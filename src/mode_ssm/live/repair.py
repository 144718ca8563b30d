"""What was lost, doubled, late or damaged on the way: said, counted, and put right without moving anything in time."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from mode_ssm.batch import FRAME_MS
from mode_ssm.live.events import Aside, Begin, End, Event, Frames, Notice

LONGEST_GAP = 3000 // FRAME_MS  # frames that are filled; after a longer gap the trial begins anew


class Repair:
    """Events whose frames have C finite channels and follow one another without a gap or a repetition.

    A missing frame is filled with zeros, the mean of normalised features, so that later ones keep their time; a
    value that is not finite becomes zero, as does the whole frame of another number of channels. A frame whose number
    was there already is dropped. After a gap of more than three seconds the trial ends, and another begins.

    Attributes:
        counts: frames by what became of them: taken, filled, dropped, damaged, malformed, in gaps.
    """

    def __init__(self, channels: int) -> None:
        self.counts: Counter[str] = Counter()
        self._channels = channels
        self._next: int | None = None  # number of the frame that is due
        self._begun: Begin | None = None

    def __call__(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            if isinstance(event, Frames):
                yield from self._frames(event)
                continue
            if isinstance(event, Aside):
                yield event
                continue
            self._begun = event if isinstance(event, Begin) else None
            self._next = None
            yield event

    def _frames(self, frames: Frames) -> Iterator[Event]:
        count = len(frames.features)
        due = frames.first if self._next is None else self._next
        if frames.first < due:
            known = min(count, due - frames.first)
            self.counts["dropped"] += known
            yield Notice(frames.first, f"{known} frames came twice or too late from frame {frames.first}; dropped")
            if known == count:
                return
            frames = frames._replace(first=due, features=frames.features[known:])
        elif frames.first > due:
            yield from self._gap(due, frames)
        yield from self._sound(frames)
        self._next = frames.first + len(frames.features)

    def _gap(self, due: int, frames: Frames) -> Iterator[Event]:
        missing = frames.first - due
        if missing <= LONGEST_GAP:
            self.counts["filled"] += missing
            yield Notice(due, f"{missing} frames from frame {due} never came; zeros stand for them")
            begun = frames.time - len(frames.features) * FRAME_MS / 1000
            yield Frames(due, begun, np.zeros((missing, self._channels), dtype=np.float32))
            return
        self.counts["in gaps"] += missing
        yield Notice(due, f"{missing * FRAME_MS / 1000:.1f} s without data from frame {due}; the trial begins anew")
        yield End()
        yield self._begun or Begin()

    def _sound(self, frames: Frames) -> Iterator[Event]:
        features = np.atleast_2d(frames.features)
        if features.shape[1] != self._channels:
            self.counts["malformed"] += len(features)
            text = f"frame {frames.first} has {features.shape[1]} channels, not {self._channels}; zeros stand for it"
            yield Notice(frames.first, text)
            yield frames._replace(features=np.zeros((len(features), self._channels), dtype=np.float32))
            return
        finite = np.isfinite(features)
        self.counts["taken"] += len(features)
        if not finite.all():
            damaged = int((~finite.all(axis=1)).sum())
            self.counts["damaged"] += damaged
            text = f"{int((~finite).sum())} values that are not finite from frame {frames.first}; zeros stand for them"
            yield Notice(frames.first, text)
            features = np.where(finite, features, np.float32(0))
        yield frames._replace(features=features)
