"""The state of a node, in the stream NICKNAME_state."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from mode_ssm.live.streams.entries import written_now
from mode_ssm.live.streams.reader import AWAY

if TYPE_CHECKING:
    from redis import Redis


class State(StrEnum):
    started = "NODE_STARTED"
    ready = "NODE_READY"
    shutdown = "NODE_SHUTDOWN"
    fatal_error = "NODE_FATAL_ERROR"
    warning = "NODE_WARNING"
    info = "NODE_INFO"


def state_stream(nickname: str) -> str:
    return f"{nickname}_state"


def state_entry(state: State, message: str) -> dict[str, str | bytes]:
    return {"status": state.value, "message": message, "ts": written_now()}


def set_state(client: "Redis", nickname: str, state: State, message: str = "") -> None:
    """Add the state to the node's stream; where the server is away, to stderr."""
    print(f"[{nickname}] {state.value} {message}".rstrip(), file=sys.stderr, flush=True)
    try:
        client.xadd(state_stream(nickname), dict[object, object](state_entry(state, message)))  # type: ignore[arg-type]
    except AWAY as error:
        print(f"[{nickname}] Redis is away ({error}).", file=sys.stderr, flush=True)
