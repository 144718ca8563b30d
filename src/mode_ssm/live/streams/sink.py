"""A sink that writes to a Redis stream, each message an entry."""

import json
import queue
import sys
import threading
import time

import numpy as np
from redis.exceptions import RedisError

from mode_ssm.live.sinks import Message, Signal
from mode_ssm.live.streams.server import Server

WAITING = 20_000  # messages kept for a server that is away: about half an hour of speech
_AGAIN_SECONDS = 0.25
_CLOSING_SECONDS = 3.0


class RedisSink:
    """Adds each message in order, from a thread of its own, so that a slow or absent server delays no decoding.

    An entry has `type`, `message` (the message as JSON) and `ts` (nanoseconds of this computer's monotonic clock, as
    uint64). While the server is away messages are kept, and added when it is there again; what is more than WAITING,
    or left when the sink is closed, is counted and said.

    Args:
        server, stream: where to.

    Raises:
        InputError: when no server answers, or something else than a stream has the name.
    """

    def __init__(self, server: Server, stream: str) -> None:
        self._client, self._server, self._stream = server.answering(stream), server, stream
        self._waiting: queue.Queue[dict[str, str | bytes] | None] = queue.Queue()
        self._lost = 0
        self._until = float("inf")  # when no message is tried again
        self._thread = threading.Thread(target=self._write, name=f"sink {stream}", daemon=True)
        self._thread.start()

    def tell(self, message: Message) -> None:
        if self._waiting.qsize() >= WAITING:
            self._lost += 1
            return
        ts = np.uint64(time.monotonic_ns()).tobytes()
        text = json.dumps(message, ensure_ascii=False)
        self._waiting.put({"type": message["type"], "message": text, "ts": ts})

    def show(self, signal: Signal) -> None:
        """Nothing: features are in a stream already, and messages hold what was decoded."""

    def close(self) -> None:
        self._until = time.monotonic() + _CLOSING_SECONDS
        self._waiting.put(None)
        self._thread.join()
        if self._lost:
            self._say(f"{self._lost} messages never reached it")
        self._client.close()

    def _write(self) -> None:
        while (entry := self._waiting.get()) is not None:
            if not self._added(entry):
                self._lost += 1

    def _added(self, entry: dict[str, str | bytes]) -> bool:
        """Whether it was, after as many tries as it takes; False when the sink was closed meanwhile."""
        away = False
        while time.monotonic() < self._until:
            try:
                self._client.xadd(self._stream, entry)  # type: ignore[arg-type]
            except RedisError as error:
                if not away:
                    self._say(f"a message cannot be added ({error}); it waits")
                away = True
                time.sleep(_AGAIN_SECONDS)
            else:
                if away:
                    self._say("there again")
                return True
        return False

    def _say(self, text: str) -> None:
        print(f"Redis {self._server}, stream {self._stream}: {text}.", file=sys.stderr, flush=True)
