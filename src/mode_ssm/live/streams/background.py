"""Writing to a Redis server from a thread of its own, so that a slow or absent one delays no decoding."""

import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from mode_ssm.live.streams.server import Server

if TYPE_CHECKING:
    from redis import Redis

WAITING = 20_000  # jobs kept for a server that is away: about half an hour of speech
_AGAIN_SECONDS = 0.25
_CLOSING_SECONDS = 3.0

Job = Callable[["Redis"], object]


class BackgroundWriter:
    """Does jobs in order, each until the server has taken it.

    What is more than WAITING, or left when the writer is closed, is counted and said.

    Args:
        server, stream: where to.

    Raises:
        InputError: when no server answers, or something else than a stream has the name.
    """

    def __init__(self, server: Server, stream: str) -> None:
        self._client, self._server, self._stream = server.answering(stream), server, stream
        self._waiting: queue.Queue[Job | None] = queue.Queue()
        self._lost = 0
        self._until = float("inf")  # when no job is tried again
        self._thread = threading.Thread(target=self._work, name=f"writes {stream}", daemon=True)
        self._thread.start()

    def do(self, job: Job) -> None:
        if self._waiting.qsize() >= WAITING:
            self._lost += 1
        else:
            self._waiting.put(job)

    def close(self) -> None:
        self._until = time.monotonic() + _CLOSING_SECONDS
        self._waiting.put(None)
        self._thread.join()
        if self._lost:
            self._say(f"{self._lost} messages never reached it")
        self._client.close()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            if not self._done(job):
                self._lost += 1

    def _done(self, job: Job) -> bool:
        """Whether it was, after as many tries as it takes; False when the writer was closed meanwhile."""
        away = False
        while time.monotonic() < self._until:
            try:
                job(self._client)
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
