"""Error rates against a textbook dynamic program, hand-made cases and a published baseline's figure."""

from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.commands.score import score
from mode_ssm.errors import InputError
from mode_ssm.scoring import ErrorRate, edit_counts, normalise_sentence, total, word_errors

BASELINE = Path(__file__).parents[1] / "../shared/t15_labels/baseline_val_phonemes.csv"
ids = st.lists(st.integers(0, 4), max_size=7)


def textbook_distance(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        previous, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (x != y)))
    return row[-1]


@given(ids, ids)
def test_edits_equal_the_textbook_recursion(reference: list[int], hypothesis: list[int]) -> None:
    counts = edit_counts(reference, hypothesis)
    assert counts.edits == textbook_distance(reference, hypothesis)
    assert counts.insertions - counts.deletions == len(hypothesis) - len(reference)
    assert counts.reference_length == len(reference)


@given(ids, ids)
def test_ids_and_symbols_count_alike(reference: list[int], hypothesis: list[int]) -> None:
    by_symbol = edit_counts([str(i) for i in reference], [str(i) for i in hypothesis])
    assert by_symbol == edit_counts(reference, hypothesis)


def test_trials_are_pooled_not_averaged() -> None:
    pooled = total([ErrorRate(1, 0, 0, 1), ErrorRate(0, 0, 0, 99)])
    assert pooled == ErrorRate(1, 0, 0, 100)
    assert pooled.rate == pytest.approx(0.01)


def test_an_empty_reference() -> None:
    assert edit_counts([], []).rate == 0.0
    assert edit_counts([], [3]).rate == inf


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You can see the code at this point as well.", "you can see the code at this point as well"),
        ("It's 1984!", "it's"),
        ("A well-known - or not - thing", "a well-known or not thing"),
        ("wait--what", "waitwhat"),
        ("rock 'n roll", "rock'n roll"),
        ("  Tabs\tand\nlines  ", "tabsandlines"),
        ("naïve café", "nave caf"),
        ("- ", ""),
        ("--- a", "a"),
        ("", ""),
    ],
)
def test_normalisation(text: str, expected: str) -> None:
    assert normalise_sentence(text) == expected


@given(st.text())
def test_normalised_text_has_only_the_allowed_characters(text: str) -> None:
    result = normalise_sentence(text)
    assert set(result) <= set("abcdefghijklmnopqrstuvwxyz-' ")
    assert result == " ".join(result.split())


@given(st.text("abc ", max_size=20))
def test_plain_words_stay(text: str) -> None:
    assert normalise_sentence(text.upper()).split() == text.split()


@given(st.text("aB-' 9.", max_size=12), st.text("aB-' 9.", max_size=12))
def test_word_errors_see_only_the_normalised_text(reference: str, hypothesis: str) -> None:
    plain = normalise_sentence(reference).split(), normalise_sentence(hypothesis).split()
    assert word_errors(reference, hypothesis) == edit_counts(*plain)
    assert word_errors(reference, reference.upper() + "?").edits == 0


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_words_of_a_csv(tmp_path: Path) -> None:
    path = write(tmp_path, 'id,truth,text\n0,"Hello, you.",hello you\n1,Good bye,good\n2,one two,\n')
    result = score(path, reference="truth", hypothesis="text", unit="word")
    assert (result["rows"], result["reference_length"], result["edits"], result["deletions"]) == (3, 6, 3, 3)
    assert result["error_rate"] == pytest.approx(0.5)


def test_a_byte_order_mark_and_blank_lines_are_no_content(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfa,b\r\nAH |,AH |\r\n\r\n")
    assert score(path, reference="a", hypothesis="b", unit="phoneme")["edits"] == 0


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("id,words\n0,a\n", "no column 'a'; its columns are id, words"),
        ("a,b\n", "holds no phoneme"),
        ("a,b\n ,AH\n", "holds no phoneme"),
        ("a,b\nAH\n", "Row 2 of .* has 1 cells but the header has 2"),
        ('a,b\n"AH,AH\n', "is not a CSV: unexpected end of data"),
        ("a,a,b\nAH,AH,AH\n", "has 2 columns named 'a'"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        score(write(tmp_path, content), reference="a", hypothesis="b", unit="phoneme")


def test_a_bad_unit_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unit 'letter' is unknown; choose one of phoneme, word"):
        score(tmp_path / "x.csv", reference="a", hypothesis="b", unit="letter")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        score(tmp_path / "x.csv", reference="a", hypothesis="b", unit="word")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        score(tmp_path, reference="a", hypothesis="b", unit="word")


@pytest.mark.skipif(not BASELINE.exists(), reason="the T15 labels are not beside this checkout")
def test_the_published_baseline_scores_what_it_scored() -> None:
    result = score(BASELINE, reference="phonemes", hypothesis="predicted_phonemes", unit="phoneme")
    assert result["rows"] == 1426
    assert result["error_rate_percent"] == 10.35
