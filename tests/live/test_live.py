"""The command: replay equals decode, a log is decoded again as it was, and what does not fit is said in a sentence."""

import csv
import json
import subprocess
from pathlib import Path

import pytest

from mode_ssm.cli import main
from mode_ssm.config import WordSearchConfig
from mode_ssm.language.confidence import Confidence
from mode_ssm.language.weights import write_weights
from mode_ssm.live.desk import Desk, Press
from mode_ssm.live.events import Correction, End
from mode_ssm.live.log import Logged
from tests.live.conftest import Laboratory
from tests.small import SESSIONS

SESSION = SESSIONS[1]


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What a command prints, on stdout or, where it fails, on stderr."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    told = capsys.readouterr()
    assert ended.value.code == status, told.err
    return told.err if status else told.out


def live(capsys: pytest.CaptureFixture[str], lab: Laboratory, *words: str, status: int = 0) -> str:
    named = [f"checkpoint={lab.run}", f"lm={lab.lm}", f"data.data_root={lab.data}", "speed=0"]
    return run(capsys, "live", *named, *words, status=status)


def wait_for_source(decoder: "subprocess.Popen[str]", name: str = "") -> None:
    """Read what the command prints until it has opened its source."""
    assert decoder.stdout is not None
    assert any(line.startswith(f"Source: {name}") for line in iter(decoder.stdout.readline, ""))


def messages(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("decoder", ["ctc", "rnnt", "joint"])
def test_a_replay_finds_the_words_of_decode(laboratory, tmp_path, capsys, decoder):
    named = [f"checkpoint={laboratory.run}", f"lm={laboratory.lm}", f"data.data_root={laboratory.data}"]
    run(capsys, "decode", *named, f"decoder={decoder}", f"output_dir={tmp_path}")
    with (tmp_path / "hypotheses.csv").open(encoding="utf-8") as file:
        decoded = [row["words"] for row in csv.DictReader(file) if row["session"] == SESSION]
    sink = f"sink=[jsonl:{tmp_path / 'said.jsonl'}]"
    agreed = ["commit_share=1", "commit_seconds=null"]
    live(capsys, laboratory, f"decoder={decoder}", f"source=replay:{SESSION}/val", sink, *agreed)
    told = messages(tmp_path / "said.jsonl")
    assert [" ".join(m["words"]) for m in told if m["type"] == "end"] == decoded
    assert len(decoded) == 3


@pytest.mark.parametrize("decoder", ["ctc", "rnnt", "joint"])
@pytest.mark.parametrize("learnt", [None, Confidence(2.8, 0.7, -0.3, 100, 0.01, 0.9)])
def test_words_are_as_sure_as_those_of_decode(laboratory, tmp_path, capsys, decoder, learnt):
    write_weights(tmp_path / "weights.json", WordSearchConfig(), 0.1, str(laboratory.lm), learnt)
    named = [f"checkpoint={laboratory.run}", f"lm={laboratory.lm}", f"data.data_root={laboratory.data}"]
    weights = f"weights={tmp_path / 'weights.json'}"
    run(capsys, "decode", *named, f"decoder={decoder}", f"output_dir={tmp_path}", weights, "alternatives=3")
    trials = [entry for entry in messages(tmp_path / "nbest.jsonl") if entry["session"] == SESSION]
    decoded = [[slot for slot in entry["network"] if slot["word"]] for entry in trials]
    sink = f"sink=[jsonl:{tmp_path / 'said.jsonl'}]"
    agreed = ["commit_share=1", "commit_seconds=null", "alternatives=3"]
    live(capsys, laboratory, f"decoder={decoder}", f"source=replay:{SESSION}/val", sink, weights, *agreed)
    told = messages(tmp_path / "said.jsonl")
    ends, sure = ([m for m in told if m["type"] == kind] for kind in ("end", "sure"))
    assert [m["words"] for m in ends] == [[slot["word"] for slot in slots] for slots in decoded]
    decoded = [slots for slots in decoded if slots]
    assert [m["end"] for m in sure] == [m["frame"] for m in ends if m["words"]]
    assert [m["posteriors"] for m in sure] == [approx([slot["posterior"] for slot in slots]) for slots in decoded]
    assert [m["alternatives"] for m in sure] == [
        [[[word, approx(share)] for word, share in slot["alternatives"]] for slot in slots] for slots in decoded
    ]
    if learnt is None:
        assert all(m["confidences"] is None for m in sure)
    else:
        assert [m["confidences"] for m in sure] == [approx([slot["confidence"] for slot in s]) for s in decoded]


def approx(value):
    return pytest.approx(value, abs=2e-3)


def test_a_trial_that_is_too_long_and_no_alternatives_say_nothing_of_how_sure_words_are(
    laboratory, tmp_path, capsys, monkeypatch
):
    for name, more in (("without", ["alternatives=0"]), ("long", [])):
        live(capsys, laboratory, f"source=replay:{SESSION}/val", f"sink=[jsonl:{tmp_path / name}]", *more)
        assert {m["type"] for m in messages(tmp_path / name)} == {"begin", "words", "end"}
        monkeypatch.setattr("mode_ssm.commands.live.LONGEST_SECONDS", 0.5)


def test_what_is_committed_is_only_ever_longer_and_frames_go_on(laboratory, tmp_path, capsys):
    live(capsys, laboratory, f"source=replay:{SESSION}/train", f"sink=[jsonl:{tmp_path / 'said.jsonl'}]")
    told = messages(tmp_path / "said.jsonl")
    assert [m["frame"] for m in told] == sorted(m["frame"] for m in told)
    assert {(m["checkpoint"], m["lm"]) for m in told} == {(told[0]["checkpoint"], told[0]["lm"])}
    committed: list[str] = []
    for message in told:
        if message["type"] == "begin":
            committed = []
        elif message["type"] == "words":
            assert message["committed"][: len(committed)] == committed
            committed = message["committed"]
            assert message["time"] == pytest.approx((message["frame"] + 1) * 0.02)
        elif message["type"] == "end":
            assert message["words"][: len(committed)] == committed


def test_a_log_is_decoded_again_as_it_was(laboratory, tmp_path, capsys):
    first, again, log = tmp_path / "first.jsonl", tmp_path / "again.jsonl", tmp_path / "log.jsonl"
    live(capsys, laboratory, f"source=replay:{SESSION}/val", f"sink=[jsonl:{first}]", f"log={log}")
    live(capsys, laboratory, f"source=log:{log}", f"sink=[jsonl:{again}]")
    without_times = [{k: v for k, v in m.items() if k != "ms"} for m in messages(first)]
    assert [{k: v for k, v in m.items() if k != "ms"} for m in messages(again)] == without_times
    log.write_text(log.read_text(encoding="utf-8")[:-10], encoding="utf-8")  # cut off while it was written
    live(capsys, laboratory, f"source=log:{log}", f"sink=[jsonl:{tmp_path / 'cut.jsonl'}]")
    cut = [m for m in messages(tmp_path / "cut.jsonl") if m["type"] != "sure"]
    assert len(cut) == sum(m["type"] != "sure" for m in messages(first)) - 1


def test_one_trial_on_the_console_and_how_long_steps_took(laboratory, tmp_path, capsys):
    printed = live(capsys, laboratory, f"source=replay:{SESSION}/val/trial_0001")
    uncalibrated, said, decoded, summary = printed.strip().splitlines()
    assert uncalibrated.startswith("Posteriors of words are not calibrated")
    assert said == "said     Unseen words."
    assert decoded.startswith("decoded  ")
    told = json.loads(summary)
    assert told["frames"] == {"taken": 90}
    assert told["step"]["steps"] == 20  # of 4 frames, after the first patch of 14
    assert told["end"]["steps"] == 1
    assert told["alarms"] == {}
    assert 0 < told["step"]["p50_ms"] <= told["step"]["p99_ms"] <= told["step"]["p99.9_ms"]


def test_phonemes_alone_need_no_language_model(laboratory, tmp_path, capsys):
    out = tmp_path / "said.jsonl"
    words = [f"checkpoint={laboratory.run}", f"data.data_root={laboratory.data}", "speed=0", "decoder=rnnt"]
    run(capsys, "live", *words, f"source=replay:{SESSION}/val", f"sink=[jsonl:{out}]")
    assert {m["words"] for m in messages(out) if m["type"] == "end"} == {None}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["source=replay:t15.2023.09.01/val"], "names no trial of"),
        (["source=replay"], "replay:SESSION/SPLIT/TRIAL, log:FILE, redis://HOST:PORT/STREAM or lsl:NAME"),
        (["source=log:nowhere"], "names no file; give what live.log=FILE wrote"),
        ([f"source=replay:{SESSION}/val", "sink=[gramophone]"], "give console, jsonl:FILE, page, page:PORT, redis:"),
        ([f"source=replay:{SESSION}/val", "sink=[page:http]"], "give console, jsonl:FILE, page, page:PORT, redis:"),
        ([f"source=replay:{SESSION}/val", "lm=nowhere"], "has no lexicon.txt"),
        ([f"source=replay:{SESSION}/val", "talk=button"], "needs the page that has the button; give sink=[page]"),
        ([f"source=replay:{SESSION}/val", "talk=button", "listen=true"], "and talk=button the page; give one"),
    ],
)
def test_what_does_not_fit_is_said(laboratory, capsys, words, sentence):
    assert sentence in live(capsys, laboratory, *words, status=2)


def test_a_network_that_needs_the_future_is_refused(laboratory, capsys):
    told = live(capsys, laboratory, f"source=replay:{SESSION}/val", f"checkpoint={laboratory.both}", status=2)
    assert "train with encoder.direction=causal" in told


def test_a_file_of_messages_is_never_written_over(laboratory, tmp_path, capsys):
    (tmp_path / "kept.jsonl").write_text("kept")
    sink = f"sink=[jsonl:{tmp_path / 'kept.jsonl'}]"
    told = live(capsys, laboratory, f"source=replay:{SESSION}/val", sink, status=2)
    assert "is there already; give another file" in told
    assert (tmp_path / "kept.jsonl").read_text() == "kept"


def test_a_line_that_is_no_event_is_named(laboratory, tmp_path, capsys):
    (tmp_path / "log").write_text('{"event": "end"}\n{"event": "song"}\n', encoding="utf-8")
    assert "no event of a log in line 2" in live(capsys, laboratory, f"source=log:{tmp_path / 'log'}", status=2)


def test_a_correction_in_a_log_is_told_again(laboratory, tmp_path, capsys):
    log, out = tmp_path / "log.jsonl", tmp_path / "said.jsonl"
    live(capsys, laboratory, f"source=replay:{SESSION}/val/trial_0001", f"log={log}")
    with log.open("a", encoding="utf-8") as file:
        meant = Correction(89, 0, "their", "")
        for event in Logged([meant, End()], file):
            assert event in (meant, End())
    printed = live(capsys, laboratory, f"source=log:{log}", f"sink=[console,jsonl:{out}]")
    told = next(m for m in messages(out) if m["type"] == "correction")
    assert {name: told[name] for name in meant._fields} == meant._asdict()
    assert "meant    (no word) in place of their" in printed


def test_the_button_of_the_page_begins_and_ends_trials(laboratory, tmp_path, capsys, monkeypatch):
    """Pressed by a browser that is there before the first frame, a replay is as without it."""

    def pressed(self, source):
        yield Press(True)
        yield from source

    monkeypatch.setattr(Desk, "joined", pressed)
    ends = []
    for name, more in (("source", []), ("button", ["talk=button"])):
        sink = f"sink=[page:0,jsonl:{tmp_path / name}]"
        live(capsys, laboratory, f"source=replay:{SESSION}/val", sink, *more)
        ends.append([{k: v for k, v in m.items() if k != "ms"} for m in messages(tmp_path / name)])
    assert ends[0] == ends[1]
    assert len(ends[0]) > 3
    monkeypatch.setattr(Desk, "joined", lambda _, source: source)
    live(capsys, laboratory, f"source=replay:{SESSION}/val", f"sink=[page:0,jsonl:{tmp_path / 'up'}]", "talk=button")
    assert messages(tmp_path / "up") == []
