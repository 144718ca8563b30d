"""Sources and sinks by their addresses; redis-py is asked for here alone, and said where it is not installed."""

from importlib.util import find_spec

from mode_ssm.config import RedisConfig
from mode_ssm.errors import InputError
from mode_ssm.live.events import LiveSource
from mode_ssm.live.sinks import Sink
from mode_ssm.live.streams.server import read_stream_address


def require_redis() -> None:
    """
    Raises:
        InputError: where redis-py is not installed.
    """
    if find_spec("redis") is None:
        raise InputError("Redis needs the Python package redis, which is not installed: pip install 'mode-ssm[redis]'.")


def open_source(address: str, config: RedisConfig) -> LiveSource:
    """What follows redis://HOST:PORT/STREAM.

    Raises:
        InputError: for another form, no server there, or no redis-py.
    """
    server, stream = read_stream_address(address)
    require_redis()
    from mode_ssm.live.streams.source import RedisSource

    source = RedisSource(server, stream, config)
    print(f"Source: {address}, from here on", flush=True)
    return source


def open_sink(address: str) -> Sink:
    """What writes to redis://HOST:PORT/STREAM.

    Raises:
        InputError: as open_source.
    """
    server, stream = read_stream_address(address)
    require_redis()
    from mode_ssm.live.streams.sink import RedisSink

    return RedisSink(server, stream)
