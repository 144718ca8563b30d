"""What stands in an entry of a stream of features: a frame of float32, a JSON of counts, and when it was written."""

import json
import re
import time

import numpy as np

from mode_ssm.live.events import Floats


def read_frame(samples: bytes) -> Floats:
    """(1, C) features; (1, 0) where the bytes are no float32.

    >>> read_frame(np.float32([1, 2]).tobytes()).tolist()
    [[1.0, 2.0]]
    """
    if len(samples) % 4:
        return np.zeros((1, 0), dtype=np.float32)
    return np.frombuffer(samples, dtype="<f4").astype(np.float32)[None]


def read_count(sync: bytes) -> int | None:
    """The first whole number of a JSON object, or the JSON itself where it is one; None where there is none of 64 bits.

    >>> read_count(b'{"nsp": 1800}'), read_count(b"7"), read_count(b"{}"), read_count(b"?")
    (1800, 7, None, None)
    """
    try:
        told = json.loads(sync)
    except (ValueError, RecursionError):
        return None
    counts = told.values() if isinstance(told, dict) else [told]
    whole = (count for count in counts if isinstance(count, int) and not isinstance(count, bool))
    return next((count for count in whole if abs(count) < 2**63), None)


def written_now() -> bytes:
    """The time as an entry's ts has it: nanoseconds of this computer's monotonic clock."""
    return np.uint64(time.monotonic_ns()).tobytes()


def read_seconds(ts: bytes) -> float | None:
    """Seconds out of 8 bytes of nanoseconds or a text of seconds; None where it is neither.

    >>> read_seconds(np.uint64(1_500_000_000).tobytes()), read_seconds(b"12601.5"), read_seconds(b"soon")
    (1.5, 12601.5, None)
    """
    if re.fullmatch(rb"\d{1,15}(\.\d{1,15})?", ts):
        return float(ts)
    return int.from_bytes(ts, "little") / 1e9 if len(ts) == 8 else None
