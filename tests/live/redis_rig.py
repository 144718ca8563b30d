"""A real redis-server on a free port, and a rig that writes to it as BRAND's nodes do."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
from redis import Redis
from redis.exceptions import RedisError

from mode_ssm.live.streams.server import Server

REDIS = shutil.which("redis-server")
PATIENCE = 300  # seconds for what a busy machine does in a few
FEATURES, STATES = "binnedFeatures_20ms", "task_state"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class RedisProcess:
    """A server that keeps nothing on the disk, so that a killed one has lost everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.socket = folder / "redis.sock"
        for _ in range(20):  # another process may take the port that was free
            self.port = _free_port()
            if self._started():
                return
        raise AssertionError("redis-server ended as soon as it was started, twenty times")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port)

    def start(self) -> None:
        """On the port that it had, which another process may have for a moment."""
        deadline = time.monotonic() + PATIENCE
        while not self._started():
            assert time.monotonic() < deadline, f"redis-server did not start on port {self.port}"
            time.sleep(0.2)

    def _started(self) -> bool:
        """Whether it answers; False where it ended at once."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        options += ["--unixsocket", str(self.socket)]
        self._process = subprocess.Popen([str(REDIS), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with Redis(unix_socket_path=str(self.socket), protocol=2) as mine:  # the port may be another server's
            while self._process.poll() is None:
                try:
                    mine.ping()
                except RedisError:
                    time.sleep(0.02)
                else:
                    self.client = Redis(port=self.port, protocol=2)
                    return True
        return False

    def kill(self) -> None:
        """As kill -9 does."""
        self.client.close()
        self._process.kill()
        self._process.wait()


class Rig:
    """Writes frames and states as BRAND's nodes do."""

    def __init__(self, process: RedisProcess, step: int = 600) -> None:
        self._process, self._step = process, step
        self.frames = 0  # so far, those that were lost included

    def state(self, state: str, **fields: str) -> None:
        time.sleep(0.002)  # entries of one millisecond have no order between streams
        self._process.client.xadd(STATES, {"state": state, **fields})
        time.sleep(0.002)

    def frame(self, features: np.ndarray, number: int | None = None) -> None:
        number = self.frames if number is None else number
        entry = {
            "samples": np.asarray(features, dtype="<f4").tobytes(),
            "sync": json.dumps({"nsp": 30_000 + self._step * number}),
            "ts": np.uint64(1_000_000_000 + 20_000_000 * (number + 1)).tobytes(),
        }
        self._process.client.xadd(FEATURES, entry)
        self.frames = max(self.frames, number + 1)

    def add(self, **fields: bytes | str) -> None:
        self._process.client.xadd(FEATURES, fields)  # type: ignore[arg-type]
