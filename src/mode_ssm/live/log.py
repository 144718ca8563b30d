"""A log of everything that came in, from which a session is decoded again exactly as it was.

Of the time in which a lock is closed it holds no features, but how many came, when, and how many were not finite, so
that what is said about frames is said again too.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.live.events import Begin, Correction, End, Event, Floats, Frames, Notice, Turn


class Logged:
    """A source whose events are written to a file of JSON lines as they come; it is on the disk event by event."""

    def __init__(self, source: Iterable[Event], file: TextIO) -> None:
        self._source, self._file = source, file

    def __iter__(self) -> Iterator[Event]:
        closed = False
        for event in self._source:
            closed = not event.open if isinstance(event, Turn) else closed
            self._file.write(json.dumps(_entry(event, closed), ensure_ascii=False) + "\n")
            self._file.flush()
            yield event


class LogReplay:
    """A source that gives the events of a log again, as fast as they are taken.

    A last line that was cut off, by a power failure say, is left out.

    Raises:
        InputError: where the file is not there, or a line before the last is none of a log.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"source=log:{path} names no file; give what live.log=FILE wrote.")
        self._path = path

    @property
    def locked(self) -> bool:
        """Whether it is that of a session with a lock, whose Turns it holds."""
        return isinstance(next(iter(self), None), Turn)

    def __iter__(self) -> Iterator[Event]:
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    event = _event(parse_json(line.decode()))
                except (ValueError, KeyError, TypeError) as error:
                    if not line.endswith(b"\n"):
                        return
                    raise InputError(f"{self._path} has no event of a log in line {number} ({error}).") from None
                yield event


def _entry(event: Event, closed: bool) -> dict[str, object]:
    if isinstance(event, Frames):
        place: dict[str, object] = {"first": event.first, "time": event.time, "shape": list(event.features.shape)}
        if closed:
            return {"event": "withheld", **place, "not_finite": _not_finite(event.features)}
        values = np.ascontiguousarray(event.features, dtype="<f4")
        data = base64.b64encode(values.tobytes()).decode("ascii")
        return {"event": "frames", **place, "float32": data}
    kind = {Begin: "begin", Notice: "notice", Correction: "correction", End: "end", Turn: "lock"}[type(event)]
    return {"event": kind, **event._asdict()}


def _not_finite(features: Floats) -> list[int]:
    """Values a frame; empty where all are finite."""
    counts = np.count_nonzero(~np.isfinite(np.atleast_2d(features)), axis=1)
    return counts.tolist() if counts.any() else []


def _withheld(shape: list[int], not_finite: list[int]) -> Floats:
    """Zeros, of which as many are not finite as were."""
    features = np.zeros(shape, dtype=np.float32)
    for frame, count in zip(np.atleast_2d(features), not_finite, strict=False):
        frame[:count] = np.nan
    return features


def _event(entry: dict[str, object]) -> Event:
    kind = entry.pop("event")
    if kind == "frames":
        data = base64.b64decode(str(entry["float32"]), validate=True)
        shape: list[int] = list(entry["shape"])  # type: ignore[call-overload]
        features = np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float32)
        return Frames(int(str(entry["first"])), float(str(entry["time"])), features)
    if kind == "withheld":
        features = _withheld(entry["shape"], entry["not_finite"])  # type: ignore[arg-type]
        return Frames(int(str(entry["first"])), float(str(entry["time"])), features)
    if kind == "begin":
        return Begin(**entry)  # type: ignore[arg-type]
    if kind == "notice":
        channels: list[int] = list(entry.get("channels", ()))  # type: ignore[call-overload]
        return Notice(**entry | {"channels": tuple(channels)})  # type: ignore[arg-type]
    if kind == "correction":
        return Correction(**entry)  # type: ignore[arg-type]
    if kind == "lock":
        return Turn(**entry)  # type: ignore[arg-type]
    if kind == "end":
        return End()
    raise ValueError(f"an event {kind!r} is not known")
