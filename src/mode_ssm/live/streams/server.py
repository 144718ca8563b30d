"""Where a Redis server is, and a client that says at once when it is not there."""

import re
from typing import TYPE_CHECKING, NamedTuple, cast

from mode_ssm.errors import InputError

if TYPE_CHECKING:
    from redis import Redis

_ANSWER_SECONDS = 5.0  # beyond what a command may block, after which a server counts as gone


class Server(NamedTuple):
    """Its address; a socket goes before host and port."""

    host: str
    port: int
    socket: str | None = None

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"

    def client(self) -> "Redis":
        """A client that connects with its first command, and anew after each failure; it never tries twice itself."""
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis(
            host=self.host,
            port=self.port,
            unix_socket_path=self.socket,
            protocol=2,
            socket_connect_timeout=_ANSWER_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def answering(self, *streams: str) -> "Redis":
        """A client of a server that is there, for streams that may yet have to be written.

        Raises:
            InputError: when it is not there, or something else than a stream has such a name.
        """
        from redis.exceptions import RedisError

        client = self.client()
        try:
            client.ping()
            for stream in streams:
                check_stream(client, stream)
        except RedisError as error:
            raise InputError(f"No Redis server answers at {self} ({error}); start one, or give its address.") from None
        except InputError:
            client.close()
            raise
        return client


def check_stream(client: "Redis", name: str) -> None:
    """
    Raises:
        InputError: where something else than a stream has that name.
    """
    kind = cast(bytes, client.type(name)).decode()
    if kind not in ("stream", "none"):
        raise InputError(f"{name} is a {kind} in Redis, not a stream; give the name of a stream.")


def read_address(text: str) -> Server:
    """`HOST:PORT` of a server.

    Raises:
        InputError: when it is none.

    >>> str(read_address("localhost:6379"))
    'localhost:6379'
    """
    found = re.fullmatch(r"(?:redis://)?([^/:\s]+|\[[0-9a-fA-F:]+\]):(\d{1,5})/?", text)
    if found is None or not 0 < int(found[2]) < 65536:
        raise InputError(f"redis={text} is no address of a server; give HOST:PORT, such as localhost:6379.")
    return Server(found[1].strip("[]"), int(found[2]))


def read_stream_address(text: str) -> tuple[Server, str]:
    """The server and the name of the stream in `redis://HOST:PORT/STREAM`.

    Raises:
        InputError: when it is none.

    >>> read_stream_address("redis://localhost:6379/words")[1]
    'words'
    """
    found = re.fullmatch(r"redis://([^/]+)/(\S+)", text)
    if found is None:
        raise InputError(
            f"{text} names no stream; give redis://HOST:PORT/STREAM, such as redis://localhost:6379/words."
        )
    return read_address(found[1]), found[2]
