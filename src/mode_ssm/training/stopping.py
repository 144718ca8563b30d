"""SIGTERM and Ctrl-C as a request that the loop reads between updates; a second Ctrl-C stops at once."""

import signal
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Within `with StopRequest() as stop:`, `stop.requested` turns true on SIGTERM or Ctrl-C."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
