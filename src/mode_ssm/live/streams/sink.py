"""A sink that writes to a Redis stream, each message an entry."""

import json

from mode_ssm.live.sinks import Message, Signal
from mode_ssm.live.streams.background import BackgroundWriter
from mode_ssm.live.streams.entries import written_now
from mode_ssm.live.streams.server import Server


class RedisSink:
    """Adds each message, in order.

    An entry has `type`, `message` (the message as JSON) and `ts` (nanoseconds of this computer's monotonic clock, as
    uint64). While the server is away messages are kept, and added when it is there again.

    Args:
        server, stream: where to.

    Raises:
        InputError: when no server answers, or something else than a stream has the name.
    """

    def __init__(self, server: Server, stream: str) -> None:
        self._writer, self._stream = BackgroundWriter(server, stream), stream

    def tell(self, message: Message) -> None:
        text = json.dumps(message, ensure_ascii=False)
        entry = {"type": str(message["type"]), "message": text, "ts": written_now()}
        self._writer.do(lambda client: client.xadd(self._stream, dict[object, object](entry)))  # type: ignore[arg-type]

    def show(self, signal: Signal) -> None:
        """Nothing: features are in a stream already, and messages hold what was decoded."""

    def close(self) -> None:
        self._writer.close()
