"""`mode-ssm live` killed between trials and in one, and started again: what it wrote is kept, and decoding goes on."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.live.laboratory_process import Laboratory, OverLsl, OverRedis
from tests.live.test_faults import SOUND, TRIAL, decoder, words_of  # noqa: F401
from tests.live.test_live import wait_for_source
from tests.small import CHANNELS

_names = count()


class Command:
    """The command as a process, and what it has written so far."""

    def __init__(self, named: list[str], said: Path) -> None:
        command = [sys.executable, "-m", "mode_ssm", "live", *named, f"sink=[jsonl:{said}]"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._said = said
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        wait_for_source(self._process)

    def told(self) -> list[dict]:
        if not self._said.exists():
            return []
        lines = self._said.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def until(self, kind: str, frame: int = -1) -> dict:
        """The newest message of a kind, at that frame or later."""
        for _ in range(30_000):
            for message in reversed(self.told()):
                if message["type"] == kind and message["frame"] >= frame:
                    return message
            time.sleep(0.01)
        raise AssertionError(f"no {kind} came, but {self.told()[-3:]}")

    def kill(self) -> None:
        """As kill -9 does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(params=["redis", "lsl"])
def connected(request, laboratory) -> tuple[Laboratory, list[str]]:
    """What sends, and the settings of the command that reads it."""
    named = [f"checkpoint={laboratory.run}", f"lm={laboratory.lm}"]
    if request.param == "redis":
        process = request.getfixturevalue("redis_process")
        source = f"source=redis://{process.address}/binnedFeatures_20ms"
        return OverRedis(process.port), [*named, source, "redis.sync_step=600"]
    request.getfixturevalue("lsl")
    there = OverLsl(f"killed decoder {next(_names)}", CHANNELS)
    return there, [*named, f"source=lsl:{there.name}", f"lsl.markers={there.name} marks"]


@pytest.fixture
def start(connected, tmp_path) -> Iterator[Callable[[str], Command]]:
    """Starts the command, with a name for what it says."""
    started: list[Command] = []

    def another(name: str) -> Command:
        started.append(Command(connected[1], tmp_path / f"{name}.jsonl"))
        return started[-1]

    yield another
    for command in started:
        command.kill()


def test_a_decoder_that_is_killed(decoder, connected, start):  # noqa: F811
    there, _ = connected
    first = start("first")
    number = there.now()
    there.begin(number)
    for place, frame in enumerate(SOUND):
        there.frame(number + place, frame)
    there.end(number + len(SOUND))
    assert first.until("end")["words"] == words_of(decoder, SOUND)
    first.kill()

    second = start("second")
    number = there.now()
    there.begin(number)
    for place, frame in enumerate(TRIAL[:45]):
        there.frame(number + place, frame)
    second.until("words")
    second.kill()
    assert [message["type"] for message in second.told()[:2]] == ["begin", "words"]

    third = start("third")
    for place, frame in enumerate(TRIAL[45:]):
        there.frame(number + 45 + place, frame)
    there.end(number + len(TRIAL))
    if isinstance(there, OverRedis):  # whose server knows that one speaks; a marker is told once
        assert third.until("end")["words"] == words_of(decoder, TRIAL[45:])
    number = there.now()
    there.begin(number)
    for place, frame in enumerate(SOUND):
        there.frame(number + place, frame)
    there.end(number + len(SOUND))
    assert third.until("end", frame=100)["words"] == words_of(decoder, SOUND)
