"""A machine of a laboratory that sends a frame each 20 ms, on an absolute schedule, over Redis or LSL.

A process of its own for benchmarks/live_streams.py. Trials of 5 s are sent with a second of rest after each, and what
says that one speaks, or no longer, follows the last frame before. A frame is sent when it is due or, where this
process was held up, as soon as it can be; none is left out. In Redis its time is that at which it was sent, in LSL,
where amplifiers stamp samples by their own clock, that at which it was due.
"""

import json
import time
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

FEATURES, STATES = "binnedFeatures_20ms", "task_state"
TRIAL, REST = 250, 50  # frames
FRAME_S = 0.02


class Names(NamedTuple):
    """Where to."""

    port: int  # of the Redis server; 0 = LSL
    features: str
    states: str


class Sender(Protocol):
    def speak(self, speaks: bool, due: float) -> None:
        """Say it of the frame that is due then, on the monotonic clock, and of those after it."""

    def frame(self, number: int, features: NDArray[np.float32], due: float) -> None: ...


class RedisSender:
    """As BRAND's nodes write."""

    def __init__(self, names: Names) -> None:
        from redis import Redis

        self._client, self._names = Redis(port=names.port, protocol=2), names

    def speak(self, speaks: bool, due: float) -> None:  # noqa: ARG002
        time.sleep(0.002)  # entries of one millisecond have no order between streams
        self._client.xadd(self._names.states, {"state": "go" if speaks else "start_trial"})
        time.sleep(0.002)

    def frame(self, number: int, features: NDArray[np.float32], due: float) -> None:  # noqa: ARG002
        entry: dict[Any, Any] = {
            "ts": np.uint64(time.monotonic_ns()).tobytes(),
            "sync": json.dumps({"nsp": 600 * number}),
            "samples": features.tobytes(),
        }
        self._client.xadd(self._names.features, entry)


class LslSender:
    """A stream of features and one of markers."""

    def __init__(self, names: Names, channels: int) -> None:
        import pylsl

        features = pylsl.StreamInfo(names.features, "features", channels, 1 / FRAME_S, pylsl.cf_float32, names.features)
        states = pylsl.StreamInfo(names.states, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, names.states)
        self._features, self._states = pylsl.StreamOutlet(features), pylsl.StreamOutlet(states)
        self._ahead = pylsl.local_clock() - time.monotonic()

    def speak(self, speaks: bool, due: float) -> None:
        self._states.push_sample(["begin" if speaks else "end"], due - FRAME_S / 2 + self._ahead)

    def frame(self, number: int, features: NDArray[np.float32], due: float) -> None:  # noqa: ARG002
        self._features.push_sample(features, due + self._ahead)


def feed(names: Names, features: NDArray[np.float32], trials: int, ready: Any, start: Any, told: Any) -> None:
    """Send trials when `start` is set, and tell how late frames were sent, in ms, in the worst and in 99 % of cases.

    Args:
        features: (n, TRIAL, C), of trials that are sent one after another, again and again.
        ready, start: events between processes; told: a queue.
    """
    channels = features.shape[2]
    sender: Sender = RedisSender(names) if names.port else LslSender(names, channels)
    rest = np.zeros((REST, channels), dtype=np.float32)
    ready.set()
    start.wait()
    late = np.zeros(trials * (TRIAL + REST), dtype=np.float32)
    begun = time.monotonic() + FRAME_S
    sender.speak(True, begun)
    for number in range(len(late)):
        trial, place = divmod(number, TRIAL + REST)
        due = begun + number * FRAME_S
        time.sleep(max(0.0, due - time.monotonic()))
        late[number] = 1000 * (time.monotonic() - due)
        frames = features[trial % len(features)] if place < TRIAL else rest
        sender.frame(number, frames[place % TRIAL], due)
        if place == TRIAL - 1 or (place == TRIAL + REST - 1 and number + 1 < len(late)):
            sender.speak(place != TRIAL - 1, due + FRAME_S)
    told.put((float(np.percentile(late, 99)), float(late.max())))
    time.sleep(3.0)  # until all was read
