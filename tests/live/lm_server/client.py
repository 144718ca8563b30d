"""A client of the NEJM language model: its sequence of requests and what it waits for, written from the protocol."""

import time
from typing import NamedTuple

import numpy as np
from redis import Redis

from tests.live.redis_rig import PATIENCE


class Final(NamedTuple):
    sentence: str
    candidates: list[tuple[str, float, float, float, float]]  # sentence; acoustic, n-gram, LLM and total scores
    context: str


class Client:
    """Waits for one answer to each request, from the last entry that it saw of a stream."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        seconds, micros = redis.time()
        self._seen: dict[str, str | bytes] = {}
        self._start = str(seconds * 1000 + micros // 1000)

    def reset(self) -> None:
        self._redis.xadd("remote_lm_reset", {"done": 0})
        assert self._answer("remote_lm_done_resetting") == {b"done": b"1"}

    def update(self, **parameters: object) -> None:
        self._redis.xadd("remote_lm_update_params", {name: str(value) for name, value in parameters.items()})
        assert self._answer("remote_lm_done_updating_params") == {b"done": b"1"}

    def partial(self, logits: np.ndarray) -> str:
        self._redis.xadd("remote_lm_input", {"logits": np.float32(logits).tobytes()})
        return self.partial_answer()

    def partial_answer(self) -> str:
        return self._answer("remote_lm_output_partial")[b"lm_response_partial"].decode()

    def finalize(self) -> Final:
        self._redis.xadd("remote_lm_finalize", {"done": 0})
        told = self._answer("remote_lm_output_final")
        assert self._answer("remote_lm_done_finalizing") == {b"done": b"1"}
        parts = told[b"scoring"].decode().split(";")
        scores = [[float(score) for score in parts[place::5]] for place in (1, 2, 3, 4)]
        candidates = list(zip(parts[::5], *scores, strict=False))
        return Final(told[b"lm_response_final"].decode(), candidates, told[b"context_str"].decode())

    def in_force(self) -> dict[bytes, bytes]:
        for _ in range(100):
            if entries := self._redis.xrevrange("remote_lm_args", count=1):
                return entries[0][1]
            time.sleep(0.05)
        raise AssertionError("no parameters stand in remote_lm_args")

    def _answer(self, stream: str) -> dict[bytes, bytes]:
        after = self._seen.get(stream, self._start)
        for _ in range(PATIENCE):  # a second each, so that no socket times out where the machine is busy
            if found := self._redis.xread({stream: after}, block=1000, count=1):
                break
        else:
            raise AssertionError(f"no answer on {stream} in {PATIENCE} s")
        ((_, ((number, fields),)),) = found
        self._seen[stream] = number
        return fields
