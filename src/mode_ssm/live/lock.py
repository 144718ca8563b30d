"""A lock that a spoken phrase opens: while it is closed, nothing that is decoded leaves the process.

`Guarded` stands before the log and puts a Turn into the events where the lock opens or closes; `LockedTrials` stands
between the session and the decoder and obeys it. A log holds the Turns and, of a closed time, no features, so that
`LockedTrials` alone decodes it again as it was.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from mode_ssm.labels import Labels
from mode_ssm.live.events import Begin, Correction, Event, Floats, Frames, Turn
from mode_ssm.live.listening import evidence
from mode_ssm.live.spoken import SpokenTrials, Step, Told
from mode_ssm.live.spotting import PhraseSpotter


class Lock:
    """Hears when to open and when to close; it is closed at first.

    Args:
        opening, closing: phrases; without a closing one, time alone closes it.
        seconds: on the source's clock without speech, after which it closes; None = never.
        evidence: probability of a phoneme in a frame that counts as speech.
        labels: of the posteriors.

    Attributes:
        open: whether it is.
    """

    def __init__(
        self,
        opening: PhraseSpotter,
        closing: PhraseSpotter | None,
        seconds: float | None,
        evidence: float,
        labels: Labels,
    ) -> None:
        self._opening, self._closing, self._labels = opening, closing, labels
        self._seconds, self._evidence = seconds, evidence
        self._time = self._spoke = -np.inf  # now, and when someone spoke last or the lock opened
        self._heard = False
        self.open = False

    def hear(self, log_probs: Floats) -> None:
        """Take the (s, V) of the CTC head."""
        for frame in log_probs:
            if evidence(frame, self._labels) >= self._evidence:
                self._spoke = self._time
            if self._phrase is not None and self._phrase.hear(frame):
                self._heard = True

    def part(self) -> None:
        """A trial is over, or another begins: no phrase goes on beyond it."""
        if self._phrase is not None:
            self._heard |= self._phrase.said
            self._phrase.forget()

    def at(self, seconds: float) -> Turn | None:
        """What time does to it, before the frames of that time are heard."""
        self._time = max(self._time, seconds)
        if self.open and self._seconds is not None and self._time - self._spoke > self._seconds:
            return self._turn("time")
        return None

    def turned(self) -> Turn | None:
        """What a phrase has done to it since this was asked last."""
        return self._turn("phrase") if self._heard else None

    @property
    def _phrase(self) -> PhraseSpotter | None:
        return self._closing if self.open else self._opening

    def _turn(self, why: str) -> Turn:
        self.open, self._heard, self._spoke = not self.open, False, self._time
        if self._phrase is not None:
            self._phrase.forget()
        return Turn(self.open, why)


class Guarded:
    """A source's events with the Turns of a lock; of a closed time, without the sentences that were to be said
    and the corrections of words.

    Args:
        source: whose events are heard, each before the next is asked for, by LockedTrials with the same lock.
        lock: closed as yet.
    """

    def __init__(self, source: Iterable[Event], lock: Lock) -> None:
        self._source, self._lock = source, lock
        self._secret: Begin | None = None  # the trial that began last while it was closed, and may begin again

    def __iter__(self) -> Iterator[Event]:
        yield Turn(False, "start")
        for event in self._source:
            if isinstance(event, Frames) and (turn := self._lock.at(event.time)):
                yield turn
            if isinstance(event, Correction) and not self._lock.open:
                continue
            yield self._without_secret(event) if isinstance(event, Begin) else event
            if turn := self._lock.turned():
                yield turn

    def _without_secret(self, event: Begin) -> Begin:
        if not self._lock.open:
            self._secret = event
        return event._replace(sentence=None) if event == self._secret else event


def guarded(source: Iterable[Event], lock: Lock | None) -> Iterable[Event]:
    """The source behind its lock, where there is one."""
    return source if lock is None else Guarded(source, lock)


class LockedTrials:
    """Trials that are told while no Turn has closed the lock; what it opens upon begins anew, as after a beginning.

    Args:
        spoken: what decodes.
        lock: is to hear what is said; None = there is none, or the events hold its Turns already.
    """

    def __init__(self, spoken: SpokenTrials, lock: Lock | None) -> None:
        self._spoken, self._lock = spoken, lock
        self._closed = False
        self._begun: Begin | None = None  # the trial that is under way

    def begin(self, event: Begin) -> list[Told]:
        self._begun = event
        self._part()
        told = self._spoken.begin(event)
        return [] if self._closed else told

    def extend(self, features: Floats) -> Step | None:
        if not self._closed:
            step = self._spoken.extend(features)
            if self._lock is not None and step is not None and step.ctc is not None:
                self._lock.hear(step.ctc)
            return step
        heard = None if self._lock is None else self._spoken.overhear(features)
        if self._lock is None or heard is None:
            return None
        self._lock.hear(heard)
        return Step([], None, secret=True)

    def end(self) -> list[Told]:
        self._begun = None
        self._part()
        return [] if self._closed else self._spoken.end()

    def turn(self, event: Turn) -> list[Told]:
        """Open or close; a trial that is under way is told from here on, or up to here."""
        was_closed, self._closed = self._closed, not event.open
        if self._begun is None or was_closed == self._closed:
            return [event]
        return [*self._spoken.end(), event] if self._closed else [event, *self._spoken.begin(self._begun)]

    def _part(self) -> None:
        if self._lock is not None:
            self._lock.part()
