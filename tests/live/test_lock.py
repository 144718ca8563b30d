"""A lock between source and sinks: what leaves the process while it is closed, and a log that is decoded again."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.config import WatchConfig
from mode_ssm.labels import Labels
from mode_ssm.live.events import Begin, Correction, End, Event, Frames, Notice, Turn
from mode_ssm.live.lock import Guarded, Lock
from mode_ssm.live.log import Logged, LogReplay
from mode_ssm.live.session import Identity, LiveSession
from mode_ssm.live.sinks import Message, Signal
from mode_ssm.live.spoken import Heard, Said, Step, Told
from mode_ssm.live.spotting import PhraseSpotter

LABELS = Labels(("_", "A", "B", "|"), blank=0, boundary=3)
OPENING, CLOSING = (1, 2, 1), (2, 1, 2)
CHANNELS = 5  # four classes, one of which each frame says, and a number that no other frame has
SECOND = 50
WATCH = WatchConfig(flat_seconds=0.5)  # so that alarms come, of open time alone


class Parrot:
    """Decodes each frame to its own number, and counts the frames since it began, as an encoder's state does."""

    def __init__(self) -> None:
        self.since, self.decoded = 0, []

    def begin(self, event: Begin) -> list[Told]:
        self.since, self.decoded = 0, []
        return [event]

    def extend(self, features: np.ndarray) -> Step:
        self.since += len(features)
        names = [f"word{round(float(number))}" for number in features[:, 4]]
        self.decoded += names
        return Step([Heard((f"{self.since}", *names), None)], self.overhear(features))

    def overhear(self, features: np.ndarray) -> np.ndarray:
        rows = np.where(features[:, :4] == 1, 0.97, 0.01)
        return np.log(rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)

    def end(self) -> list[Told]:
        return [Said(tuple(self.decoded))]


class Recorder:
    """Keeps what it is told and shown."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.shown: list[tuple[list[float], list[float]]] = []

    def tell(self, message: Message) -> None:
        self.messages.append({key: value for key, value in message.items() if key != "ms"})

    def show(self, signal: Signal) -> None:
        assert signal.posteriors is not None
        self.shown.append((signal.features.tolist(), signal.posteriors.tolist()))

    def close(self) -> None:
        """Nothing is open."""


def lock(seconds: float | None = None) -> Lock:
    opening, closing = (PhraseSpotter([spelling], LABELS, 0.5, 500) for spelling in (OPENING, CLOSING))
    return Lock(opening, closing, seconds, 0.3, LABELS)


def session(sink: Recorder, held: Lock | None) -> LiveSession:
    return LiveSession(Parrot(), [sink], CHANNELS, Identity("c", None), WATCH, held)  # type: ignore[arg-type]


def said(text: str, first: int = 0, pause: float = 0.0) -> list[Event]:
    """A frame a symbol; its number is that of the frame, above those that are counted."""
    found: list[Event] = []
    for place, symbol in enumerate(text):
        number = first + place
        features = np.zeros((1, CHANNELS), dtype=np.float32)
        features[0, LABELS.symbols.index(symbol)] = 1
        features[0, 4] = 70_000 + number
        found.append(Frames(number, pause + (number + 1) / SECOND, features))
    return found


def run(events: list[Event], held: Lock | None) -> tuple[Recorder, str]:
    sink, log = Recorder(), StringIO()
    source = events if held is None else Guarded(events, held)
    session(sink, held).run(Logged(source, log))  # type: ignore[arg-type]
    return sink, log.getvalue()


def kinds(sink: Recorder) -> list[str]:
    """The types of messages, each once where it comes several times; the lock's with what it does."""
    found: list[str] = []
    for message in sink.messages:
        kind = message["type"]
        kind = f"{'open' if message['open'] else 'closed'} by {message['why']}" if kind == "lock" else kind
        if not found or found[-1] != kind:
            found.append(kind)
    return found


def test_a_phrase_opens_within_a_trial_and_another_closes() -> None:
    begin = Begin("day", "trial", "aba b")
    sink, _ = run([begin, *said("BB|ABA|___A_B|__BAB|__AB|_"), End()], lock())
    assert kinds(sink) == ["closed by start", "open by phrase", "begin", "words", "end", "closed by phrase"]
    begun = next(message for message in sink.messages if message["type"] == "begin")
    assert (begun["trial"], begun["sentence"]) == ("trial", None)  # the sentence holds the phrase
    assert sink.messages[3]["phonemes"] == ["1", "word70010"]  # three frames after the phrase was over, decoded anew
    end = next(message for message in sink.messages if message["type"] == "end")
    assert end["words"][-1] == "word70022"


def test_a_phrase_that_ends_its_trial_opens_for_the_next_one() -> None:
    events = [Begin("day", "1", "secret"), *said("ABA|"), End(), Begin("day", "2", "known"), *said("AB", 4), End()]
    sink, log = run(events, lock())
    assert kinds(sink) == ["closed by start", "open by phrase", "begin", "words", "end"]
    assert sink.messages[2]["sentence"] == "known"
    assert "secret" not in log
    assert "known" in log


def test_a_trial_that_began_behind_it_begins_again_without_its_sentence() -> None:
    begin = Begin("day", "1", "secret")
    sink, log = run([begin, *said("ABA|____"), begin, *said("A", 8), Begin("day", "2", "known"), End()], lock())
    assert [m["sentence"] for m in sink.messages if m["type"] == "begin"] == [None, None, "known"]
    assert "secret" not in log


def test_half_a_phrase_does_not_go_on_in_the_next_trial() -> None:
    sink, _ = run([Begin(), *said("_AB"), End(), Begin(), *said("A|____", 3), End()], lock())
    assert kinds(sink) == ["closed by start"]


def test_it_closes_after_a_time_without_speech_even_when_no_frames_came() -> None:
    opened = [Begin(), *said("ABA|___A")]
    rest = said("_" * 60, 8)
    sink, _ = run([*opened, *rest, End()], lock(seconds=1.0))
    assert kinds(sink)[-2:] == ["end", "closed by time"]
    assert sink.messages[-1]["frame"] == 7 + SECOND  # the frame before the one that came a second after the last A
    later = [End(), Begin(), *said("AAA", 8, pause=60.0)]
    sink, _ = run([*opened, *later], lock(seconds=1.0))
    assert kinds(sink)[-4:] == ["end", "begin", "end", "closed by time"]
    assert not any("word70008" in str(message) for message in sink.messages)


@st.composite
def sessions(draw: st.DrawFn) -> list[Event]:
    """Trials with phrases and other speech, notices, gaps, what came twice, and values that are not finite."""
    events: list[Event] = []
    number = 0
    pieces = ["ABA|___", "BAB|___", "A_B|", "AB", "__", "A|BA|___"]
    for trial in range(draw(st.integers(1, 4))):
        events.append(Begin("day", f"trial {trial}", f"sentence{trial}"))
        for piece in draw(
            st.lists(st.sampled_from([*pieces, "gap", "long gap", "twice", "odd", "notice", "meant"]), max_size=8)
        ):
            if piece == "gap":
                number += 3
            elif piece == "long gap":
                number += 200
            elif piece == "twice":
                number = max(0, number - 2)
            elif piece == "notice":
                events.append(Notice(number, "something happened"))
            elif piece == "meant":
                events.append(Correction(number, 0, f"word{70_000 + number}", "other"))
            elif piece == "odd":
                frame = said("A", number)[0]
                assert isinstance(frame, Frames)
                frame.features[0, :4] = draw(st.sampled_from([np.nan, np.inf]))
                events.append(frame)
                number += 1
            else:
                events += said(piece, number)
                number += len(piece)
        if draw(st.booleans()):
            events.append(End())
    return events


@settings(max_examples=150, deadline=None)
@given(sessions(), st.sampled_from([None, 0.1, 2.0]))
def test_nothing_that_came_while_it_was_closed_is_told_shown_or_logged(
    events: list[Event], seconds: float | None
) -> None:
    sink, log = run(events, lock(seconds))
    closed = True
    secret: set[str] = set()
    allowed: set[str] = set()
    for line in log.splitlines():
        entry = json.loads(line)
        if entry["event"] == "lock":
            closed = not entry["open"]
        elif entry["event"] in ("frames", "withheld"):
            assert ("float32" in entry) is not closed
            name = f"word{70_000 + entry['first']}"
            (secret if closed else allowed).add(name)
        elif entry["event"] == "begin" and closed:
            assert entry["sentence"] is None
        elif entry["event"] == "correction":
            assert not closed
            allowed.add(entry["word"])
    told = json.dumps(sink.messages)
    assert not [name for name in secret - allowed if f'"{name}"' in told]
    assert {f"word{round(features[4])}" for features, _ in sink.shown} <= allowed | {
        "word0"
    }  # zeros stand for the lost
    closed = False
    for message in sink.messages:
        if message["type"] == "lock":
            closed = not message["open"]
        assert not closed or message["type"] in ("lock", "notice")


@settings(max_examples=100, deadline=None)
@given(events=sessions(), seconds=st.sampled_from([None, 0.1, 2.0]))
def test_a_log_is_decoded_again_as_it_was_without_the_phrases(
    tmp_path_factory, events: list[Event], seconds: float | None
) -> None:
    sink, log = run(events, lock(seconds))
    path: Path = tmp_path_factory.mktemp("log") / "log"
    path.write_text(log, encoding="utf-8")
    again, log_again = Recorder(), StringIO()
    replay = LogReplay(path)
    assert replay.locked
    session(again, None).run(Logged(replay, log_again))
    assert again.messages == sink.messages
    assert again.shown == sink.shown
    assert log_again.getvalue() == log
    assert next(iter(replay)) == Turn(False, "start")
