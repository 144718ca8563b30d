"""The command: replay equals decode, a log is decoded again as it was, and what does not fit is said in a sentence."""

import csv
import json
from pathlib import Path

import pytest

from mode_ssm.cli import main
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
        else:
            assert message["words"][: len(committed)] == committed


def test_a_log_is_decoded_again_as_it_was(laboratory, tmp_path, capsys):
    first, again, log = tmp_path / "first.jsonl", tmp_path / "again.jsonl", tmp_path / "log.jsonl"
    live(capsys, laboratory, f"source=replay:{SESSION}/val", f"sink=[jsonl:{first}]", f"log={log}")
    live(capsys, laboratory, f"source=log:{log}", f"sink=[jsonl:{again}]")
    without_times = [{k: v for k, v in m.items() if k != "ms"} for m in messages(first)]
    assert [{k: v for k, v in m.items() if k != "ms"} for m in messages(again)] == without_times
    log.write_text(log.read_text(encoding="utf-8")[:-10], encoding="utf-8")  # cut off while it was written
    live(capsys, laboratory, f"source=log:{log}", f"sink=[jsonl:{tmp_path / 'cut.jsonl'}]")
    assert len(messages(tmp_path / "cut.jsonl")) == len(messages(first)) - 1


def test_one_trial_on_the_console_and_how_long_steps_took(laboratory, tmp_path, capsys):
    printed = live(capsys, laboratory, f"source=replay:{SESSION}/val/trial_0001")
    said, decoded, summary = printed.strip().splitlines()
    assert said == "said     Unseen words."
    assert decoded.startswith("decoded  ")
    told = json.loads(summary)
    assert told["frames"] == {"taken": 90}
    assert told["step"]["steps"] == 20  # of 4 frames, after the first patch of 14
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
        (["source=replay"], "replay:SESSION/SPLIT/TRIAL, log:FILE or redis://HOST:PORT/STREAM"),
        (["source=log:nowhere"], "names no file; give what live.log=FILE wrote"),
        ([f"source=replay:{SESSION}/val", "sink=[gramophone]"], "give console, jsonl:FILE, page, page:PORT or redis:"),
        ([f"source=replay:{SESSION}/val", "sink=[page:http]"], "give console, jsonl:FILE, page, page:PORT or redis:"),
        ([f"source=replay:{SESSION}/val", "lm=nowhere"], "has no lexicon.txt"),
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
