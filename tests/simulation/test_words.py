"""The corpus, the lexicon, and what is said of bad ones."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.simulation.corpus import SENTENCES, SentenceSource, read_sentences
from mode_ssm.simulation.lexicon import LEXICON, pronounce, read_lexicon, words_of
from mode_ssm.simulation.presets import PRESETS
from mode_ssm.simulation.streams import Stream, random_stream


def test_every_sentence_can_be_pronounced_and_all_phonemes_occur() -> None:
    lexicon = read_lexicon(LEXICON)
    sentences = [sentence for lines in read_sentences(SENTENCES).values() for sentence in lines]
    said = {label for sentence in sentences for label in pronounce(sentence, lexicon)}
    assert len(set(sentences)) == len(sentences) > 400
    assert said == set(range(len(T15))) - {T15.blank}


def test_every_word_of_the_lexicon_is_used_and_stands_once_in_order() -> None:
    words = [line.split()[0] for line in LEXICON.read_text().splitlines() if not line.startswith(";;;")]
    used = {word for lines in read_sentences(SENTENCES).values() for line in lines for word in words_of(line)}
    assert words == sorted(set(words))
    assert set(words) == used


def test_silence_follows_every_word() -> None:
    ids = pronounce("Hello, world!", {"HELLO": tuple(T15.ids("HH AH L OW")), "WORLD": tuple(T15.ids("W ER L D"))})
    assert T15.text(ids) == "HH AH L OW | W ER L D |"


@given(st.text(alphabet="ab'-., XY", max_size=30))
def test_words_have_letters_and_inner_apostrophes_only(sentence: str) -> None:
    for word in words_of(sentence):
        assert word == word.strip("'").upper()
        assert set(word) <= set("ABXY'")


def test_the_first_pronunciation_counts_and_comments_do_not(tmp_path: Path) -> None:
    path = tmp_path / "cmu.dict"
    path.write_text(
        ";;; a comment\n\nread R IY1 D # verb\nread(2) R EH1 D\nREAD(1)  R EH1 D\ncaf\u00e9 K AE F EY\n", "latin-1"
    )
    assert read_lexicon(path) == {"READ": tuple(T15.ids("R IY D")), "CAF\u00c9": tuple(T15.ids("K AE F EY"))}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("HELLO  HH AH0 L OX1", "'OX' is none of the 40 labels"),
        ("HELLO", "'HELLO' is not a word and its phonemes"),
        ("HELLO  HH AH0 |", "is not a word and its phonemes"),
        ("HELLO  BLANK", "'BLANK' is none of the 40 labels"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_text(f"A  AH0\n{line}\n")
    with pytest.raises(InputError, match="line 2") as caught:
        read_lexicon(path)
    assert words in str(caught.value)


def test_a_missing_lexicon_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.txt cannot be read"):
        read_lexicon(tmp_path / "absent.txt")


def test_a_word_without_pronunciation_is_named() -> None:
    with pytest.raises(InputError, match="no pronunciation of 'WORLD' in 'Hello world.'"):
        pronounce("Hello world.", {"HELLO": (1,)})


def test_random_sentences_stay_in_the_vocabulary_of_their_corpus() -> None:
    source = SentenceSource(read_lexicon(LEXICON), PRESETS["demo"].sentences)
    rng = random_stream(0, Stream.sentences)
    vocabulary = {word for line in read_sentences(SENTENCES)["small vocabulary"] for word in words_of(line)}
    drawn = [source.draw("small vocabulary", rng)[0] for _ in range(200)]
    assert {word for sentence in drawn for word in words_of(sentence)} <= vocabulary
    assert 0 < len(set(drawn) - set(read_sentences(SENTENCES)["small vocabulary"])) < 120
