"""The loop of live decoding: from a source's events to what every sink is told."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mode_ssm.config import WatchConfig
from mode_ssm.live.events import Begin, Correction, End, Event, Frames, Notice, Turn
from mode_ssm.live.latency import Latency
from mode_ssm.live.lock import Lock, LockedTrials
from mode_ssm.live.repair import Repair
from mode_ssm.live.sinks import Signal, Sink
from mode_ssm.live.spoken import Said, SpokenTrials, Told
from mode_ssm.live.sureness import SureWords
from mode_ssm.live.watch import ChannelWatch


class Identity(NamedTuple):
    """What decoded, so that every message says it: hashes of its files."""

    checkpoint: str
    lm: str | None


class LiveSession:
    """Decodes events and tells the sinks.

    Every message is a dictionary that JSON can hold: `type` (begin, words, end, sure, notice, correction,
    lock), `frame` and `time` of the newest input frame that it rests on, `checkpoint` and `lm`, and for
    begin: `session`, `trial`, `sentence`; words: `phonemes` (new ones), `committed` (all words of the trial that stay),
    `open` (those that may change), `ms` (what the step took); end: `words`; sure: `end` (the frame of the end
    message whose words these are), `posteriors`, `confidences` or None, `alternatives`; notice: `text`, `alarm`,
    `channels`; correction: `end`, `place`, `word`, `by`; lock: `open`, `why` (start, phrase, time). While the lock is
    closed sinks are told of it and of notices alone, and shown nothing.

    Attributes:
        repair: with the counts of frames.
        watch: with the counts of alarms.
        latency: of steps, from the first frame that an encoder frame waited for to the last sink that was told,
            without the waiting.
        ends: the time that ends took which the source said, with how sure the words are.
    """

    def __init__(
        self,
        spoken: SpokenTrials,
        sinks: Sequence[Sink],
        channels: int,
        identity: Identity,
        watch: WatchConfig,
        lock: Lock | None = None,
    ) -> None:
        self._spoken, self._sinks, self._identity = LockedTrials(spoken, lock), sinks, identity
        self.repair, self.watch, self.latency = Repair(channels), ChannelWatch(channels, watch), Latency()
        self.ends = Latency()
        self._frame, self._time, self._spent = -1, 0.0, 0.0
        self._ended = -1  # the frame of the last end

    def run(self, events: Iterable[Event], clock: Callable[[], float] = time.perf_counter) -> None:
        """Decode until the source has no more."""
        for event in self.watch(self.repair(events)):
            started = clock()
            told = self._take(event)
            took = 1000 * (clock() - started)
            if isinstance(event, End):
                self.ends.add(took)  # no frame waits for it
                continue
            self._spent += took
            if told:
                self.latency.add(self._spent)
                self._spent = 0.0

    def summary(self) -> dict[str, Any]:
        """What became of frames and channels, and how long steps and ends took."""
        counts = {"frames": dict(self.repair.counts), "alarms": dict(self.watch.counts)}
        times = {"step": self.latency.summary(), "end": self.ends.summary()}
        return counts | {name: told for name, told in times.items() if name == "step" or told["steps"]}

    def _take(self, event: Event) -> bool:
        """Whether a step was completed."""
        if isinstance(event, Frames):
            return self._hear(event)
        if isinstance(event, Notice):
            self._tell("notice", text=event.text, alarm=event.alarm, channels=list(event.channels))
        elif isinstance(event, Correction):
            self._tell("correction", **event._asdict())
        elif isinstance(event, Turn):
            self._tell_all(self._spoken.turn(event))
        else:
            self._tell_all(self._spoken.begin(event) if isinstance(event, Begin) else self._spoken.end())
        return False

    def _hear(self, frames: Frames) -> bool:
        self._frame, self._time = frames.first + len(frames.features) - 1, frames.time
        step = self._spoken.extend(frames.features)
        if step is None:
            return False
        self._tell_all(step.told)
        signal = Signal(frames.features[-1], None if step.ctc is None else step.ctc[-1])
        for sink in [] if step.secret else self._sinks:
            sink.show(signal)
        return True

    def _tell_all(self, several: Iterable[Told]) -> None:
        for told in several:
            if isinstance(told, Begin):
                self._tell("begin", session=told.session, trial=told.trial, sentence=told.sentence)
            elif isinstance(told, Turn):
                self._tell("lock", open=told.open, why=told.why)
            elif isinstance(told, Said):
                self._tell("end", words=None if told.words is None else list(told.words))
                self._ended = self._frame
            elif isinstance(told, SureWords):
                self._tell("sure", end=self._ended, **_sure(told))
            else:
                self._tell(
                    "words",
                    phonemes=list(told.phonemes),
                    committed=None if told.words is None else list(told.words.committed),
                    open=None if told.words is None else list(told.words.open),
                    ms=round(self._spent, 2),
                )

    def _tell(self, kind: str, **what: Any) -> None:
        frame = {"type": kind, "frame": self._frame, "time": round(self._time, 4)}
        message = frame | what | {"checkpoint": self._identity.checkpoint, "lm": self._identity.lm}
        for sink in self._sinks:
            sink.tell(message)


def _sure(sure: SureWords) -> dict[str, Any]:
    return {
        "posteriors": list(sure.posteriors),
        "confidences": None if sure.confidences is None else list(sure.confidences),
        "alternatives": [[list(one) for one in several] for several in sure.alternatives],
    }
