"""What goes wrong in a laboratory, over Redis and over LSL: each is said, and the next trial is as if none was.

A row of FAULTS plays a trial with a fault. Then comes a sound trial, whose words must be those of a replay.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
import pytest

from mode_ssm.commands.live import open_decoder
from mode_ssm.config import LiveConfig, WatchConfig
from mode_ssm.live.events import Begin, End, Event, Frames
from mode_ssm.live.session import LiveSession
from mode_ssm.recognition.network import load_recogniser
from tests.live.laboratory_process import Laboratory, LaboratoryProcess, OverLsl, OverRedis
from tests.live.redis_rig import FEATURES, PATIENCE, RedisProcess
from tests.small import CHANNELS

TRIAL = np.random.default_rng(5).normal(size=(90, CHANNELS)).astype(np.float32)
SOUND = np.random.default_rng(6).normal(size=(90, CHANNELS)).astype(np.float32)
_names = count()


@pytest.fixture(scope="module")
def decoder(laboratory):
    recogniser = load_recogniser(str(laboratory.run))
    config = LiveConfig(checkpoint=str(laboratory.run), lm=str(laboratory.lm), source="a test's own")
    return open_decoder(config, recogniser)


class Decoding:
    """A live session in a thread, whose messages are waited for."""

    def __init__(self, decoder, source) -> None:
        spoken, identity = decoder
        self.session = LiveSession(spoken, [self], CHANNELS, identity, WatchConfig())
        self.told: list[dict] = []
        self._read, self._source, self._stopped = 0, source, False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.session.run(self._events())
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _events(self) -> Iterator[Event]:
        for event in self._source:
            if self._stopped:
                return
            yield event

    def tell(self, message: dict) -> None:
        with self._changed:
            self.told.append(message)
            self._changed.notify_all()

    def show(self, signal) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing is open."""

    def until(self, kind: str, text: str = "") -> list[dict]:
        """New messages, up to the first of a kind that has a text."""

        def found() -> int | None:
            for place in range(self._read, len(self.told)):
                if self.told[place]["type"] == kind and re.search(text, self.told[place].get("text", "")):
                    return place + 1
            return None

        with self._changed:
            assert self._changed.wait_for(found, PATIENCE), (kind, text, self.told[self._read :])
            end = found()
            new, self._read = self.told[self._read : end], end
        return new

    def heard(self, frames: int) -> None:
        """Wait until so many frames were taken or left out."""
        deadline = time.monotonic() + PATIENCE
        while sum(self.session.repair.counts[name] for name in ("taken", "malformed", "dropped")) < frames:
            assert time.monotonic() < deadline, self.session.repair.counts
            time.sleep(0.01)

    def stop(self) -> None:
        """With the next event."""
        self._stopped = True


def words_of(decoder, trial: np.ndarray) -> list[str]:
    """Of a replay."""
    told: list[dict] = []
    spoken, identity = decoder
    listener = type("Sink", (), {"tell": lambda _, message: told.append(message), "show": lambda *_: None})()
    frames = [Frames(n, 0.0, frame[None]) for n, frame in enumerate(trial)]
    LiveSession(spoken, [listener], CHANNELS, identity, WatchConfig()).run([Begin(), *frames, End()])
    return told[-1]["words"]


def play(there: Laboratory, decoding: Decoding, numbers: list[int], trial: np.ndarray = TRIAL) -> list[dict]:
    """A trial whose frames have those numbers; what was told of it."""
    there.begin(numbers[0])
    new = decoding.until("begin")
    before = sum(decoding.session.repair.counts[name] for name in ("taken", "malformed", "dropped"))
    for number, frame in zip(numbers, trial, strict=True):
        there.frame(number, frame)
    decoding.heard(before + len(numbers))
    there.end(numbers[-1] + 1)
    return new + decoding.until("end")


@pytest.fixture(params=["redis", "lsl"])
def there(request) -> Laboratory:
    if request.param == "redis":
        return OverRedis(request.getfixturevalue("redis_process").port)
    request.getfixturevalue("lsl")
    return OverLsl(f"faults {next(_names)}", CHANNELS)


class Fault(NamedTuple):
    numbers: list[int]  # of the frames of the trial that are sent
    trial: np.ndarray  # those frames
    begun: int  # trials, this one and those that began anew
    said: dict[str, int]  # notices, by what they hold, and how many there are
    counts: dict[str, int]  # frames


def _lost() -> Fault:
    kept = [n for n in range(90) if n % 10 != 5]
    return Fault(kept, TRIAL[kept], 1, {r"^1 frames from frame \d+ never came; zeros": 9}, {"taken": 81, "filled": 9})


def _gap(frames: int) -> list[int]:
    return [n if n < 45 else n + frames for n in range(90)]


def _damaged(value: float, rows: slice, channels: slice) -> np.ndarray:
    trial = TRIAL.copy()
    trial[rows, channels] = value
    return trial


FAULTS: dict[str, Callable[[], Fault]] = {
    "one frame in ten is lost": _lost,
    "a gap of 3 s": lambda: Fault(_gap(150), TRIAL, 1, {"150 frames from frame": 1}, {"taken": 90, "filled": 150}),
    "30 s without data": lambda: Fault(
        _gap(1500), TRIAL, 2, {"30.0 s without data from frame .*; the trial begins anew": 1}, {"taken": 90}
    ),
    "a clock that goes back": lambda: Fault(_gap(-1000), TRIAL, 2, {"went back": 1}, {"taken": 90}),
    "a clock that leaps ahead": lambda: Fault(
        _gap(1_000_000), TRIAL, 2, {r"leapt 20000.\d s ahead|20000.\d s without data": 1}, {"taken": 90}
    ),
    "frames that are not finite": lambda: Fault(
        list(range(90)),
        _damaged(np.nan, slice(20, 30), slice(None)),
        1,
        {f"^{CHANNELS} values that are not finite": 10},
        {"taken": 90, "damaged": 10},
    ),
    "single values that are infinite": lambda: Fault(
        list(range(90)),
        _damaged(np.inf, slice(20, 22), slice(3, 4)),
        1,
        {"^1 values that are not finite": 2},
        {"taken": 90, "damaged": 2},
    ),
    "channels that go flat": lambda: Fault(
        list(range(90)), _damaged(0.5, slice(20, 90), slice(0, 4)), 1, {}, {"taken": 90}
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_said_and_decoding_goes_on(decoder, there, name):
    fault = FAULTS[name]()
    decoding = Decoding(decoder, there.source(CHANNELS))
    told = play(there, decoding, fault.numbers, fault.trial)
    notices = [message["text"] for message in told if message["type"] == "notice"]
    for text, times in fault.said.items():
        assert sum(re.search(text, notice) is not None for notice in notices) == times, notices
    assert len(notices) == sum(fault.said.values()), notices
    counts = decoding.session.repair.counts
    assert {kind: counts[kind] for kind in fault.counts} == fault.counts
    while sum(message["type"] == "begin" for message in told) < fault.begun:
        told += decoding.until("end")
    number = there.now()
    sound = play(there, decoding, list(range(number, number + 90)), SOUND)
    assert sound[-1]["words"] == words_of(decoder, SOUND)
    decoding.stop()


def test_30_s_without_data_are_said_once_and_waited_for(decoder, there):
    """The first three of them, for the rest is the same."""
    decoding = Decoding(decoder, there.source(CHANNELS))
    there.begin(there.now())
    (silent,) = [m for m in decoding.until("notice") if m["type"] == "notice"]
    assert re.match("nothing came on .* for a while; waiting", silent["text"])
    there.end(there.now())
    decoding.until("end")
    number = there.now()
    sound = play(there, decoding, list(range(number, number + 90)), SOUND)
    assert sound[-1]["words"] == words_of(decoder, SOUND)
    assert not [message for message in sound if message["type"] == "notice"]
    decoding.stop()


PHASES = ("before a trial", "in a trial", "between trials")


@pytest.mark.parametrize("phase", PHASES)
def test_a_server_that_is_killed(decoder, redis_process: RedisProcess, phase):
    there = OverRedis(redis_process.port)
    decoding = Decoding(decoder, there.source(CHANNELS))
    if phase == "between trials":
        play(there, decoding, list(range(90)))
    elif phase == "in a trial":
        there.begin(0)
        for number in range(40):
            there.frame(number, TRIAL[number])
        decoding.heard(40)
    redis_process.kill()
    decoding.until("notice", "Redis is away or refuses .*; it is asked again and again")
    redis_process.start()
    decoding.until("notice", "Redis is there again")
    if phase == "in a trial":
        for number in range(70, 90):
            there.frame(number, TRIAL[number])
        decoding.until("notice", "^30 frames from frame 40 never came; zeros stand for them")
        there.end(90)
        decoding.until("end")
    sound = play(there, decoding, list(range(200, 290)), SOUND)
    assert sound[-1]["words"] == words_of(decoder, SOUND)
    decoding.stop()


@pytest.fixture(params=["redis", "lsl"])
def start(request, tmp_path) -> Iterator[Callable[[], LaboratoryProcess]]:
    """Starts a process that sends."""
    np.save(tmp_path / "features.npy", np.concatenate([TRIAL, SOUND]))
    if request.param == "redis":
        place = str(request.getfixturevalue("redis_process").port)
    else:
        request.getfixturevalue("lsl")
        place = f"killed {next(_names)}"
    started: list[LaboratoryProcess] = []

    def another() -> LaboratoryProcess:
        started.append(LaboratoryProcess(request.param, place, tmp_path / "features.npy"))
        return started[-1]

    yield another
    for process in started:
        process.kill()


def opened(first: LaboratoryProcess):
    """The source that reads what it sends."""
    from mode_ssm.config import LslConfig, RedisConfig
    from mode_ssm.live.streams.server import Server
    from mode_ssm.live.streams.source import RedisSource

    if first.over == "redis":
        server = Server("127.0.0.1", int(first.place))
        return RedisSource(server, FEATURES, RedisConfig(sync_step=600))
    from mode_ssm.live.lsl.source import LslSource

    return LslSource(first.place, CHANNELS, LslConfig(markers=f"{first.place} marks"))


def send(process: LaboratoryProcess, decoding: Decoding, first: int) -> list[dict]:
    """A trial of 90 frames of the file."""
    number = process.do("now")
    process.do(f"begin 0 0 {number}")
    told = decoding.until("begin")
    before = decoding.session.repair.counts["taken"]
    process.do(f"frames {first} 90 {number}")
    decoding.heard(before + 90)
    process.do(f"end 0 0 {number + 90}")
    return told + decoding.until("end")


@pytest.mark.parametrize("phase", PHASES)
def test_a_source_that_is_killed(decoder, start, phase):
    process = start()
    decoding = Decoding(decoder, opened(process))
    process.do("wait")
    if phase == "between trials":
        send(process, decoding, 0)
    elif phase == "in a trial":
        number = process.do("now")
        process.do(f"begin 0 0 {number}")
        process.do(f"frames 0 40 {number}")
        decoding.heard(40)
    process.kill()
    if process.over == "lsl":
        decoding.until("notice", "the LSL stream killed .* was lost; it is looked for")
    elif phase == "in a trial":
        decoding.until("notice", "nothing came on binnedFeatures_20ms for a while; waiting")
    process = start()
    if process.over == "lsl":
        decoding.until("notice", "the LSL stream .* is there again")
    process.do("wait")
    if phase == "in a trial":
        process.do(f"end 0 0 {process.do('now')}")
        decoding.until("end")
    sound = send(process, decoding, 90)
    assert sound[-1]["words"] == words_of(decoder, SOUND)
    decoding.stop()
