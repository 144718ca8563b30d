"""What a browser may ask of the decoder, and who may ask: the page itself, on this machine."""

import json
import unicodedata
from collections import OrderedDict
from typing import Any

from aiohttp import web

from mode_ssm.live.events import Correction
from mode_ssm.live.sinks import Message

HOST = "127.0.0.1"
LARGEST = 4096  # bytes of a request
LONGEST = 60  # letters of a correction
KEPT = 100  # sentences that can be corrected


def same_machine(request: web.Request) -> None:
    """A page of another name cannot read this one through the browser (DNS rebinding)."""
    if (request.host or "").rsplit(":", 1)[0] not in (HOST, "localhost"):
        raise web.HTTPForbidden(text="This page is served to this machine alone.")


async def asked(request: web.Request, run: str) -> dict[str, Any]:
    """The JSON object of a request that this page made.

    A page of another origin can send one through the browser: what it sends has its own Origin, or a type that a
    browser lets no other page send.

    Raises:
        web.HTTPException: for another origin, a page of an earlier run, or what is no such object.
    """
    same_machine(request)
    if request.headers.get("Origin") != f"http://{request.host}" or request.content_type != "application/json":
        raise web.HTTPForbidden(text="Only the page itself may ask for this.")
    try:
        body = json.loads(await request.text())
    except ValueError:
        raise web.HTTPBadRequest(text="This is no JSON.") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="This is no JSON object.")
    if body.get("run") != run:
        raise web.HTTPConflict(text="The decoder was started again since this page was loaded; load it again.")
    return body


class Sentences:
    """The newest sentences that were told, so that a correction names a word of one."""

    def __init__(self) -> None:
        self._told: OrderedDict[int, list[str]] = OrderedDict()  # by the frame of their message

    def add(self, end: Message) -> None:
        if end.get("words"):
            self._told[end["frame"]] = list(end["words"])
            while len(self._told) > KEPT:
                self._told.popitem(last=False)

    def correction(self, body: dict[str, Any]) -> Correction:
        """
        Raises:
            web.HTTPException: where it names no word that was told, or nothing to put in its place.
        """
        end, place, by = body.get("end"), body.get("place"), body.get("by")
        if type(end) is not int or type(place) is not int or not isinstance(by, str):
            raise web.HTTPBadRequest(text="A correction has end, place and by.")
        words = self._told.get(end, [])
        if not 0 <= place < len(words):
            raise web.HTTPConflict(text="There is no such word among the newest sentences.")
        text = " ".join(by.split())
        if len(text) > LONGEST or any(unicodedata.category(letter).startswith("C") for letter in text):
            raise web.HTTPBadRequest(text=f"A correction has at most {LONGEST} letters, and no control characters.")
        return Correction(end, place, words[place], text)
