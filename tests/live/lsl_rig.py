"""Streams as machines of a laboratory send them, by liblsl alone, on the loopback address."""

import os
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("pylsl") is not None:
    import pylsl

CONFIG = """[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
AddressesOverride = {{127.0.0.1}}
[lab]
KnownPeers = {{127.0.0.1}}
SessionID = test-{session}
[log]
level = -3
"""


def stay_on_this_machine(folder: Path) -> None:
    """Tell liblsl, here and in processes that are started from now on, before it is used.

    It skips the test where there is no pylsl, or no stream is found so.
    """
    if find_spec("pylsl") is None:
        pytest.skip("pylsl is not installed (pip install 'mode-ssm[lsl]')")
    config = folder / "lsl_api.cfg"
    config.write_text(CONFIG.format(session=os.getpid()), encoding="utf-8")
    os.environ["LSLAPICFG"] = str(config)
    there = Marks("is anyone there")
    found = pylsl.resolve_byprop("name", there.name, 1, 5.0)
    if not found:
        pytest.skip("liblsl finds no stream of this machine here")


class Amplifier:
    """Sends a sample for each frame, with the time that it has by its number; frame 0 is now."""

    def __init__(self, name: str, channels: int, rate: float = 50.0, kind: str = "float32") -> None:
        info = pylsl.StreamInfo(name, "features", channels, rate, kind, f"id of {name}")
        self.name, self._outlet, self._channels = name, pylsl.StreamOutlet(info), channels
        self.start = pylsl.local_clock()

    def wait_for_reader(self) -> None:
        assert self._outlet.wait_for_consumers(20.0)

    def frame(self, number: int, value: float | np.ndarray = 1.0, late: float = 0.0) -> None:
        values = np.broadcast_to(np.float32(value), (1, self._channels))
        self._outlet.push_chunk(values, self.time(number) + late)

    def time(self, number: int) -> float:
        return self.start + 0.02 * number

    def number_now(self) -> int:
        return int((pylsl.local_clock() - self.start) / 0.02)

    def stop(self) -> None:
        del self._outlet


class Marks:
    """Sends markers."""

    def __init__(self, name: str) -> None:
        info = pylsl.StreamInfo(name, "Markers", 1, pylsl.IRREGULAR_RATE, "string", f"id of {name}")
        self.name, self._outlet = name, pylsl.StreamOutlet(info)

    def wait_for_reader(self) -> None:
        assert self._outlet.wait_for_consumers(20.0)

    def mark(self, text: str, time: float = 0.0) -> None:
        self._outlet.push_sample([text], time)


def until(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
