"""The section about words: every word found stands there with how sure it is, beside what was said."""

import csv
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mode_ssm.cli import main
from mode_ssm.commands.word_results import WordDetails, write_results
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.language.confidence import Confidence
from mode_ssm.language.decoded_slots import folders_of_split, read_slots
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.search import Found
from mode_ssm.language.word_slots import WordSlot
from mode_ssm.language.word_times import WordTime
from mode_ssm.report.said_words import beside_said
from mode_ssm.scoring import word_errors
from tests.language.conftest import trial
from tests.report.conftest import MALICIOUS, Command
from tests.report.reading import PageReader, read
from tests.report.recorded import write_recorded

WORDS = st.lists(st.sampled_from(["he", "is", "here", "now"]), max_size=6)
SLOTS = (
    WordSlot("he", 0.97, (("she", 0.02),), WordTime(0.5, 0.62)),
    WordSlot("", 0.7, (("is", 0.3),), WordTime(0.62, 0.7)),
    WordSlot("here", 0.85, (), WordTime(0.7, 1.0)),
    WordSlot("no", 0.4, (("now", 0.35), (MALICIOUS, 0.2), ("", 0.004)), WordTime(1.0, 1.234)),
)
CONFIDENCE = Confidence(2.0, 1.0, 0.0, 123, 0.01, 0.9)  # leaves a posterior as it is


@given(WORDS, st.lists(st.sampled_from(["he", "is", "here", "now", ""]), max_size=8))
@example(["he", "is", "here", "now"], ["he", "", "here"])
def test_as_many_places_differ_as_there_are_word_errors(said: list[str], found: list[str]) -> None:
    slots = [WordSlot(word, 0.5, ()) for word in found]
    places = beside_said(" ".join(said), slots)
    assert [place.slot for place in places if place.slot is not None] == slots
    if said:
        words = [word for word in found if word]
        assert sum(place.said is not None for place in places) == word_errors(" ".join(said), " ".join(words)).edits
        spoken = [place.slot.word if place.slot and place.said is None else place.said for place in places]
        assert [word for word in spoken if word] == said
    assert all(place.said is None for place in beside_said(None, slots))


def write_decoded_run(
    run: Path, name: str, slots: Sequence[Sequence[WordSlot]] = (SLOTS,), *, alternatives: int = 5, said: bool = True
) -> Path:
    """What decode writes, by its own writer."""
    folder = run / "decoding" / name
    texts = [tuple(slot.word for slot in own if slot.word) for own in slots]
    results = [
        Found(
            trial(n, "He is here now then." if said else None), [WordHypothesis(text, -1.0, 0.0, (1, 40))], tuple(own)
        )
        for n, (text, own) in enumerate(zip(texts, slots, strict=True))
    ]
    summary: dict[str, Any] = {
        "split": name.split("-")[0],
        "decoder": "ctc",
        "trials": len(slots),
        "search": {"lm_weight": 1.0},
    }
    summary |= {"wer": 0.5, "word_edits": 2, "reference_words": 4} if said else {}
    write_results(folder, summary, results, T15, WordDetails(None, CONFIDENCE, alternatives))
    return folder


def words_of(page: str) -> str:
    """The text of the section, spaces made one."""
    part = re.search(r'<section id="words">.*?</section>', page, re.DOTALL)
    assert part
    return " ".join(PageReader(part[0]).words.split())


def test_words_tell_how_sure_they_are_and_what_was_said(tmp_path: Path, make_report: Command) -> None:
    folder = write_decoded_run(write_recorded(tmp_path / "run"), "val-ctc")
    page = make_report(tmp_path / "run")
    words = words_of(page)
    assert f"What mode-ssm decode wrote in {folder}, the newest of the val split" in words
    assert "He is here now then." in words
    assert "he 97 %, 0.50 to 0.62 s she 2.0 %" in words
    assert "is + 70 % no word, 0.62 to 0.70 s is 30 %" in words
    assert f"now no 40 %, 1.00 to 1.23 s now 35 % {MALICIOUS} 20 % no word 0.4 %" in words
    assert words.endswith("then ·")
    assert "learnt by mode-ssm tune on 123 words" in words
    assert 'class="sure0" title="97 %">he<' in page
    assert 'class="sure3" title="40 %">no<' in page
    assert page.count("<details>") == page.count('<div class="more">') == 4
    tiles = read(page).words
    assert re.search(r"word error rate, ctc\s+50.00 %\s+2 errors in 4 words", tiles)


@pytest.mark.parametrize(
    ("sure", "level"), [(1.0, 0), (0.95, 0), (0.9499, 1), (0.8, 1), (0.79, 2), (0.5, 2), (0.49, 3), (0.0, 3)]
)
def test_levels(sure: float, level: int, tmp_path: Path, make_report: Command) -> None:
    write_decoded_run(
        write_recorded(tmp_path / "run", updates=20, validations=1), "val-ctc", [[WordSlot("he", sure, ())]]
    )
    page = make_report(tmp_path / "run")
    assert f'<summary class="sure{level}"' in page
    assert "nothing else was found" in words_of(page)


def test_the_newest_of_the_split_is_shown(tmp_path: Path, make_report: Command) -> None:
    run = write_recorded(tmp_path / "run", updates=20, validations=1)
    for age, name in enumerate(("val-joint", "val-ctc", "test-ctc")):
        folder = write_decoded_run(run, name, said=name != "test-ctc")
        os.utime(folder / "decode.json", (1e9 + age, 1e9 + age))
    assert [one.path.name for one in folders_of_split(run / "decoding", "val")] == ["val-ctc", "val-joint"]
    assert "decoding/val-ctc, the newest" in words_of(make_report(run))
    on_test = words_of(make_report(run, "split=test"))
    assert "decoding/test-ctc, the newest of the test split" in on_test
    assert "no labels" in on_test
    assert "(what was said is not known)" in on_test
    named = words_of(make_report(run, f"decoded={run / 'decoding' / 'val-joint'}"))
    assert "decoding/val-joint, the named" in named


def test_sentences_are_spread_from_the_surest_to_the_least_sure(tmp_path: Path, make_report: Command) -> None:
    run = write_recorded(tmp_path / "run", updates=20, validations=1)
    write_decoded_run(run, "val-ctc", [[WordSlot("he", place / 10, ())] for place in range(11)])
    words = words_of(make_report(run, "sentences=3"))
    assert "3 of 11 sentences" in words
    assert re.findall(r"he (\S* ?[\d.]+ %)", words) == ["over 99 %", "50 %", "under 0.1 %"]
    assert "No sentence was asked for" in words_of(make_report(run, "sentences=0"))


def test_what_is_not_there_is_said(tmp_path: Path, make_report: Command) -> None:
    run = write_recorded(tmp_path / "run", updates=20, validations=1)
    assert f"mode-ssm decode checkpoint={run} lm=LM split=val finds words" in words_of(make_report(run))
    folder = write_decoded_run(run, "val-ctc", alternatives=0)
    assert f"{folder} holds no posteriors of words; run mode-ssm decode again" in words_of(make_report(run))
    (folder / "nbest.jsonl").write_text('{"id": "a", "network": [{"word": "he"}]}\n')
    assert "nbest.jsonl, line 1, lacks 'posterior'" in words_of(make_report(run))
    (folder / "decode.json").write_text("{")
    assert f"{folder / 'decode.json'} cannot be read" in words_of(make_report(run))


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [(1, "decode.json cannot be read (No such file or directory); give a folder that mode-ssm decode wrote."),
     (2, "decoded=FOLDER is shown on the page about one run; name one run")],
)  # fmt: skip
def test_a_named_folder_must_be_one(
    runs: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(write_recorded(tmp_path / f"run{n}", updates=20, validations=1)) for n in range(runs)]
    with pytest.raises(SystemExit) as exit_:
        main(["report", *names, f"decoded={tmp_path / 'gone'}"])
    assert exit_.value.code == 2
    assert sentence in capsys.readouterr().err


def test_slots_come_back_as_decode_wrote_them(tmp_path: Path) -> None:
    folder = write_decoded_run(tmp_path, "val-ctc")
    (found,) = read_slots(folder)
    assert [slot.word for slot in found.slots] == ["he", "", "here", "no"]
    with open(folder / "hypotheses.csv", encoding="utf-8") as file:
        assert found.sentence == next(csv.DictReader(file))["sentence"] == "He is here now then."
    assert found.slots[3].time == WordTime(1.0, 1.234)
    assert json.loads((folder / "decode.json").read_text())["confidence"]["words"] == 123
    with pytest.raises(InputError, match="cannot be read"):
        read_slots(tmp_path)
