"""N-gram models as KenLM reads them, and the commands that build and load them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.commands.lm_build import build
from mode_ssm.config import DataConfig, LmConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels
from mode_ssm.language.lexicon import read_lexicon, write_lexicon
from mode_ssm.language.model import WordModel, load_word_model
from mode_ssm.language.ngram import write_arpa
from mode_ssm.language.perplexity import measure
from tests.data.files import FakeTrial, write_session

TEXT = [line.split() for line in ("a b c", "a b d", "c a", "d d b", "a c b", "b b a c", "d a", "a b c d e")]


def model_of(sentences: list[list[str]], order: int, folder: Path) -> WordModel:
    vocabulary = sorted({word for words in sentences for word in words})
    write_lexicon(folder / "lexicon.txt", {word: ((1, 2, index + 1),) for index, word in enumerate(vocabulary)})
    write_arpa(sentences, frozenset(vocabulary), order, folder / "lm.arpa")
    return load_word_model(folder)


def mass(model: WordModel, history: list[int]) -> float:
    state = model.start()
    for word in history:
        state, _ = model.score(state, word)
    scores = [model.score(state, word)[1] for word in range(len(model.words))] + [model.finish(state)]
    return sum(2.718281828459045**score for score in scores)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_probabilities_sum_to_one_after_any_history(tmp_path: Path, order: int) -> None:
    model = model_of(TEXT, order, tmp_path)
    histories = [[i, j] for i in range(5) for j in range(5)] + [[i] for i in range(5)] + [[]]
    for history in histories:
        assert mass(model, history) == pytest.approx(1.0, abs=1e-5)


def test_what_was_seen_is_likelier(tmp_path: Path) -> None:
    model = model_of(TEXT, 3, tmp_path)
    index = model.words.index
    assert model.sentence_score([index("a"), index("b")]) > model.sentence_score([index("e"), index("e")])


def test_a_corpus_without_repeats_still_prefers_it(tmp_path: Path) -> None:
    """Counts of one alone would give a discount of one, and seen n-grams no probability."""
    model = model_of([["a", "b", "c"]], 3, tmp_path)
    a, b, c = map(model.words.index, "abc")
    assert model.sentence_score([a, b, c]) > max(model.sentence_score([b, a, c]), model.sentence_score([a, c, b]))


def test_words_outside_the_vocabulary_are_unknown(tmp_path: Path) -> None:
    write_arpa([["a", "x"], ["a", "y"], ["a", "b"]], frozenset("ab"), 2, tmp_path / "lm.arpa")
    text = (tmp_path / "lm.arpa").read_text()
    assert "a <unk>" in text
    assert "\tx" not in text


@pytest.mark.parametrize(
    ("sentences", "order", "sentence"),
    [
        ([], 3, "no sentence"),
        ([[]], 3, "no sentence"),
        ([["a"]], 1, "2 to 5"),
        ([["a"]], 6, "2 to 5"),
        ([["a"]], 4, "order=3 or lower"),
    ],
)
def test_what_cannot_be_estimated_is_said(tmp_path: Path, sentences: list, order: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        write_arpa(sentences, frozenset("a"), order, tmp_path / "lm.arpa")


def test_build_from_transcripts_and_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    trial = FakeTrial(labels=T15.ids("HH AH L OW | Y UW |"), sentence="Hello, you!")
    write_session(root, "t15.2023.08.11", "train", [trial, trial])
    (tmp_path / "a.txt").write_text("You\u2019ll see: hello zorp.\nzorp hello [noise] <unk>\n\n")
    (tmp_path / "cmu.txt").write_text("HELLO  HH EH L OW\nSEE  S IY\nYOU'LL  Y UW L\n")
    config = LmConfig(
        out=str(tmp_path / "lm"),
        text=str(tmp_path / "*.txt"),
        transcripts=True,
        data=DataConfig(data_root=str(root), cache_dir=str(tmp_path / "index")),
        lexicon=str(tmp_path / "cmu.txt"),
    )
    (tmp_path / "cmu.txt").rename(tmp_path / "cmu.dict")
    config.lexicon = str(tmp_path / "cmu.dict")
    build(config)
    lexicon = read_lexicon(tmp_path / "lm" / "lexicon.txt")
    assert lexicon["hello"] == (tuple(T15.ids("HH AH L OW")),)  # as its label says, not as the dictionary does
    assert set(lexicon) == {"hello", "you", "you'll", "see", "zorp"}
    summary = json.loads((tmp_path / "lm" / "lm.json").read_text())
    assert (summary["words"], summary["order"], summary["guessed"]) == (5, 3, ["zorp"])
    assert "The pronunciation of 1 words is a guess from their letters: zorp (Z AO R P)." in capsys.readouterr().out
    assert set(load_word_model(tmp_path / "lm").words) == set(lexicon)


def test_max_words_and_min_count_keep_the_frequent(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one one one two two three\n" * 2 + "four\n")
    config = LmConfig(out=str(tmp_path / "lm"), text=str(tmp_path / "a.txt"), max_words=3, min_count=4, order=2)
    build(config)
    assert set(read_lexicon(tmp_path / "lm" / "lexicon.txt")) == {"one", "two"}
    config.min_count, config.max_words = 1, 3
    build(config)
    assert set(read_lexicon(tmp_path / "lm" / "lexicon.txt")) == {"one", "two", "three"}
    assert json.loads((tmp_path / "lm" / "lm.json").read_text())["text_words_outside"] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "nothing to build"),
        ({"text": "none/*.txt"}, "matches no file"),
        ({"text": "marks.txt"}, "no sentence to make|no word that could be decoded"),
        ({"text": "bytes.txt"}, "line 1, has a zero byte"),
        ({"text": "good.txt", "lexicon": "none.dict"}, "cannot be read"),
        ({"text": "good.txt", "out": "good.txt/lm"}, "cannot be written"),
        ({"text": "good.txt", "out": "good.txt"}, "is a file; give a folder as out"),
        ({"text": "good.txt", "out": "."}, r"holds files but no lm\.json, so it is no language model of ours"),
    ],
)
def test_build_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("marks.txt").write_text(". [laughter]\n- -\n")
    Path("bytes.txt").write_bytes(b"abc \0\n")
    Path("good.txt").write_text("a b c\n")
    with pytest.raises(InputError, match=sentence):
        build(LmConfig(**{"out": "lm", **change}))


def test_training_words_are_kept_however_rare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    trial = FakeTrial(labels=T15.ids("HH AH L OW | Y UW |"), sentence="Hello, you!")
    write_session(root, "t15.2023.08.11", "train", [trial])
    write_session(root, "t15.2023.08.11", "val", [FakeTrial(labels=T15.ids("Y UW |"), sentence="You, twenty you.")])
    (tmp_path / "a.txt").write_text("rare\nmore more\n")
    data = DataConfig(data_root=str(root), cache_dir=str(tmp_path / "index"))
    config = LmConfig(out=str(tmp_path / "lm"), text=str(tmp_path / "a.txt"), transcripts=True, data=data, order=2)
    config.min_count, config.split = 2, "val"
    build(config)
    assert set(read_lexicon(tmp_path / "lm" / "lexicon.txt")) == {"hello", "you", "more"}
    found = measure(load_word_model(tmp_path / "lm").ngrams, [["you", "twenty", "you"]])
    assert (found.words, found.unknown, found.sentences) == (3, 1, 1)
    assert f"val: perplexity {found.perplexity:.1f}, 33.33 % of words unknown (3 words, 1 sentences)." in (
        capsys.readouterr().out
    )


def test_perplexity_by_hand(tmp_path: Path) -> None:
    """Three words and an end are scored; what follows an unknown word is scored after it."""
    model = model_of(TEXT, 3, tmp_path)
    a, b = model.words.index("a"), model.words.index("b")
    state, score_a = model.score(model.start(), a)
    state, _ = model.ngrams.score([state], [model.ngrams.unknown])
    state, score_b = model.score(int(state[0]), b)
    expected = -(score_a + score_b + model.finish(state) + model.sentence_score([a])) / 5
    found = measure(model.ngrams, [["a", "zorp", "b"], [], ["a"]])
    assert np.log(found.perplexity) == pytest.approx(expected)
    assert found.oov_rate == pytest.approx(1 / 4)


def test_a_name_with_glob_characters_is_a_file_first(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_bytes(gzip.compress(b"a packed line\n"))
    (tmp_path / "a1.txt").write_text("not this\n")
    build(LmConfig(out=str(tmp_path / "lm"), text=str(tmp_path / "a[1].txt"), order=2))
    assert set(read_lexicon(tmp_path / "lm" / "lexicon.txt")) == {"a", "packed", "line"}


def test_a_build_replaces_one_of_ours_in_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two\n")
    config = LmConfig(out=str(tmp_path / "lm"), text=str(tmp_path / "a.txt"), order=2)
    build(config)
    (tmp_path / "a.txt").write_text("three\n")
    build(config)
    model = load_word_model(tmp_path / "lm")
    assert model.words == ("three",)
    assert "three" in model.ngrams.words
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "lm"}
    assert {path.name for path in (tmp_path / "lm").iterdir()} == {"lm.arpa", "lm.ngram", "lexicon.txt", "lm.json"}


def test_loading_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no lexicon\.txt; give a folder that mode-ssm lm build wrote"):
        load_word_model(tmp_path)
    write_lexicon(tmp_path / "lexicon.txt", {"a": ((1,),)})
    with pytest.raises(InputError, match="There is no .*lm.arpa; build"):
        load_word_model(tmp_path)
    (tmp_path / "lm.arpa").write_text("no language model\n")
    with pytest.raises(InputError, match=r"has no line \\data\\; give a whole ARPA file"):
        load_word_model(tmp_path)


def test_any_number_of_homophones_is_kept(tmp_path: Path) -> None:
    words = [f"w{'x' * index}" for index in range(8)]
    write_lexicon(tmp_path / "lexicon.txt", dict.fromkeys(words, ((1,),)))
    write_arpa([[word] * 3 for word in words], frozenset(words), 2, tmp_path / "lm.arpa")
    model = load_word_model(tmp_path)
    assert [(model.words[word], spelling) for word, spelling in model.spellings] == [(w, (1, 40)) for w in words]


def test_words_that_the_model_lacks_score_as_unknown(tmp_path: Path) -> None:
    model = model_of(TEXT, 2, tmp_path)
    (tmp_path / "lexicon.txt").write_text("A  AA\nNEW  N UW\n")
    loaded = load_word_model(tmp_path)
    assert loaded.words == ("a", "new")
    assert loaded.unigrams[0] == model.unigrams[model.words.index("a")]
    assert loaded.score(loaded.start(), 1) == (loaded.ngrams.empty, pytest.approx(-99 * 2.302585, rel=0.1))


def test_labels_without_a_word_boundary_find_no_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="boundary between them, which this network's labels do not have"):
        load_word_model(tmp_path, Labels(("_", "a")))
