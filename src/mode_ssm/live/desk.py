"""Where a page puts what its user asks for, and how that comes between the events of a source."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, Queue
from typing import NamedTuple

from mode_ssm.live.events import Correction, Event

_AHEAD = 64  # events that a source may be ahead of who takes them


class Press(NamedTuple):
    """The button to talk was pressed, or let go."""

    down: bool


class Desk:
    """Takes what is asked in any thread, and gives it in the one that decodes, without waiting for the source."""

    def __init__(self) -> None:
        self._waiting: Queue[tuple[Event | Press | None, bool]] = Queue()  # and whether it is the source's
        self._room = threading.Semaphore(_AHEAD)
        self._closed = False

    def ask(self, what: Press | Correction) -> None:
        self._waiting.put((what, False))

    def joined(self, source: Iterable[Event]) -> Iterator[Event | Press]:
        """The events of a source, read in a thread of its own, and what is asked meanwhile."""
        over: Future[None] = Future()
        threading.Thread(target=self._read, args=(source, over), name="live source", daemon=True).start()
        while True:
            event, of_source = self._waiting.get()
            if of_source:
                self._room.release()
            if event is not None:
                yield event
                continue
            over.result()
            yield from self._asked_last()
            return

    def close(self) -> None:
        """The source is read no further."""
        self._closed = True
        self._room.release()

    def _asked_last(self) -> Iterator[Event | Press]:
        while True:
            try:
                event, _ = self._waiting.get_nowait()
            except Empty:
                return
            if event is not None:
                yield event

    def _read(self, source: Iterable[Event], over: "Future[None]") -> None:
        try:
            for event in source:
                self._room.acquire()
                if self._closed:
                    break
                self._waiting.put((event, True))
        except BaseException as error:
            over.set_exception(error)  # which is raised where the events are taken
        else:
            over.set_result(None)
        self._waiting.put((None, True))
