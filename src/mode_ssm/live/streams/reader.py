"""New entries of Redis streams in the order in which the server took them; a server that goes away is waited for."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from redis.exceptions import ConnectionError as NotThere
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as NoAnswer

from mode_ssm.live.streams.server import check_stream

if TYPE_CHECKING:
    from redis import Redis

AWAY = (NotThere, NoAnswer, ResponseError)  # what a client raises while its server cannot be reached, or refuses
AGAIN_SECONDS = 0.25  # between tries to reach it
_FIRST = (0, 0)

EntryId = tuple[int, int]  # milliseconds of the server's clock, and a number within them


class Entry(NamedTuple):
    stream: str
    id: EntryId
    fields: Mapping[bytes, bytes]


class StreamReader:
    """Reads what is added to streams after this reader was made.

    Args:
        client: of a server that is there now.
        streams: their names; of entries with the same id, those of an earlier name come first.
        block_ms: how long a read waits for an entry.
        sleep: of the computer; a test has its own.

    Raises:
        InputError: where a name is that of something else than a stream.
    """

    def __init__(
        self,
        client: "Redis",
        streams: Sequence[str],
        block_ms: int = 1000,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._block_ms, self._sleep = client, block_ms, sleep
        self._away = False
        self._rank = {stream: place for place, stream in enumerate(streams)}
        self._last = {stream: self._newest(stream) for stream in streams}

    def read(self) -> list[Entry | str]:
        """What is new, if only after a while, and in words what happened to the server; may be empty."""
        try:
            returned: list[Entry | str] = self._begun_anew() if self._away else []
            found = self._client.xread({name: written(last) for name, last in self._last.items()}, block=self._block_ms)
            if not found:
                returned += self._begun_anew()
        except AWAY as error:
            return self._wait(error)
        if self._away:
            self._away = False
            returned.insert(0, "Redis is there again")
        entries = [
            Entry(name.decode(), _read_id(number), fields) for name, rows in cast(Any, found) for number, fields in rows
        ]
        for entry in entries:
            self._last[entry.stream] = entry.id
        return [*returned, *sorted(entries, key=lambda entry: (entry.id, self._rank[entry.stream]))]

    def _wait(self, error: Exception) -> list[Entry | str]:
        self._sleep(AGAIN_SECONDS)
        if self._away:
            return []
        self._away = True
        return [f"Redis is away or refuses ({error}); it is asked again and again"]

    def _begun_anew(self) -> list[Entry | str]:
        """Streams that were emptied, after which all their entries are new, whatever the clock of the server says."""
        said: list[Entry | str] = []
        for stream, last in self._last.items():
            if (newest := self._newest(stream)) < last:
                self._last[stream] = _FIRST
                how = "was emptied" if newest == _FIRST else "began anew, with times before those of its last entries"
                said.append(f"the stream {stream} {how}")
        return said

    def _newest(self, stream: str) -> EntryId:
        """The id of the newest entry that a stream ever had."""
        check_stream(self._client, stream)
        try:
            told = cast(Any, self._client.xinfo_stream(stream))
        except ResponseError:
            return _FIRST  # there is none
        return _read_id(told["last-generated-id"])


def newest_entry(client: "Redis", stream: str) -> Entry | None:
    """The newest entry of a stream, where it has one."""
    rows = cast(Any, client.xrevrange(stream, count=1))
    return Entry(stream, _read_id(rows[0][0]), rows[0][1]) if rows else None


def written(number: EntryId) -> str:
    """
    >>> written((1700000000000, 3))
    '1700000000000-3'
    """
    return f"{number[0]}-{number[1]}"


def _read_id(text: bytes) -> EntryId:
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number)
