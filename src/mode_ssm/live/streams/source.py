"""A source that follows a BRAND stream of features and the states of its task."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from mode_ssm.config import RedisConfig
from mode_ssm.live.events import Begin, Event, Frames, Notice
from mode_ssm.live.incoming import Numbered, Silence
from mode_ssm.live.streams.entries import read_count, read_frame, read_seconds
from mode_ssm.live.streams.numbers import FrameNumbers
from mode_ssm.live.streams.reader import AWAY, Entry, StreamReader, newest_entry
from mode_ssm.live.streams.server import Server
from mode_ssm.live.streams.tasks import TaskStates

if TYPE_CHECKING:
    from redis import Redis


class RedisSource:
    """Frames of a stream, each an entry, while the task is in a state in which one speaks; it never ends by itself.

    Args:
        server: where the streams are.
        stream: of features.
        config: names of fields and streams.

    Attributes:
        newest: the entry of the frame that was given last, for messages about it.

    Raises:
        InputError: when no server answers, or a name is that of something else.
    """

    def __init__(self, server: Server, stream: str, config: RedisConfig) -> None:
        self._stream, self._config = stream, config
        self._states = config.task_state if config.task_state_key is None else None
        streams = [name for name in (self._states, stream) if name is not None]
        self._client: Redis = server.answering(*streams)
        self._reader = StreamReader(self._client, streams)
        self._state = None if self._states is None else newest_entry(self._client, self._states)
        self._tasks = TaskStates(config.speaking, config.session)
        self._numbers = FrameNumbers(config.sync_step)
        self._silence, self._counted = Silence(stream), False
        self._trial: Begin | None = None  # of the newest frame
        self.newest: Entry | None = None

    @property
    def sync(self) -> bytes:
        """What the newest frame had as sync."""
        return b"" if self.newest is None else self.newest.fields.get(self._field(self._config.sync), b"")

    def __iter__(self) -> Iterator[Event]:
        try:
            yield from self._first()
            yield from self._follow()
        finally:
            self._client.close()

    def _follow(self) -> Iterator[Event]:
        while True:
            read = self._reader.read()
            came = any(isinstance(found, Entry) and found.stream == self._stream for found in read)
            quiet = self._silence.after(came, self._tasks.begun is not None)
            if quiet is not None:
                yield self._notice(quiet)
            if self._config.task_state_key is not None:
                yield from self._keyed(self._config.task_state_key)
            for found in read:
                if isinstance(found, str):
                    yield self._notice(found)
                elif found.stream == self._stream:
                    yield from self._frame(found)
                else:
                    yield from self._tasks.take(found.fields)

    def _first(self) -> Iterator[Event]:
        """The state in which the task was when this was made; without a task, someone may always speak."""
        if self._states is not None:
            yield from self._tasks.take({} if self._state is None else self._state.fields)
        elif self._config.task_state_key is None:
            self._tasks.begun = Begin(self._config.session)
            yield self._tasks.begun

    def _keyed(self, key: str) -> Iterator[Event]:
        """The state that stands in a key."""
        try:
            state = cast(bytes | None, self._client.get(key))
        except AWAY:
            return  # which the reader says
        if state is not None:
            yield from self._tasks.take({b"state": state})

    def _frame(self, entry: Entry) -> Iterator[Event]:
        numbered = self._number(entry)
        if isinstance(numbered, str):
            yield self._notice(numbered)
            return
        yield from numbered.notices(self._trial if self._trial is self._tasks.begun else None)
        self._trial = self._tasks.begun
        if self._trial is None:
            return
        self.newest = entry
        seconds = read_seconds(entry.fields.get(self._field(self._config.ts), b""))
        features = read_frame(entry.fields.get(self._field(self._config.samples), b""))
        yield Frames(numbered.number, entry.id[0] / 1000 if seconds is None else seconds, features)

    def _number(self, entry: Entry) -> Numbered | str:
        """The frame's number, or why it has none."""
        if self._config.sync is None:
            return self._numbers.following()
        count = read_count(entry.fields.get(self._field(self._config.sync), b""))
        if count is not None:
            self._counted = True
            return self._numbers.of(count)
        if self._counted:
            return f"an entry has no count in {self._config.sync}, so its time is not known; left out"
        first = self._numbers.newest < 0
        said = f"entries have no count in {self._config.sync}; they are counted as they come, so none is missed"
        return self._numbers.following()._replace(said=said if first else None)

    def _notice(self, text: str) -> Notice:
        return Notice(self._numbers.newest, text)

    def _field(self, name: str | None) -> bytes:
        return (name or "").encode()
