"""One tokeniser: what of written text is spoken."""

import gzip
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.errors import InputError
from mode_ssm.language.numbers import cardinal, spell_numbers
from mode_ssm.language.text import read_sentences, spoken_words
from mode_ssm.scoring import normalise_sentence


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Isn\u2019t it?", "isn't it"),
        ("\u201cYes,\u201d he said\u2014then left", "yes he said then left"),
        ("said\u2013then and said--then", "said then and said then"),
        ("a well-known fact -- or not - perhaps", "a well-known fact or not perhaps"),
        ("<s> OK <unk> [laughter] so [in audible] </s>", "ok so"),
        ("don't 'go' to the dogs' home, it's o'clock", "don't go to the dogs' home it's o'clock"),
        ("caf\u00e9 na\u00efve \u00e6on stra\u00dfe", "cafe naive aeon strasse"),
        ("at 5 p.m. in the U.S.A. e.g. now", "at five pm in the usa eg now"),
        ("end.Start/stop_here", "end start stop here"),
        ("salt & pepper, R&B", "salt and pepper r b"),
        ("5 < 6 and [unclosed", "five six and unclosed"),
        ("\u4f60\u597d you", "you"),
        ("- ' -- ...", ""),
    ],
)
def test_what_is_spoken(line: str, said: str) -> None:
    assert " ".join(spoken_words(line)) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("20", "twenty"),
        ("0", "zero"),
        ("101", "one hundred one"),
        ("1,250", "one thousand two hundred fifty"),
        ("1984", "nineteen eighty four"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2000", "two thousand"),
        ("2005", "two thousand five"),
        ("2024", "twenty twenty four"),
        ("1980s", "nineteen eighties"),
        ("20s", "twenties"),
        ("6's", "sixes"),
        ("1st 2nd 3rd 4th 12th 20th 21st", "first second third fourth twelfth twentieth twenty first"),
        ("3.14", "three point one four"),
        ("50%", "fifty percent"),
        ("$1 $5 $1.50", "one dollar five dollars one dollar fifty cents"),
        ("$3.5 million", "three point five million dollars"),
        ("\u00a32.10", "two pounds ten pence"),
        ("10:30 9:05 7:00", "ten thirty nine oh five seven"),
        ("007", "zero zero seven"),
        ("5pm b12 mp3s", "five pm b twelve mp threes"),
        ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
        ("4567", "four thousand five hundred sixty seven"),
        ("24/7", "twenty four seven"),
        ("20-year-old covid-19", "twenty year-old covid nineteen"),
        ("1990-1995", "nineteen ninety nineteen ninety five"),
    ],
)
def test_numbers_are_read_aloud(written: str, said: str) -> None:
    assert " ".join(spoken_words(f"x {written} y")) == f"x {said} y"
    assert spell_numbers("no number") == "no number"


@given(st.integers(0, 10**15 - 1))
def test_a_number_in_words_is_that_number(number: int) -> None:
    """Read back word by word: units add up, a scale multiplies."""
    total, part = 0, 0
    values = {" ".join(cardinal(n)): n for n in [*range(20), *range(20, 100, 10)]}
    for word in cardinal(number):
        if word == "hundred":
            part *= 100
        elif word in ("thousand", "million", "billion", "trillion"):
            total += part * 10 ** {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}[word]
            part = 0
        else:
            part += values[word]
    assert total + part == number


@given(st.text(max_size=60))
def test_any_text_becomes_words_that_stay_as_they_are(line: str) -> None:
    words = spoken_words(line)
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz'-") and word.strip("'-") for word in words)
    assert spoken_words(" ".join(words)) == words


@given(st.lists(st.from_regex(r"[a-z]+(?:[-'][a-z]+)?", fullmatch=True), max_size=6))
def test_words_are_those_that_are_scored(words: list[str]) -> None:
    assert normalise_sentence(" ".join(spoken_words(" ".join(words)))).split() == words


def test_files_are_read_packed_or_not_in_latin_1_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "\ufeffOne\r\nd\u00e9j\u00e0 vu\n"
    (tmp_path / "a.txt").write_text(text, newline="")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "b.txt").write_bytes("One\nd\u00e9j\u00e0 vu\n".encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert list(read_sentences(tmp_path / "a.txt")) == [["one"], ["deja", "vu"]]
        assert list(read_sentences(tmp_path / "a.txt.gz")) == [["one"], ["deja", "vu"]]
        assert not caplog.messages
        assert list(read_sentences(tmp_path / "b.txt")) == [["one"], ["deja", "vu"]]
    assert "is not UTF-8 from line 2 on; it is read as Latin-1" in caplog.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"a\0b", "line 1, has a zero byte"), (b"\x1f\x8b--", "cannot be read"), (None, "cannot be read .No such file")],
)
def test_what_is_no_text_is_said(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        list(read_sentences(tmp_path / "a.txt"))
