"""A sink that a browser watches: one page, and a stream of server-sent events, on the loopback address alone."""

import asyncio
import json
import threading
from concurrent.futures import Future
from importlib.resources import files
from typing import Any

import numpy as np
from aiohttp import web

from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.live.events import Floats
from mode_ssm.live.sinks import Message, Signal

HOST = "127.0.0.1"
WAITING = 256  # events kept for a browser that is slow; one that falls further behind loses signals, then begins anew
LIKELIEST = 5  # classes shown
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class PageSink:
    """Serves the page until it is closed.

    Args:
        port: on the loopback address; 0 = any that is free.
        labels: names of the classes.

    Attributes:
        url: where a browser finds it.

    Raises:
        InputError: when the port is taken.
    """

    def __init__(self, port: int, labels: Labels) -> None:
        self._names = labels.symbols
        self._state: list[Message] = []  # of the trial that is under way, for a browser that comes later
        self._browsers: set[asyncio.Queue[str]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="live page", daemon=True)
        self._thread.start()
        self._runner: web.AppRunner | None = None
        try:
            bound = self._in_loop(self._start(port)).result()
        except OSError as error:
            self._stop_loop()
            raise InputError(
                f"sink=page:{port} cannot be served ({error.strerror}); give another port, or page:0 for a free one."
            ) from None
        self.url = f"http://{HOST}:{bound}/"

    def tell(self, message: Message) -> None:
        self._loop.call_soon_threadsafe(self._publish, message)

    def show(self, signal: Signal) -> None:
        likely = [] if signal.posteriors is None else self._likeliest(np.exp(signal.posteriors))
        features = np.clip(np.nan_to_num(signal.features) * 32 + 128, 0, 255).astype(np.uint8)
        self.tell({"type": "signal", "likely": likely, "features": features.tolist()})

    def close(self) -> None:
        if self._loop.is_running():
            self._in_loop(self._end()).result()
            self._stop_loop()

    def _likeliest(self, posteriors: Floats) -> list[tuple[str, float]]:
        order = np.argsort(-posteriors)[:LIKELIEST]
        return [(self._names[place], round(float(posteriors[place]), 3)) for place in order]

    async def _start(self, port: int) -> int:
        app = web.Application()
        app.add_routes([web.get("/", self._page), web.get("/events", self._events)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        await site.start()
        address: tuple[Any, ...] = self._runner.addresses[0]
        return int(address[1])

    async def _end(self) -> None:
        for queue in self._browsers:
            queue.put_nowait("")
        if self._runner is not None:
            await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        _same_machine(request)
        page = files("mode_ssm.live.page").joinpath("page.html").read_text(encoding="utf-8")
        return web.Response(text=page, content_type="text/html", headers=HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        _same_machine(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **HEADERS})
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        for message in self._state:
            queue.put_nowait(_event(message))
        self._browsers.add(queue)
        try:
            while event := await queue.get():
                await response.write(event.encode())
        except ConnectionResetError:
            pass  # the browser went away
        finally:
            self._browsers.discard(queue)
        return response

    def _publish(self, message: Message) -> None:
        """In the loop's thread."""
        kind = message["type"]
        if kind == "begin":
            self._state = [message]
        elif kind in ("words", "end"):
            self._state.append(message)
        event = _event(message)
        for queue in self._browsers:
            if kind != "signal" or queue.qsize() < WAITING:
                queue.put_nowait(event)

    def _in_loop(self, job: Any) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _event(message: Message) -> str:
    return f"data: {json.dumps(message, ensure_ascii=False)}\n\n"


def _same_machine(request: web.Request) -> None:
    """A page of another name cannot read this one through the browser (DNS rebinding)."""
    if (request.host or "").rsplit(":", 1)[0] not in (HOST, "localhost"):
        raise web.HTTPForbidden(text="This page is served to this machine alone.")
