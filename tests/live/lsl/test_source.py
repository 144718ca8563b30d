"""A source on real LSL streams: what is lost, doubled or malformed, markers, and streams that end and come again."""

import threading
from functools import partial
from itertools import count

import numpy as np
import pytest

from mode_ssm.config import LslConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.live.events import Begin, End, Event, Frames, Notice
from mode_ssm.live.lsl.opening import open_lsl_sink, open_lsl_source
from mode_ssm.live.repair import Repair
from tests.live.lsl_rig import Amplifier, Marks

CHANNELS = 3
_names = count()
pytestmark = pytest.mark.usefixtures("lsl")


@pytest.fixture
def amplifier(lsl) -> Amplifier:
    return Amplifier(f"amplifier {next(_names)}", CHANNELS)


@pytest.fixture
def marks(lsl) -> Marks:
    return Marks(f"marks {next(_names)}")


def source_of(amplifier: Amplifier, marks: Marks | None = None, **config):
    """A source, once both senders know of it."""
    settings = LslConfig(markers=None if marks is None else marks.name, **config)
    source = open_lsl_source(amplifier.name, CHANNELS, settings, said_elsewhere=marks is None)
    amplifier.wait_for_reader()
    if marks is not None:
        marks.wait_for_reader()
    return source


def until_end(source, trials: int = 1) -> tuple[list[Event], dict[str, int]]:
    """What comes of it, repaired, up to the end of the last trial."""
    return repaired(source, lambda event: isinstance(event, End), trials)


def repaired(source, ends, times: int = 1) -> tuple[list[Event], dict[str, int]]:
    repair = Repair(CHANNELS)
    found: list[Event] = []
    for event in repair(source):
        found.append(event)
        times -= ends(event)
        if not times:
            return found, dict(repair.counts)
    raise AssertionError("a source never ends")


def numbers_of(events: list[Event]) -> list[int]:
    return [event.first + n for event in events if isinstance(event, Frames) for n in range(len(event.features))]


def texts_of(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def values_of(events: list[Event]) -> list[float]:
    return [float(value) for event in events if isinstance(event, Frames) for value in event.features[:, 0]]


def test_frames_come_as_they_were_sent_between_markers(amplifier, marks):
    source = source_of(amplifier, marks, session="day")
    for number in range(12):
        amplifier.frame(number, number)
    marks.mark("begin", amplifier.time(2) - 0.01)  # after its frames, as a busy machine may send it
    marks.mark("a comment", amplifier.time(3))
    marks.mark("end", amplifier.time(5) - 0.01)
    marks.mark("begin", amplifier.time(9) - 0.01)
    marks.mark("end", amplifier.time(11) - 0.01)
    found, counts = until_end(source, 2)
    kinds = [Begin, Frames, Frames, Frames, End, Begin, Frames, Frames, End]
    assert [type(event) for event in found] == kinds
    assert (found[0], found[5]) == (Begin("day"), Begin("day"))
    assert values_of(found) == [2, 3, 4, 9, 10]
    assert numbers_of(found) == [2, 3, 4, 9, 10]
    assert found[1].time == pytest.approx(amplifier.time(2), abs=0.005)  # clocks differ by nothing here
    assert counts == {"taken": 5}


def test_markers_that_come_long_after_their_frames_part_them_all_the_same(amplifier, marks):
    source = source_of(amplifier, marks)
    for number in range(300):
        amplifier.frame(number - 300, number)

    def mark() -> None:
        for begin, end in ((20, 120), (150, 280)):
            marks.mark("begin", amplifier.time(begin - 300) - 0.01)
            marks.mark("end", amplifier.time(end - 300) - 0.01)

    later = threading.Timer(1.0, mark)
    later.start()
    found, counts = until_end(source, 2)
    later.join()
    kinds = [Begin, *[Frames] * 100, End, Begin, *[Frames] * 130, End]
    assert [type(event) for event in found] == kinds
    assert values_of(found) == [*range(20, 120), *range(150, 280)]
    assert counts == {"taken": 230}


def test_what_is_lost_doubled_or_damaged_is_said_and_nothing_moves_in_time(amplifier):
    source = source_of(amplifier)
    for number in (0, 1, 1, *range(4, 12)):
        amplifier.frame(number, np.nan if number == 7 else number)
    found, counts = repaired(source, lambda event: isinstance(event, Frames) and event.first == 11)
    assert numbers_of(found) == list(range(12))
    assert values_of(found) == [0, 1, 0, 0, 4, 5, 6, 0, 8, 9, 10, 11]
    assert counts == {"taken": 10, "filled": 2, "dropped": 1, "damaged": 1}
    assert [text.split(" from")[0] for text in texts_of(found)] == [
        "1 frames came twice or too late",
        "2 frames",
        "3 values that are not finite",
    ]


def test_a_sample_without_a_time_is_left_out(amplifier):
    source = source_of(amplifier)
    amplifier.frame(0)
    amplifier.frame(1, late=float("nan"))
    amplifier.frame(2)
    found, _ = repaired(source, lambda event: isinstance(event, Frames), 3)
    assert texts_of(found)[0] == "a sample has no time; left out"
    assert numbers_of(found) == [0, 1, 2]


def test_a_long_gap_begins_a_trial_anew(amplifier):
    amplifier.start -= 10  # so that its last sample is not of the future
    source = source_of(amplifier)
    for number in (0, 1, 200, 201, 202, 203, 204):
        amplifier.frame(number)
    found, counts = repaired(source, lambda event: isinstance(event, Frames), 4)
    assert [type(event) for event in found] == [Begin, Frames, Frames, Notice, End, Begin, Frames, Frames]
    assert texts_of(found) == ["4.0 s without data from frame 2; the trial begins anew"]
    assert counts["in gaps"] == 198


def test_a_clock_that_jumps_begins_a_trial_anew(amplifier):
    source = source_of(amplifier)
    for number in (0, 1, -1000, -999, 500_000, 500_001):
        amplifier.frame(number)
    found, _ = repaired(source, lambda event: isinstance(event, Frames), 6)
    assert numbers_of(found) == list(range(6))
    assert [type(event) for event in found[3:6]] == [Notice, End, Begin]
    assert texts_of(found) == ["the sender's clock went back by 20.0 s", "the sender's clock leapt 10020.0 s ahead"]


def test_markers_count_when_the_clock_of_the_frames_is_another(amplifier, marks):
    amplifier.start = 1.7e9  # as computers' calendars have it
    source = source_of(amplifier, marks)
    events = iter(source)
    marks.mark("begin")
    first = threading.Timer(0.3, amplifier.frame, [0])
    first.start()
    assert [type(next(events)) for _ in range(2)] == [Begin, Frames]
    first.join()
    marks.mark("end")
    assert isinstance(next(events), End)


def test_a_sender_that_ends_is_said_and_read_again_when_it_is_there(amplifier):
    source = source_of(amplifier)
    events = iter(source)
    amplifier.frame(0)
    assert [type(next(events)) for _ in range(2)] == [Begin, Frames]
    amplifier.stop()
    lost = next(events)
    assert lost.text == f"the LSL stream {amplifier.name} was lost; it is looked for until it is there again"
    wrong = Amplifier(amplifier.name, CHANNELS + 1)
    assert next(events).text.endswith(
        "is there again, but it has 4 channels, and the network needs 3; give one of its features; waiting for one "
        "that fits"
    )
    wrong.stop()
    again = Amplifier(amplifier.name, CHANNELS)
    said = [next(events).text]
    if "nothing came" in said[0]:
        said = [next(events).text]
    assert said == [f"the LSL stream {amplifier.name} is there again"]
    again.wait_for_reader()
    for number in range(6):
        again.frame(number, 7)
    frames = next(event for event in events if isinstance(event, Frames))
    assert frames.features[0, 0] == 7


def test_another_stream_of_the_name_takes_over_from_one_that_fell_silent(amplifier):
    source = source_of(amplifier)
    events = iter(source)
    amplifier.frame(0)
    assert [type(next(events)) for _ in range(2)] == [Begin, Frames]
    other = Amplifier(amplifier.name, CHANNELS)
    said = [next(events).text]
    if "nothing came" in said[0]:
        said = [next(events).text]
    assert said == [f"the LSL stream {amplifier.name} is there again"]
    other.stop()


def test_silence_while_one_speaks_is_said(amplifier):
    events = iter(source_of(amplifier))
    assert isinstance(next(events), Begin)
    assert next(events).text == f"nothing came on {amplifier.name} for a while; waiting"


@pytest.mark.parametrize(
    ("channels", "rate", "kind", "said"),
    [
        (2, 50.0, "float32", "has 2 channels, and the network needs 3; give one of its features"),
        (3, 1000.0, "float32", "has a nominal rate of 1000 samples a second, and the network needs 50; bin its feat"),
        (3, 0.0, "float32", "has a nominal rate of 0 samples a second"),
    ],
)
def test_a_stream_that_does_not_fit_is_refused(channels, rate, kind, said):
    amplifier = Amplifier(f"amplifier {next(_names)}", channels, rate, kind)
    with pytest.raises(InputError, match=f"The LSL stream {amplifier.name} was found, but it {said}"):
        open_lsl_source(amplifier.name, CHANNELS, LslConfig(), said_elsewhere=True)


def test_a_stream_of_another_kind_is_refused(amplifier, marks):
    with pytest.raises(InputError, match="but it holds text; give one of features"):
        open_lsl_source(marks.name, CHANNELS, LslConfig(), said_elsewhere=True)
    with pytest.raises(InputError, match=r"but it has 3 channels, not one of text; lsl.markers needs a stream of mark"):
        open_lsl_source(amplifier.name, CHANNELS, LslConfig(markers=amplifier.name), said_elsewhere=False)


def test_a_stream_that_is_not_there_is_named_beside_those_that_are(amplifier):
    with pytest.raises(InputError, match=f"No LSL stream nobody was found in 0.2 s, but .*{amplifier.name}.*; start"):
        open_lsl_source("nobody", CHANNELS, LslConfig(wait_seconds=0.2), said_elsewhere=True)


def test_what_marks_trials_must_be_said():
    with pytest.raises(InputError, match="source=lsl:any does not say when someone speaks; give lsl.markers=NAME"):
        open_lsl_source("any", CHANNELS, LslConfig(), said_elsewhere=False)


def test_without_pylsl_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr("mode_ssm.live.lsl.opening.find_spec", {}.get)
    source = partial(open_lsl_source, channels=CHANNELS, config=LslConfig(), said_elsewhere=True)
    for opened in (source, partial(open_lsl_sink, labels=T15, has_posteriors=True)):
        with pytest.raises(InputError, match=r"pylsl, which is not installed: pip install 'mode-ssm\[lsl\]'"):
            opened("any")
