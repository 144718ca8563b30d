"""A sink that a browser watches: one page, and a stream of server-sent events, on the loopback address alone."""

import asyncio
import json
import secrets
import threading
from concurrent.futures import Future
from importlib.resources import files
from typing import Any

import numpy as np
from aiohttp import web

from mode_ssm.errors import InputError
from mode_ssm.live.desk import Desk, Press
from mode_ssm.live.events import Floats
from mode_ssm.live.page.asking import HOST, LARGEST, Sentences, asked, same_machine
from mode_ssm.live.page.view import View
from mode_ssm.live.sinks import Message, Signal

WAITING = 256  # events kept for a browser that is slow; one that falls further behind loses signals
LIKELIEST = 5  # classes shown by name
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class PageSink:
    """Serves the page until it is closed. What is asked on it goes to the desk.

    Args:
        port: on the loopback address; 0 = any that is free.
        view: what is drawn.
        desk: takes corrections and the button to talk, which is let go when the last browser leaves.

    Attributes:
        url: where a browser finds it.

    Raises:
        InputError: when the port is taken.
    """

    def __init__(self, port: int, view: View, desk: Desk) -> None:
        self._view, self._desk, self._run = view, desk, secrets.token_hex(8)
        self._down = False  # the button
        self._lasting: dict[str, Message] = {}  # alarms and the lock, the newest of each
        self._trial: dict[str, Message] = {}  # what is under way, in the order in which a browser must be told
        self._corrections: list[Message] = []  # since it began
        self._sentences = Sentences()
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
        told: Message = {"type": "signal", "likely": [], "posteriors": []}
        if signal.posteriors is not None:
            posteriors = np.exp(signal.posteriors)
            told |= {"likely": self._likeliest(posteriors), "posteriors": _bytes(255 * posteriors)}
        self.tell(told | {"features": _bytes(np.nan_to_num(signal.features) * 32 + 128)})

    def close(self) -> None:
        if self._loop.is_running():
            self._in_loop(self._end()).result()
            self._stop_loop()

    def _likeliest(self, posteriors: Floats) -> list[tuple[str, float]]:
        order = np.argsort(-posteriors)[:LIKELIEST]
        return [(self._view.symbols[place], round(float(posteriors[place]), 3)) for place in order]

    async def _start(self, port: int) -> int:
        app = web.Application(client_max_size=LARGEST)
        app.add_routes([web.get("/", self._page), web.get("/events", self._events)])
        app.add_routes([web.post("/talk", self._talk), web.post("/correct", self._correct)])
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
        same_machine(request)
        page = files("mode_ssm.live.page").joinpath("page.html").read_text(encoding="utf-8")
        return web.Response(text=page, content_type="text/html", headers=HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        same_machine(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **HEADERS})
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        for message in self._so_far():
            queue.put_nowait(_event(message))
        self._browsers.add(queue)
        try:
            while event := await queue.get():
                await response.write(event.encode())
        except ConnectionResetError:
            pass  # the browser went away
        finally:
            self._browsers.discard(queue)
            if not self._browsers:
                self._press(down=False)
        return response

    def _so_far(self) -> list[Message]:
        """What a browser must be told first."""
        view = self._view._asdict() | {"panels": [panel._asdict() for panel in self._view.panels]}
        first: list[Message] = [{"type": "view", "run": self._run, **view}, {"type": "talk", "down": self._down}]
        return [*first, *self._lasting.values(), *self._trial.values(), *self._corrections]

    async def _talk(self, request: web.Request) -> web.Response:
        down = (await asked(request, self._run)).get("down")
        if not self._view.button:
            raise web.HTTPConflict(text="Who speaks when is not said here; talk=button would let the page say it.")
        if not isinstance(down, bool):
            raise web.HTTPBadRequest(text="The button is down: true or false.")
        self._press(down=down)
        return web.Response(status=204)

    async def _correct(self, request: web.Request) -> web.Response:
        self._desk.ask(self._sentences.correction(await asked(request, self._run)))
        return web.Response(status=204)

    def _press(self, *, down: bool) -> None:
        if down != self._down:
            self._down = down
            self._desk.ask(Press(down))
            self._publish({"type": "talk", "down": down})

    def _publish(self, message: Message) -> None:
        """In the loop's thread."""
        kind = message["type"]
        self._remember(kind, message)
        event = _event(message)
        for queue in self._browsers:
            if kind != "signal" or queue.qsize() < WAITING:
                queue.put_nowait(event)

    def _remember(self, kind: str, message: Message) -> None:
        if kind == "begin":
            self._trial, self._corrections = {kind: message}, []
        elif kind == "words":
            before = self._trial.get(kind, {"phonemes": []})["phonemes"]
            self._trial[kind] = message | {"phonemes": [*before, *message["phonemes"]]}
        elif kind in ("end", "sure"):
            self._trial[kind] = message
            self._sentences.add(message)
        elif kind == "correction":
            self._corrections.append(message)
        elif kind == "lock" or message.get("alarm"):
            self._lasting[str(message.get("alarm", kind))] = message

    def _in_loop(self, job: Any) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _bytes(values: Floats) -> list[int]:
    """To whole numbers from 0 to 255."""
    found: list[int] = np.clip(values, 0, 255).astype(np.uint8).tolist()
    return found


def _event(message: Message) -> str:
    return f"data: {json.dumps(message, ensure_ascii=False)}\n\n"
