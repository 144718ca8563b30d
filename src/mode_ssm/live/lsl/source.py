"""A source that follows an LSL stream of features, and one of markers that say when someone speaks."""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pylsl

from mode_ssm.config import LslConfig
from mode_ssm.live.events import Begin, Event, Frames, Notice
from mode_ssm.live.incoming import Silence
from mode_ssm.live.lsl.inlet import BUFFER_SECONDS, Inlet, Misfit, Read
from mode_ssm.live.lsl.markers import Markers, not_markers
from mode_ssm.live.lsl.timestamps import PERIOD, FrameTimes, Sample, TimedFrame

_RATE = 1 / PERIOD
_READ_SECONDS = 1.0  # for a sample to come
_SETTLE_SECONDS = 0.2  # instead, while samples or markers wait for the next sample
_RECENT = 500  # frames, 10 s, kept while nobody speaks, for markers that come after frames of their time


class _Placed(NamedTuple):
    """A frame, and its time as markers have it."""

    time: float
    frame: TimedFrame


class LslSource:
    """Frames of a stream, each a sample, while someone may speak; it never ends by itself.

    Someone may speak between markers and, without a stream of them, all the time.

    Args:
        name: of the stream.
        channels: of the network.
        config: of this kind of source.

    Raises:
        InputError: when a stream is not there or does not fit.
    """

    def __init__(self, name: str, channels: int, config: LslConfig) -> None:
        self._features = Inlet(name, not_features(channels), config.wait_seconds)
        marks = config.markers
        self._marks = None if marks is None else Inlet(marks, not_markers, config.wait_seconds)
        self._markers = Markers(config)
        self._times = FrameTimes()
        self._silence = Silence(name)
        self._trial: Begin | None = None  # of the newest frame that was given
        self._recent: deque[_Placed] = deque(maxlen=_RECENT)

    def __iter__(self) -> Iterator[Event]:
        if self._marks is None:
            yield self._markers.always()
        try:
            while True:
                yield from self._read()
        finally:
            self._features.close()
            if self._marks is not None:
                self._marks.close()

    def _read(self) -> Iterator[Event]:
        waiting = self._times.waiting or self._markers.waiting
        read, said = self._features.read(_SETTLE_SECONDS if waiting else _READ_SECONDS)
        yield from map(self._notice, said)
        yield from self._read_markers()
        now = pylsl.local_clock()
        for frame in self._timed(read, now):
            if isinstance(frame, Notice):
                yield frame
            else:
                yield from self._frame(_Placed(_placed(frame.sample.time, now), frame))
        if not len(read.times):
            for frame in self._times.settle():
                yield from self._frame(_Placed(_placed(frame.sample.time, now), frame))
            yield from self._marked(float("inf"))
            yield from map(self._notice, self._features.look_for_another())
        quiet = self._silence.after(waiting or bool(len(read.times)), self._markers.begun is not None)
        if quiet is not None:
            yield self._notice(quiet)

    def _read_markers(self) -> Iterator[Event]:
        if self._marks is None:
            return
        read, said = self._marks.read(0.0)
        yield from map(self._notice, said)
        self._markers.add(read, pylsl.local_clock())

    def _timed(self, read: Read, now: float) -> Iterator[TimedFrame | Notice]:
        for values, time, stamp in zip(read.values, read.times, read.stamps, strict=True):
            if not np.isfinite(time):
                yield self._notice("a sample has no time; left out")
            else:
                features = np.asarray(values, dtype=np.float32)
                yield from self._times.take(Sample(float(time), float(stamp), features), now)

    def _frame(self, placed: _Placed) -> Iterator[Event]:
        yield from self._marked(placed.time)
        if self._markers.begun is None:
            self._recent.append(placed)
        else:
            yield from self._given(placed.frame, self._markers.begun)

    def _marked(self, time: float) -> Iterator[Event]:
        """What markers up to a time begin and end, with the frames between them that came before they did."""
        begun = self._markers.begun
        for marked, event in self._markers.until(time):
            earlier = self._kept_before(marked)
            if begun is not None:
                yield from self._all_given(earlier, begun)
            yield event
            begun = event if isinstance(event, Begin) else None
        if begun is not None:
            yield from self._all_given(self._kept_before(float("inf")), begun)

    def _kept_before(self, time: float) -> list[_Placed]:
        """Frames that are kept no longer."""
        earlier = [placed for placed in self._recent if placed.time < time]
        self._recent = deque((placed for placed in self._recent if placed.time >= time), _RECENT)
        return earlier

    def _all_given(self, several: list[_Placed], begun: Begin) -> Iterator[Event]:
        for placed in several:
            yield from self._given(placed.frame, begun)

    def _given(self, frame: TimedFrame, begun: Begin) -> Iterator[Event]:
        yield from frame.numbered.notices(begun if begun is self._trial else None)
        self._trial = begun
        yield Frames(frame.numbered.number, frame.sample.time, frame.sample.features[None])

    def _notice(self, text: str) -> Notice:
        return Notice(self._times.newest, text)


def not_features(channels: int) -> Misfit:
    """What is wrong with a stream that is to hold frames of so many channels."""

    def misfit(stream: Any) -> str | None:
        if stream.channel_format() == pylsl.cf_string:
            return "holds text; give one of features"
        if stream.channel_count() != channels:
            return f"has {stream.channel_count()} channels, and the network needs {channels}; give one of its features"
        if stream.nominal_srate() != _RATE:
            return (
                f"has a nominal rate of {stream.nominal_srate():g} samples a second, and the network needs {_RATE:g}; "
                "bin its features in 20 ms, and name that rate in its description"
            )
        return None

    return misfit


def _placed(time: float, now: float) -> float:
    """The time of a frame among markers; where its clock is not LSL's, since no buffer is so long, when it came."""
    return time if abs(time - now) < BUFFER_SECONDS else now
