"""A laboratory that sends frames, and says when someone speaks, over Redis or LSL, here or in a process.

    python -m tests.live.laboratory_process redis PORT FEATURES.npy
    python -m tests.live.laboratory_process lsl NAME FEATURES.npy

The process does what each line of its input says (begin, end and frames, each with FIRST COUNT NUMBER;
wait for a reader; now) and answers with the number of now.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import numpy as np

from mode_ssm.config import LslConfig, RedisConfig
from mode_ssm.live.events import LiveSource
from tests.live.redis_rig import FEATURES, STATES


class Laboratory(Protocol):
    def source(self, channels: int) -> LiveSource: ...

    def now(self) -> int:
        """A number for the first frame of a trial of two seconds that was just said."""

    def begin(self, number: int) -> None: ...

    def end(self, number: int) -> None: ...

    def frame(self, number: int, features: np.ndarray) -> None: ...


class OverRedis:
    def __init__(self, port: int) -> None:
        from redis import Redis

        self.port = port
        self._client = Redis(port=port, protocol=2)
        self._start = time.monotonic()

    def source(self, channels: int) -> LiveSource:
        from mode_ssm.live.streams.server import Server
        from mode_ssm.live.streams.source import RedisSource

        return RedisSource(Server("127.0.0.1", self.port), FEATURES, RedisConfig(sync_step=600))

    def now(self) -> int:
        return 3000 + int((time.monotonic() - self._start) / 0.02)

    def begin(self, number: int) -> None:
        self._state("go")

    def end(self, number: int) -> None:
        self._state("freeze")

    def _state(self, state: str) -> None:
        time.sleep(0.003)  # entries of one millisecond have no order between streams
        self._client.xadd(STATES, {"state": state})
        time.sleep(0.003)

    def frame(self, number: int, features: np.ndarray) -> None:
        entry = {"samples": np.asarray(features, dtype="<f4").tobytes(), "sync": json.dumps({"nsp": 600 * number})}
        self._client.xadd(FEATURES, entry)


class OverLsl:
    def __init__(self, name: str, channels: int) -> None:
        from tests.live.lsl_rig import Amplifier, Marks

        self.name = name
        self._amplifier, self._marks = Amplifier(name, channels), Marks(f"{name} marks")
        self._amplifier.start -= 50.0  # so that 30 s without data are over

    def source(self, channels: int) -> LiveSource:
        from mode_ssm.live.lsl.source import LslSource

        source = LslSource(self.name, channels, LslConfig(markers=f"{self.name} marks"))
        self.wait_for_reader()
        return source

    def wait_for_reader(self) -> None:
        self._amplifier.wait_for_reader()
        self._marks.wait_for_reader()

    def now(self) -> int:
        return self._amplifier.number_now() - 100

    def begin(self, number: int) -> None:
        self._marks.mark("begin", self._amplifier.time(number) - 0.01)

    def end(self, number: int) -> None:
        self._marks.mark("end", self._amplifier.time(number) - 0.01)

    def frame(self, number: int, features: np.ndarray) -> None:
        self._amplifier.frame(number, features)


class LaboratoryProcess:
    """One in a process of its own."""

    def __init__(self, over: str, place: str, features: Path) -> None:
        self.over, self.place = over, place
        command = [sys.executable, "-m", "tests.live.laboratory_process", over, place, str(features)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.do("now")

    def do(self, command: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process has ended"
        return int(answer)

    def kill(self) -> None:
        """As kill -9 does."""
        self._process.kill()
        self._process.communicate()


def main(over: str, place: str, file: str) -> None:
    features = np.load(file)
    there = OverRedis(int(place)) if over == "redis" else OverLsl(place, features.shape[1])
    for line in sys.stdin:
        what, *numbers = line.split()
        first, count, number = map(int, numbers or (0, 0, 0))
        if what == "wait" and isinstance(there, OverLsl):
            there.wait_for_reader()
        elif what == "begin":
            there.begin(number)
        elif what == "end":
            there.end(number)
        elif what == "frames":
            for place_of in range(count):
                there.frame(number + place_of, features[first + place_of])
        print(there.now(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
