"""Messages in a stream: in order, whatever happens to the server, and never at the cost of who tells them."""

import json
import time

import numpy as np
import pytest

from mode_ssm.errors import InputError
from mode_ssm.live.streams.sink import RedisSink


def messages_of(process) -> list[dict]:
    return [json.loads(fields[b"message"]) for _, fields in process.client.xrange("words")]


def test_each_message_is_an_entry(redis_process):
    sink = RedisSink(redis_process.server, "words")
    told = [{"type": "words", "frame": n, "open": ["é"]} for n in range(5)]
    before = time.monotonic_ns()
    for message in told:
        sink.tell(message)
    sink.close()
    assert messages_of(redis_process) == told
    (_, fields), *_ = redis_process.client.xrange("words")
    assert fields[b"type"] == b"words"
    assert before <= np.frombuffer(fields[b"ts"], dtype="<u8")[0] <= time.monotonic_ns()


def test_messages_wait_for_a_server_that_was_killed(redis_process, capfd):
    sink = RedisSink(redis_process.server, "words")
    redis_process.kill()
    for number in range(3):
        started = time.monotonic()
        sink.tell({"type": "words", "frame": number})
        assert time.monotonic() - started < 1  # no try of the thread is waited for
    time.sleep(0.3)
    redis_process.start()
    sink.close()
    assert [message["frame"] for message in messages_of(redis_process)] == [0, 1, 2]
    said = capfd.readouterr().err
    assert "stream words: a message cannot be added (" in said
    assert "stream words: there again." in said


def test_messages_that_no_server_took_are_counted(redis_process, capfd, monkeypatch):
    monkeypatch.setattr("mode_ssm.live.streams.background._CLOSING_SECONDS", 0.1)
    sink = RedisSink(redis_process.server, "words")
    redis_process.kill()
    for number in range(3):
        sink.tell({"type": "words", "frame": number})
    sink.close()
    assert "stream words: 3 messages never reached it." in capfd.readouterr().err


def test_what_is_no_stream_is_refused(redis_process):
    redis_process.client.set("words", "text")
    with pytest.raises(InputError, match="words is a string in Redis, not a stream"):
        RedisSink(redis_process.server, "words")
