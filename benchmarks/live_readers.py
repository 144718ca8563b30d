"""Messages of `mode-ssm live` as another process reads them, over Redis or LSL, each with the time at which it came."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

from live_feeder import Names
from redis import Redis

_NOTHING = "No message came for a minute."


class Reader(Protocol):
    def __init__(self, names: Names) -> None: ...

    def read(self) -> Iterator[tuple[dict[str, Any], float]]:
        """Messages that came, and when on the clock of the frames' times."""


class RedisReader:
    """Keeps the streams short, as a rig's supervisor does."""

    def __init__(self, names: Names) -> None:
        self._client, self._names, self._after = Redis(port=names.port, protocol=2), names, "0-0"

    def read(self) -> Iterator[tuple[dict[str, Any], float]]:
        for _ in range(60):
            found: Any = self._client.xread({"words": self._after}, block=1000)
            if found:
                break
        else:
            sys.exit(_NOTHING)
        now = time.monotonic()
        for number, fields in found[0][1]:
            self._after = number
            yield json.loads(fields[b"message"]), now
        self._client.xtrim("words", maxlen=1000)
        self._client.xtrim(self._names.features, maxlen=3000)


class LslReader:
    """Reads the stream of words."""

    def __init__(self, names: Names) -> None:
        import pylsl

        name = f"words {names.features.split()[-1]}_words"
        found = pylsl.resolve_byprop("name", name, 1, 30.0)
        if not found:
            sys.exit(f"There is no LSL stream {name}.")
        self._clock = pylsl.local_clock
        self._inlet = pylsl.StreamInlet(found[0])
        self._inlet.open_stream(30.0)

    def read(self) -> Iterator[tuple[dict[str, Any], float]]:
        messages, _ = self._inlet.pull_chunk(60.0, 500, min_samples=1)
        if not messages:
            sys.exit(_NOTHING)
        now = self._clock()
        for (text,) in messages:
            yield json.loads(text), now
