"""Processes that are still there when the one that started them has ended."""

import time
from pathlib import Path


def assert_nothing_is_left_of(session: int) -> None:
    """Of a process that was started in a session of its own, and whatever it started, within a minute."""
    deadline = time.monotonic() + 60
    while _running(session) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _running(session)


def _running(session: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(its_session) == session and state != "Z":
            found.append(stat.parent.name)
    return found
