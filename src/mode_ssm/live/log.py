"""A log of everything that came in, from which a session is decoded again exactly as it was."""

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.live.events import Begin, Correction, End, Event, Frames, Notice


class Logged:
    """A source whose events are written to a file of JSON lines as they come; it is on the disk event by event."""

    def __init__(self, source: Iterable[Event], file: TextIO) -> None:
        self._source, self._file = source, file

    def __iter__(self) -> Iterator[Event]:
        for event in self._source:
            self._file.write(json.dumps(_entry(event), ensure_ascii=False) + "\n")
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


def _entry(event: Event) -> dict[str, object]:
    if isinstance(event, Frames):
        values = np.ascontiguousarray(event.features, dtype="<f4")
        data = base64.b64encode(values.tobytes()).decode("ascii")
        shape = list(values.shape)
        return {"event": "frames", "first": event.first, "time": event.time, "shape": shape, "float32": data}
    kind = {Begin: "begin", Notice: "notice", Correction: "correction", End: "end"}[type(event)]
    return {"event": kind, **event._asdict()}


def _event(entry: dict[str, object]) -> Event:
    kind = entry.pop("event")
    if kind == "frames":
        data = base64.b64decode(str(entry["float32"]), validate=True)
        shape: list[int] = list(entry["shape"])  # type: ignore[call-overload]
        features = np.frombuffer(data, dtype="<f4").reshape(shape).astype(np.float32)
        return Frames(int(str(entry["first"])), float(str(entry["time"])), features)
    if kind == "begin":
        return Begin(**entry)  # type: ignore[arg-type]
    if kind == "notice":
        channels: list[int] = list(entry.get("channels", ()))  # type: ignore[call-overload]
        return Notice(**entry | {"channels": tuple(channels)})  # type: ignore[arg-type]
    if kind == "correction":
        return Correction(**entry)  # type: ignore[arg-type]
    if kind == "end":
        return End()
    raise ValueError(f"an event {kind!r} is not known")
