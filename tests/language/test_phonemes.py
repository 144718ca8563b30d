"""`decode phonemes=FILE` and `tune phonemes=FILE`: made-up strings of a noisy decoder, by the real commands."""

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mode_ssm.cli import main
from mode_ssm.labels import T15
from mode_ssm.language.lexicon import write_lexicon
from mode_ssm.language.ngram import write_arpa
from mode_ssm.scoring import edit_counts, total

SPELLED = {
    "we": "W IY",
    "want": "W AA N T",
    "went": "W EH N T",
    "to": "T UW",
    "two": "T UW",
    "town": "T AW N",
    "down": "D AW N",
    "the": "DH AH",
    "he": "HH IY",
    "sees": "S IY Z",
    "dogs": "D AO G Z",
    "boats": "B OW T S",
}
PATTERNS = ("we want two boats", "he sees the town", "he sees two dogs", "we went to the boats", "he went down")
HEARD_AS = {"T": "D", "D": "T", "IY": "IH", "AA": "EH", "Z": "S"}  # what this decoder takes for what


def noisy(random: Random, labels: Sequence[str]) -> list[str]:
    heard: list[str] = []
    for label in labels:
        if random.random() < 0.08:
            continue
        heard.append(HEARD_AS[label] if label in HEARD_AS and random.random() < 0.5 else label)
        if random.random() < 0.03:
            heard.append("AH")
    return heard or ["AH"]


def lines(seed: int, count: int) -> list[dict[str, Any]]:
    random = Random(seed)
    made = []
    for number in range(count):
        sentence = random.choice(PATTERNS)
        said = [label for word in sentence.split() for label in (*SPELLED[word].split(), "|")]
        nbest = [{"score": -float(k), "phonemes": " ".join(noisy(random, said))} for k in range(3)]
        made.append({"id": f"line {number}", "sentence": f"{sentence.capitalize()}.", "nbest": nbest})
    return made


def write(path: Path, entries: Sequence[dict[str, Any]]) -> str:
    text = "".join(json.dumps(entry) + "\n" for entry in entries).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def looked_up(phonemes: str) -> list[str]:
    """The words of a string whose pronunciations stand in it as they are; any other stays as it is."""
    words = {spelling: word for word, spelling in reversed(SPELLED.items())}
    return [words.get(part.strip(), part.strip()) for part in phonemes.split("|") if part.strip()]


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lm")
    write_lexicon(folder / "lexicon.txt", {word: (tuple(T15.ids(s)),) for word, s in SPELLED.items()})
    write_arpa([pattern.split() for pattern in PATTERNS], frozenset(SPELLED), 3, folder / "lm.arpa")
    return str(folder)


@pytest.fixture(scope="module")
def learnt(lm: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("learnt")
    path = write(folder / "train.jsonl.gz", lines(1, 40))
    run("tune", f"phonemes={path}", f"lm={lm}", f"out={folder / 'made' / 'confusions.json'}")
    return str(folder / "made" / "confusions.json")


def test_words_are_better_than_those_looked_up(
    lm: str, learnt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unseen = lines(2, 20)
    path, out = write(tmp_path / "unseen.jsonl", unseen), tmp_path / "out"
    run("decode", f"phonemes={path}", f"confusions={learnt}", f"lm={lm}", f"output_dir={out}", "nbest=5")
    said = [entry["sentence"].lower().strip(".").split() for entry in unseen]
    with (out / "hypotheses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [entry["id"] for entry in unseen]
    assert [row["sentence"] for row in rows] == [entry["sentence"] for entry in unseen]
    wer = total(edit_counts(s, row["words"].split()) for s, row in zip(said, rows, strict=True)).rate
    greedy = total(edit_counts(s, looked_up(e["nbest"][0]["phonemes"])) for s, e in zip(said, unseen, strict=True)).rate
    summary = json.loads((out / "decode.json").read_text())
    assert summary["wer"] == wer < greedy / 2
    assert (summary["trials"], summary["oov_rate"]) == (20, 0.0)
    assert summary["oracle_wer"] <= wer
    assert f"{100 * wer:.2f}" in capsys.readouterr().out
    nbest = [json.loads(line) for line in (out / "nbest.jsonl").read_text().splitlines()]
    assert [entry["nbest"][0]["words"] for entry in nbest] == [row["words"] for row in rows]
    assert max(len(entry["nbest"]) for entry in nbest) > 1
    first = rows[0]["words"].split()
    assert rows[0]["predicted_phonemes"] == " ".join(f"{SPELLED[word]} |" for word in first)


def test_without_sentences_words_are_found_and_not_counted(lm: str, learnt: str, tmp_path: Path) -> None:
    both = []
    for name, keys in (("named", ("session", "block", "trial")), ("plain", ("id",))):
        entries = [{**dict.fromkeys(keys, n), "nbest": line["nbest"]} for n, line in enumerate(lines(3, 4))]
        path, out = write(tmp_path / f"{name}.jsonl", entries), tmp_path / name
        run("decode", f"phonemes={path}", f"confusions={learnt}", f"lm={lm}", f"output_dir={out}")
        assert "wer" not in json.loads((out / "decode.json").read_text())
        with (out / "hypotheses.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0])[: len(keys)] == keys
        both.append([row["words"] for row in rows])
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1, "nbest": [{"score": 0, "phonemes": "AH |"}]}\n{"id"', "line 2, is not JSON"),
        ('{"id": 1, "nbest": [{"score": 0, "phonemes": "AH QQ |"}]}', "line 1: 'QQ' is none of the 40 labels"),
        ('{"id": 1}', "line 1, lacks 'nbest'"),
        ('{"id": 1, "nbest": []}', "line 1: its nbest is empty"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    lm: str, learnt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "lines.jsonl").write_text(text)
    given = (f"phonemes={tmp_path / 'lines.jsonl'}", f"lm={lm}")
    assert message in refused(capsys, "decode", *given, f"confusions={learnt}", f"output_dir={tmp_path / 'out'}")
    assert message in refused(capsys, "tune", *given, f"out={tmp_path / 'kept.json'}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lines.jsonl"]


def test_settings_that_would_be_ignored_are_refused(
    lm: str, learnt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "lines.jsonl", lines(4, 1))
    given, out = (f"phonemes={path}", f"lm={lm}"), f"output_dir={tmp_path / 'out'}"
    assert "needs confusions=FILE" in refused(capsys, "decode", *given, out)
    assert "give output_dir" in refused(capsys, "decode", *given, f"confusions={learnt}")
    error = refused(capsys, "decode", *given, f"confusions={learnt}", out, "search.lm_weight=1", "checkpoint=run")
    assert "phonemes=FILE does not go with checkpoint, search;" in error
    assert "is for phonemes" in refused(capsys, "decode", f"lm={lm}", "checkpoint=run", f"confusions={learnt}")
    assert "needs what to decode" in refused(capsys, "decode", f"lm={lm}")
    assert "needs what to tune on" in refused(capsys, "tune", f"lm={lm}")
    assert "is for phonemes" in refused(capsys, "tune", f"lm={lm}", "checkpoint=run", "out=kept.json")
    assert "give out=FILE" in refused(capsys, "tune", *given)
    assert "1 lines say what was said" in refused(capsys, "tune", *given, f"out={tmp_path / 'kept.json'}")


@pytest.mark.parametrize("broken", [None, {"lm_weight": 1.0}, "text"])
def test_a_file_without_its_weights_is_refused(
    lm: str, learnt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: object
) -> None:
    path = write(tmp_path / "lines.jsonl", lines(4, 1))
    kept = json.loads(Path(learnt).read_text())
    kept["search"] = dict.fromkeys(kept["search"], "much") if broken == "text" else broken
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    words = (f"phonemes={path}", f"lm={lm}", f"confusions={tmp_path / 'kept.json'}", f"output_dir={tmp_path / 'out'}")
    assert "weights" in refused(capsys, "decode", *words)


def test_strings_of_other_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same strings in letters that stand for phonemes, in another order, say the same words."""
    symbols = ["/", *(f"s{number}" for number in reversed(range(1, 40))), "_"]
    letter = {T15.symbols[number]: f"s{number}" for number in range(1, 40)} | {"|": "/"}

    def written(phonemes: str) -> str:
        return " ".join(letter[symbol] for symbol in phonemes.split())

    labels = tmp_path / "labels.yaml"
    labels.write_text(json.dumps({"symbols": symbols, "blank": "_", "boundary": "/"}))
    lm = tmp_path / "lm"
    lm.mkdir()
    (lm / "lexicon.txt").write_text("".join(f"{word}  {written(said)}\n" for word, said in SPELLED.items()))
    write_arpa([pattern.split() for pattern in PATTERNS], frozenset(SPELLED), 3, lm / "lm.arpa")
    entries = lines(5, 30)
    for entry in entries:
        for one in entry["nbest"]:
            one["phonemes"] = written(one["phonemes"])
    path, out = write(tmp_path / "lines.jsonl", entries), tmp_path / "out"
    kept, given = tmp_path / "kept.json", (f"lm={lm}", f"labels={labels}")
    run("tune", f"phonemes={path}", *given, f"out={kept}")
    run("decode", f"phonemes={path}", *given, f"confusions={kept}", f"output_dir={out}")
    assert json.loads((out / "decode.json").read_text())["wer"] < 0.1
    first, *_ = csv.DictReader((out / "hypotheses.csv").read_text().splitlines())
    assert first["predicted_phonemes"] == " ".join(f"{written(SPELLED[word])} /" for word in first["words"].split())
    capsys.readouterr()
    error = refused(capsys, "decode", f"phonemes={path}", f"lm={lm}", f"confusions={kept}", f"output_dir={out}")
    assert "line 1: 's" in error
    assert "is none of the 40 labels, such as AA AE AH" in error
    labels.write_text(json.dumps({"symbols": symbols, "blank": "_"}))
    assert "have no word boundary" in refused(capsys, "tune", f"phonemes={path}", *given, f"out={kept}")


def test_hot_words_are_found_in_strings(lm: str, learnt: str, tmp_path: Path) -> None:
    heard = {"id": 1, "nbest": [{"score": 0.0, "phonemes": "W IY | W AA N T | Z AO R P |"}]}
    path, out, hot = write(tmp_path / "lines.jsonl", [heard]), tmp_path / "out", tmp_path / "hot.txt"
    hot.write_text("want zorp 6\n")
    given = (f"phonemes={path}", f"lm={lm}", f"confusions={learnt}", f"output_dir={out}")
    run("decode", *given)
    assert "zorp" not in (out / "hypotheses.csv").read_text()
    run("decode", *given, f"search.hotwords={hot}")
    assert "we want zorp" in (out / "hypotheses.csv").read_text()
