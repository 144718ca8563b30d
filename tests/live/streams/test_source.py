"""A source on a real server: what is lost, doubled, late or malformed, servers that go away, and blocks that begin."""

import threading
from functools import partial
from itertools import islice

import numpy as np
import pytest

from mode_ssm.config import RedisConfig
from mode_ssm.errors import InputError
from mode_ssm.live.events import Begin, End, Event, Frames, Notice
from mode_ssm.live.log import Logged, LogReplay
from mode_ssm.live.repair import Repair
from mode_ssm.live.streams.opening import open_sink, open_source
from mode_ssm.live.streams.server import Server, read_stream_address
from mode_ssm.live.streams.source import RedisSource
from tests.live.redis_rig import FEATURES, STATES, RedisProcess

CHANNELS = 3
ONES = np.ones(CHANNELS)


def source_of(process: RedisProcess, **config) -> RedisSource:
    return RedisSource(process.server, FEATURES, RedisConfig(**config))


def until_end(source: RedisSource, trials: int = 1) -> tuple[list[Event], dict[str, int]]:
    """What comes of it, repaired, up to the end of the last trial."""
    repair = Repair(CHANNELS)
    found: list[Event] = []
    for event in repair(source):
        found.append(event)
        trials -= isinstance(event, End)
        if not trials:
            return found, dict(repair.counts)
    raise AssertionError("a source never ends")


def numbers_of(events: list[Event]) -> list[int]:
    return [event.first + n for event in events if isinstance(event, Frames) for n in range(len(event.features))]


def texts_of(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_frames_come_as_they_were_written(redis_process, rig):
    rig.state("go", trial="before")  # under way when the source is opened
    rig.frame(ONES)  # before it is
    source = source_of(redis_process, sync_step=600, session="day")
    for value in (2.0, 3.0):
        rig.frame(value * ONES)
    rig.state("freeze")
    rig.frame(ONES)  # when nobody speaks
    rig.state("go", trial="after", sentence="Hi.")
    rig.frame(4 * ONES)
    rig.state("freeze")
    found, counts = until_end(source, 2)
    assert [type(event) for event in found] == [Begin, Frames, Frames, End, Begin, Frames, End]
    assert [event.features.tolist() for event in found if isinstance(event, Frames)] == [[[v] * 3] for v in (2, 3, 4)]
    assert [event.time for event in found if isinstance(event, Frames)] == [1.04, 1.06, 1.10]
    assert (found[0], found[4]) == (Begin("day", "before"), Begin("day", "after", "Hi."))
    assert numbers_of(found) == [0, 1, 3]
    assert source.newest is not None
    assert source.newest.fields[b"sync"] == b'{"nsp": 32400}'
    assert counts == {"taken": 3}


def test_what_is_lost_doubled_late_or_malformed_is_said_and_nothing_moves_in_time(redis_process, rig):
    source = source_of(redis_process, sync_step=600)
    rig.state("go")
    for number in (0, 1, 1, 4, 3):
        rig.frame(ONES, number)
    rig.add(samples=b"\0\0\0\0", sync="{}")
    rig.add(samples=ONES.astype("<f4").tobytes(), sync='{"nsp": 33000}')  # no time, number 5
    rig.add(sync='{"nsp": 33600}')  # no samples, number 6
    rig.frame([1.0, np.nan, 1.0], 7)
    rig.frame(np.ones(CHANNELS + 1), 8)
    rig.add(comment="no field of ours")
    rig.frame(ONES, 9)
    rig.state("end_trial")
    found, counts = until_end(source)
    assert numbers_of(found) == list(range(10))
    assert counts == {"taken": 6, "filled": 2, "dropped": 2, "damaged": 1, "malformed": 2}
    assert [text.split(" from")[0] for text in texts_of(found)] == [
        "1 frames came twice or too late",
        "2 frames",
        "1 frames came twice or too late",
        "an entry has no count in sync, so its time is not known; left out",
        "frame 6 has 0 channels, not 3; zeros stand for it",
        "1 values that are not finite",
        "frame 8 has 4 channels, not 3; zeros stand for it",
        "an entry has no count in sync, so its time is not known; left out",
    ]
    assert all(found[n].time == pytest.approx(1 + 0.02 * (found[n].first + 1)) for n in (1, 2))


def test_a_server_that_is_killed_and_started_again(redis_process, rig):
    """The trial goes on; frames that were lost are filled, since the count says how many they are."""
    source = source_of(redis_process, sync_step=600)
    events = iter(source)
    rig.state("go")
    rig.frame(ONES)
    assert [type(event) for event in islice(events, 2)] == [Begin, Frames]
    killed = threading.Timer(0.2, redis_process.kill)  # while the source waits for an entry
    killed.start()
    away = next(events)
    killed.join()
    assert isinstance(away, Notice)
    assert away.text.startswith("Redis is away or refuses (")
    redis_process.start()
    again = threading.Timer(0.5, lambda: [rig.frame(ONES, number) for number in (30, 31)])
    again.start()
    assert next(events).text == "Redis is there again"
    came: list[Event] = list(islice((event for event in events if isinstance(event, Frames)), 2))
    again.join()
    assert numbers_of(came) == [30, 31]


def test_a_flush_between_blocks(redis_process, rig):
    source = source_of(redis_process, sync_step=600)
    rig.state("go")
    rig.frame(ONES)
    rig.state("freeze")
    events = iter(source)
    assert [type(event) for event in islice(events, 3)] == [Begin, Frames, End]
    redis_process.client.flushall()
    said = [next(events).text, next(events).text]
    assert sorted(said) == [f"the stream {FEATURES} was emptied", f"the stream {STATES} was emptied"]
    rig.state("go")
    rig.frame(ONES)
    rig.state("freeze")
    assert [type(event) for event in islice(events, 3)] == [Begin, Frames, End]


def test_entries_of_a_clock_that_went_back_are_read(redis_process):
    source = source_of(redis_process, task_state=None)
    redis_process.client.xadd(FEATURES, {"samples": ONES.astype("<f4").tobytes()}, id="9000000000000-0")
    events = iter(source)
    assert [type(event) for event in islice(events, 3)] == [Begin, Notice, Frames]
    redis_process.client.delete(FEATURES)
    redis_process.client.xadd(FEATURES, {"samples": (2 * ONES).astype("<f4").tobytes()}, id="5-0")
    notice, frames = islice(events, 2)
    assert notice.text == f"the stream {FEATURES} began anew, with times before those of its last entries"
    assert frames.features.tolist() == [[2.0] * CHANNELS]
    assert frames.time == 0.005  # of the entry, which says no other


def test_entries_without_a_count_are_numbered_as_they_come_and_it_is_said(redis_process, rig):
    source = source_of(redis_process)
    rig.state("go")
    for _ in range(3):
        rig.add(samples=ONES.astype("<f4").tobytes())
    rig.state("freeze")
    found, _ = until_end(source)
    assert numbers_of(found) == [0, 1, 2]
    assert texts_of(found) == ["entries have no count in sync; they are counted as they come, so none is missed"]


def test_a_source_that_is_started_again_begins_a_trial_anew(redis_process, rig):
    source = source_of(redis_process, sync_step=600)
    rig.state("go", sentence="Hi.")
    rig.frame(ONES, 1000)
    rig.frame(ONES, 0)
    rig.state("freeze")
    found, _ = until_end(source, 2)
    assert [type(event) for event in found] == [Begin, Frames, Notice, End, Begin, Frames, End]
    assert found[4] == found[0]


def test_the_state_may_stand_in_a_key(redis_process, rig):
    redis_process.client.set("task_state_current", 1)
    source = source_of(redis_process, task_state_key="task_state_current")
    rig.frame(ONES)
    events = iter(source)
    assert [type(event) for event in islice(events, 2)] == [Begin, Frames]
    redis_process.client.set("task_state_current", 3)
    rig.frame(ONES)
    assert isinstance(next(events), End)


def test_silence_while_one_speaks_is_said_once(redis_process, rig):
    source = source_of(redis_process)
    rig.state("go")
    begin, notice = islice(source, 2)
    assert isinstance(begin, Begin)
    assert notice.text == f"nothing came on {FEATURES} for a while; waiting"


def test_what_is_no_stream_is_refused(redis_process):
    redis_process.client.set(FEATURES, "text")
    with pytest.raises(InputError, match=f"{FEATURES} is a string in Redis, not a stream"):
        source_of(redis_process)


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"No Redis server answers at 127.0.0.1:1 \(.*start one, or give its address"):
        RedisSource(Server("127.0.0.1", 1), FEATURES, RedisConfig())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("redis://localhost:6379", "names no stream; give redis://HOST:PORT/STREAM"),
        ("redis:words", "names no stream"),
        ("redis://localhost/words", "is no address of a server; give HOST:PORT"),
        ("redis://localhost:99999/words", "is no address of a server"),
    ],
)
def test_an_address_that_is_none_is_named(text, said):
    with pytest.raises(InputError, match=said):
        read_stream_address(text)


def test_what_was_said_of_the_source_stands_in_its_log(tmp_path):
    events = [Begin("day", "7", "Hi."), Notice(-1, "Redis is away or refuses (…); it is asked again and again"), End()]
    with (tmp_path / "log").open("w", encoding="utf-8") as file:
        assert list(Logged(events, file)) == events
    assert list(LogReplay(tmp_path / "log")) == events


def test_without_redis_py_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr("mode_ssm.live.streams.opening.find_spec", {}.get)
    for opened in (partial(open_source, config=RedisConfig()), open_sink):
        with pytest.raises(InputError, match=r"redis, which is not installed: pip install 'mode-ssm\[redis\]'"):
            opened("redis://localhost:6379/words")
