"""The loop of live decoding: from a source's events to what every sink is told."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mode_ssm.live.events import Begin, End, Event, Frames, Notice
from mode_ssm.live.latency import Latency
from mode_ssm.live.repair import Repair
from mode_ssm.live.sinks import Signal, Sink
from mode_ssm.live.spoken import SpokenTrials


class Identity(NamedTuple):
    """What decoded, so that every message says it: hashes of its files."""

    checkpoint: str
    lm: str | None


class LiveSession:
    """Decodes events and tells the sinks.

    Every message is a dictionary that JSON can hold: `type` (begin, words, end, notice), `frame` and `time` of the
    newest input frame that it rests on, `checkpoint` and `lm`, and for
    begin: `session`, `trial`, `sentence`; words: `phonemes` (new ones), `committed` (all words of the trial that stay),
    `open` (those that may change), `ms` (what the step took); end: `words`; notice: `text`.

    Attributes:
        repair: with the counts of frames.
        latency: of steps, from the first frame that an encoder frame waited for to the last sink that was told,
            without the waiting.
    """

    def __init__(self, spoken: SpokenTrials, sinks: Sequence[Sink], channels: int, identity: Identity) -> None:
        self._spoken, self._sinks, self._identity = spoken, sinks, identity
        self.repair, self.latency = Repair(channels), Latency()
        self._frame, self._time, self._spent = -1, 0.0, 0.0

    def run(self, events: Iterable[Event], clock: Callable[[], float] = time.perf_counter) -> None:
        """Decode until the source has no more."""
        for event in self.repair(events):
            started = clock()
            told = self._take(event)
            self._spent += 1000 * (clock() - started)
            if told:
                self.latency.add(self._spent)
                self._spent = 0.0

    def _take(self, event: Event) -> bool:
        """Whether a step was completed."""
        if isinstance(event, Frames):
            return self._hear(event)
        if isinstance(event, Notice):
            self._tell("notice", text=event.text)
        elif isinstance(event, Begin):
            self._spoken.begin(event.session)
            self._tell("begin", session=event.session, trial=event.trial, sentence=event.sentence)
        elif isinstance(event, End):
            words = self._spoken.end()
            self._tell("end", words=None if words is None else list(words))
        return False

    def _hear(self, frames: Frames) -> bool:
        self._frame, self._time = frames.first + len(frames.features) - 1, frames.time
        heard = self._spoken.extend(frames.features)
        if heard is None:
            return False
        words = heard.words
        self._tell(
            "words",
            phonemes=list(heard.phonemes),
            committed=None if words is None else list(words.committed),
            open=None if words is None else list(words.open),
            ms=round(self._spent, 2),
        )
        signal = Signal(frames.features[-1], None if heard.posteriors is None else heard.posteriors[-1])
        for sink in self._sinks:
            sink.show(signal)
        return True

    def _tell(self, kind: str, **what: Any) -> None:
        frame = {"type": kind, "frame": self._frame, "time": round(self._time, 4)}
        message = frame | what | {"checkpoint": self._identity.checkpoint, "lm": self._identity.lm}
        for sink in self._sinks:
            sink.tell(message)
