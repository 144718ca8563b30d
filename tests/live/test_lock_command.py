"""The command with a lock: a network that speaks much, phrases out of what it says, every byte that it wrote."""

import base64
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from mode_ssm.config import LiveConfig
from mode_ssm.labels import T15
from mode_ssm.live.phrases import LEAST_PHONEMES, read_phrase
from mode_ssm.settings import read_settings
from tests.language.conftest import save_network
from tests.live.conftest import CAUSAL
from tests.live.test_live import SESSION, messages, run
from tests.small import write_data

LONG = 10  # phonemes of a phrase


class Place(NamedTuple):
    data: Path
    run: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three val trials of six seconds, and a network that hears something in nearly every frame of them."""
    folder = tmp_path_factory.mktemp("lock")
    return Place(write_data(folder / "data", frames=300), save_network(folder / "run", 5, *CAUSAL))


def live(capsys: pytest.CaptureFixture[str], place: Place, out: Path, *words: str, status: int = 0) -> list[dict]:
    """The messages, without the times of steps."""
    named = [f"checkpoint={place.run}", f"data.data_root={place.data}", "speed=0", "decoder=ctc"]
    source = [] if any(word.startswith("source=") for word in words) else [f"source=replay:{SESSION}/val"]
    printed = run(capsys, "live", *named, *source, f"sink=[jsonl:{out},console]", *words, status=status)
    out.with_suffix(".console").write_text(printed, encoding="utf-8")
    return [{key: value for key, value in message.items() if key != "ms"} for message in messages(out)]


def phonemes(told: list[dict], trial: int = 0) -> list[str]:
    """That were heard in a trial, counted from 0."""
    begun = [place for place, message in enumerate(told) if message["type"] == "begin"]
    return [symbol for m in told[begun[trial] :] if m["type"] == "words" for symbol in m["phonemes"]]


def phrase(heard: list[str]) -> str:
    """The phonemes before the first boundary that comes after enough of them."""
    pieces = " ".join(heard).split("|")[:-1]
    return " ".join(next(piece.split()[-LONG:] for piece in pieces if len(piece.split()) >= LONG))


def locks(told: list[dict]) -> list[str]:
    return [f"{'open' if m['open'] else 'closed'} by {m['why']}" for m in told if m["type"] == "lock"]


@pytest.fixture
def opening(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Settings of a lock that the second trial opens."""
    heard = phonemes(live(capsys, place, tmp_path / "unlocked"), trial=1)
    return [f'lock.open="{phrase(heard)}"', "lock.phonemes=true"]


def test_what_is_said_before_the_phrase_stays_in_the_process(place, tmp_path, capsys, opening):
    told = live(capsys, place, tmp_path / "said", *opening, f"log={tmp_path / 'log'}")
    assert locks(told) == ["closed by start", "open by phrase"]
    opened = next(number for number, message in enumerate(told) if message["type"] == "lock" and message["open"])
    assert {message["type"] for message in told[:opened]} == {"lock"}
    begun, *_, end = told[opened + 1 :]
    assert (begun["type"], begun["trial"], begun["sentence"]) == ("begin", f"{SESSION}/val/trial_0001", None)
    assert end["type"] == "end"
    log = [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]
    turned = next(number for number, entry in enumerate(log) if entry["event"] == "lock" and entry["open"])
    assert {entry["event"] for entry in log[:turned]} == {"lock", "begin", "end", "withheld"}
    assert log[turned - 1]["first"] == told[opened]["frame"]
    kept = b"".join(base64.b64decode(entry["float32"]) for entry in log if entry["event"] == "frames")
    assert len(kept) == 4 * 8 * (900 - 1 - told[opened]["frame"])
    secret = opening[0].split('"')[1]
    for name in ("said", "said.console", "log"):
        written = (tmp_path / name).read_text(encoding="utf-8")
        assert secret not in written
        if name != "log":
            before = written.partition('"open": true' if name == "said" else "open\n")[0]
            assert "Unseen" not in before
            assert "phonemes" not in before


def test_a_log_with_a_lock_is_decoded_again_with_the_same_settings_and_with_none(place, tmp_path, capsys, opening):
    told = live(capsys, place, tmp_path / "said", *opening, "lock.seconds=null", f"log={tmp_path / 'log'}")
    after = phonemes([message for message in told if message["type"] != "lock"])
    closing = f'lock.close="{phrase(after)}"'
    log = tmp_path / "log with both"
    told = live(capsys, place, tmp_path / "both", *opening, closing, f"log={log}")
    assert locks(told) == ["closed by start", "open by phrase", "closed by phrase"]
    assert [message["type"] for message in told[-2:]] == ["end", "lock"]
    assert live(capsys, place, tmp_path / "without", f"source=log:{log}") == told
    assert live(capsys, place, tmp_path / "with", f"source=log:{log}", *opening, closing) == told
    assert "no phrase is listened for" in (tmp_path / "with.console").read_text(encoding="utf-8")


def test_speech_that_the_network_finds_opens_too(place, tmp_path, capsys, opening):
    listen = ["listen=true", "listening.onset_labels=0.01", "listening.end_seconds=60", "listening.forget_seconds=600"]
    log = tmp_path / "log"
    told = live(capsys, place, tmp_path / "said", *opening, *listen, f"log={log}")
    assert locks(told) == ["closed by start", "open by phrase"]
    assert [message["type"] for message in told[:3]] == ["lock", "lock", "begin"]
    assert live(capsys, place, tmp_path / "again", f"source=log:{log}", *listen) == told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lock.open=AA B", "lock.phonemes=true"], "lock.open has 2 phonemes, so few that other speech sounds like it"),
        (["lock.open=AA QQ", "lock.phonemes=true"], "lock.open: 'QQ' is none of the 40 labels"),
        (["lock.open=ah bee"], "without a language model their pronunciation is not known; give lm=FOLDER"),
        (["lock.close=ah bee"], "lock.close is given without lock.open; give the phrase that opens the lock too"),
        (["lock.open=bee ab sesame bee ab", "lm=LM"], "has the word 'sesame', whose pronunciation is not known"),
        (["lock.open=ab ab ab ab", "lock.close=ab ab ab ab", "lm=LM"], "lock.close sounds as lock.open does"),
        (['lock.open="?"', "lm=LM"], "lock.open has 0 phonemes"),
    ],
)
def test_a_phrase_that_cannot_be_heard_is_refused_at_the_start(place, tmp_path, capsys, lm_folder, words, sentence):
    named = [f"checkpoint={place.run}", f"data.data_root={place.data}", "speed=0", f"source=replay:{SESSION}/val"]
    words = [word.replace("LM", str(lm_folder)) for word in words]
    assert sentence in run(capsys, "live", *named, *words, f"log={tmp_path / 'log'}", status=2)
    assert not (tmp_path / "log").exists()


def test_every_pronunciation_counts_and_boundaries_are_left_out() -> None:
    words = {"ab": ((1, 7),), "bee": ((7,), (7, 7))}
    assert read_phrase("lock.open", "Ab ab, ab bee!", T15, words | {"ab": ((1, 7, 1),)}) == [
        (*(1, 7, 1) * 3, 7),
        (*(1, 7, 1) * 3, 7, 7),
    ]
    assert read_phrase("lock.open", "AA B | AA1 B | AA B | AA B |", T15, None) == [(1, 7) * 4]
    assert len(read_phrase("lock.open", " ".join(["bee"] * LEAST_PHONEMES), T15, words)) == 32


def test_settings_have_their_places() -> None:
    given = ["checkpoint=c", "source=s", 'lock.open="open the door"', "lock.seconds=null"]
    settings = read_settings(LiveConfig, given)
    assert (settings.lock.open, settings.lock.seconds, settings.lock.close) == ("open the door", None, None)
    assert np.isclose(settings.lock.threshold, 2.25)
