"""ARPA files with the oddities of the tools that write them, and what is said of those that cannot be read."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import LN10, BackoffModel, read_arpa
from mode_ssm.language.ngram_store import NGramStore

PLAIN = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.3
-0.9\t</s>
-0.8\the\t-0.25
-0.7\tsaid\t-0.5

\\2-grams:
-0.4\t<s> he
-0.3\the said
-0.5\tsaid </s>

\\end\\
"""


def read(folder: Path, content: str | bytes) -> BackoffModel:
    path = folder / "lm.arpa"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_arpa(path)


def log10_scores(model: BackoffModel, *words: str) -> float:
    store = NGramStore.of(model)
    return store.sentence_score([store.index(word) for word in words]) / LN10


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\t", " "),
        PLAIN.replace(" ", "\t").replace("ngram\t", "ngram "),
        PLAIN.replace("<unk>", "<UNK>"),
        "Made by a tool.\nngram 1=99\n\n" + PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("ngram 1=5", "ngram  1 = 5"),
        PLAIN.replace("\n\n", "\n \n\n"),
        PLAIN.replace("he said\n", "he said\t-0.7\n"),  # a back-off weight of the highest order
        PLAIN + "\nwhat follows the end\n",
        gzip.compress(PLAIN.encode(), mtime=0),
    ],
    ids="plain CRLF spaces tabs UNK comments BOM counts blanks backoffs trailer gzip".split(),
)
def test_oddities_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | bytes) -> None:
    with caplog.at_level(logging.WARNING):
        model = read(tmp_path, content)
    assert model.words == ("<unk>", "<s>", "</s>", "he", "said")
    assert log10_scores(model, "he", "said") == pytest.approx(-0.4 - 0.3 - 0.5, abs=1e-6)
    assert log10_scores(model, "said", "what") == pytest.approx(-0.3 - 0.7 - 0.5 - 1.5 - 0.9, abs=1e-6)
    assert not caplog.messages


def test_without_unk_an_unknown_word_is_next_to_impossible(tmp_path: Path) -> None:
    model = read(tmp_path, PLAIN.replace("-1.5\t<unk>\n", "").replace("1=5", "1=4"))
    assert model.words[-1] == "<unk>"
    assert log10_scores(model, "what") == pytest.approx(-0.3 - 100 - 0.9, abs=1e-4)


def test_positive_log_probabilities_count_as_0(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = read(tmp_path, PLAIN.replace("-0.3\the said", "1e-07\the said").replace("-0.5\tsaid <", "0.2\tsaid <"))
    assert log10_scores(model, "he", "said") == pytest.approx(-0.4, abs=1e-6)
    assert "has 2 positive log-probabilities, read as 0" in caplog.text


def test_the_logarithm_of_0_stays_finite(tmp_path: Path) -> None:
    model = read(tmp_path, PLAIN.replace("-0.3\the said", "-inf\the said"))
    assert np.exp(model.orders[1].log_probs[1]) == 0.0
    assert log10_scores(model, "he", "said") == pytest.approx(-0.4 - 99 - 0.5, abs=1e-4)


def test_counts_that_do_not_match_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = read(tmp_path, PLAIN.replace("2=3", "2=4"))
    assert "promises 5 + 4 n-grams and has 5 + 3" in caplog.text
    assert len(model.orders[1].log_probs) == 3


def test_latin_1_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, PLAIN.replace("he", "café").encode("latin-1")).words[3] == "café"
    assert read(tmp_path, PLAIN.replace("he", "café")).words[3] == "café"
    nbsp = PLAIN.replace("he", "a\u00a0b")  # no space that parts words
    assert read(tmp_path, nbsp).words[3] == "a\u00a0b"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", r"has no line \\data\\; give a whole ARPA file"),
        ("no language model\n", r"has no line \\data\\"),
        ("\\data\\\n", "line 1, is the last; give a whole ARPA file"),
        ("\\data\\\nngram 1=0\n\\end\\\n", "line 3, ends before the first word"),
        (PLAIN.replace("ngram 2=3", "2 is 3"), "line 3, has '2 is 3' where a count such as ngram 1=5000"),
        (PLAIN.replace("\\1-grams", "\\2-grams"), r"line 5, has '.*2-grams:' where .*1-grams: or .*end.* should stand"),
        (PLAIN.replace("\\2-grams", "\\3-grams"), "line 12, has"),
        (PLAIN.replace("\\end\\\n", ""), "line 16, is the last, but not .*a part of the file is missing"),
        (PLAIN.replace("-0.4\t<s>", "x\t<s>"), "line 13, has 'x' where a number in base-10 logarithm should stand"),
        (PLAIN.replace("-0.4\t<s>", "nan\t<s>"), "line 13, has 'nan', which is no logarithm"),
        (PLAIN.replace("-0.25", "inf"), "line 9, has 'inf', which is no logarithm"),
        (PLAIN.replace("he said", "he said too well"), "line 14, has 5 fields; it needs a log-probability, 2 words"),
        (PLAIN.replace("he said", "he"), "line 14, has 2 fields"),
        (PLAIN.replace("he said", "she said"), "line 14, has 'she', which is not among the 1-grams"),
        (PLAIN.replace("-0.7\tsaid", "-0.7\the"), "line 10, has 'he' a second time"),
        (PLAIN.replace("he said", "<s> he"), "has '<s> he' twice; write each n-gram once"),
        (PLAIN.replace("</s>", "<end>"), "has no </s>; it must be estimated from whole sentences"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:60], "cannot be read .*; give a whole ARPA file"),
        (b"\x1f\x8bno gzip", "cannot be read .*; give a whole ARPA file"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        NGramStore.of(read(tmp_path, content))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read .*No such file"):
        read_arpa(tmp_path / "none.arpa")
