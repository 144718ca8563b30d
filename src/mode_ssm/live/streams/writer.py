"""Entries added to Redis streams, and other commands, for as long as it takes while the server is away."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mode_ssm.live.streams.reader import AGAIN_SECONDS, AWAY

if TYPE_CHECKING:
    from redis import Redis

Answer = TypeVar("Answer")


def patiently(command: Callable[[], Answer], say: Callable[[str], None]) -> Answer:
    """What a command of a client returns, when its server is there; says so once where it is not."""
    away = False
    while True:
        try:
            return command()
        except AWAY as error:
            if not away:
                say(f"Redis is away or refuses ({error}); it is asked again and again")
            away = True
            time.sleep(AGAIN_SECONDS)


def add(client: "Redis", stream: str, fields: Mapping[Any, Any], say: Callable[[str], None]) -> None:
    """Add an entry, however long it takes."""
    patiently(lambda: client.xadd(stream, dict(fields)), say)
