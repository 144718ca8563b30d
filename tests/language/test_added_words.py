"""Words and phrases added to a model in use: the search is that of a model which had them from the start."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mode_ssm.config import WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.language.added_words import add_words, extend_model
from mode_ssm.language.confusion import ConfusionScores
from mode_ssm.language.confusion_search import ConfusionSearch, ConfusionWeights
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import Additions, WordModel
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_graph import word_graph
from tests.decoding.tiny_transducer import TinyTransducer
from tests.language.conftest import A, B
from tests.language.paths import FULL, posteriors
from tests.language.test_confusion_search import tiny_model
from tests.language.test_ctc_word_search import enumerate_paths

NEW = {"baa": ((B, A),), "ah": ((A, A),), "bee": ()}
PHRASES = {("baa", "bee"): 4.0, ("bee",): 1.0, ("ah", "baa", "ah"): 6.0}
OPTIONS = WordSearchConfig(**FULL, lm_weight=0.6, word_score=0.3)


def boost_of(words: tuple[str, ...]) -> float:
    """The boosts of the phrases in a sentence, counted one by one."""
    return sum(
        boost
        for phrase, boost in PHRASES.items()
        for start in range(len(words))
        if words[start : start + len(phrase)] == phrase
    )


@pytest.mark.parametrize("phrases", [{}, PHRASES])
@pytest.mark.parametrize("seed", range(3))
def test_a_full_search_with_additions_is_exhaustive(
    word_model: WordModel, phrases: dict[tuple[str, ...], float], seed: int
) -> None:
    model, tree = add_words(word_model, build_tree(word_model), Additions(NEW, phrases))
    log_probs = posteriors(6, seed)
    expected = enumerate_paths(model, log_probs, OPTIONS)  # which know no bonus and no phrase
    (found,) = CTCWordSearch(model, tree, OPTIONS, 10_000)([log_probs])
    bonus = dict(zip(model.words, model.bonuses.tolist(), strict=True))
    scores = {h.words: h.score for h in found if h.score > -1e3}
    wanted = {
        w: s + 0.6 * (sum(bonus[word] for word in w) + (boost_of(w) if phrases else 0))
        for w, s in expected.items()
        if s > -1e3
    }
    assert {w for w in wanted if "baa" in w}
    assert scores == pytest.approx(wanted, abs=1e-6)
    grown = CTCWordSearch(model, build_tree(model), OPTIONS, 10_000)([log_probs])
    assert {h.words: h.score for h in grown[0] if h.score > -1e3} == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("joint", [False, True])
def test_a_transducer_finds_them_too(word_model: WordModel, joint: bool) -> None:
    model, tree = add_words(word_model, build_tree(word_model), Additions(NEW, PHRASES))
    settings = WordSearchConfig(**FULL, lm_weight=0.7, ctc_weight=0.5, max_labels_per_frame=2)
    tiny = TinyTransducer(len(T15), 5)
    ctc = np.log(np.random.default_rng(0).dirichlet(np.ones(len(T15)), size=4))
    trial = TransducerFrames(tiny.encoded(4), ctc)
    found, plain = (
        TransducerSearch(word_graph(model, tree, search), tiny.callables(), search, 10_000, joint=joint)([trial])[0]
        for search in (settings, replace(settings, lm_weight=0.0))
    )
    without = {h.words: h.score for h in plain if h.score > -1e3}
    bonus = dict(zip(model.words, model.bonuses.tolist(), strict=True))
    compared = 0
    for hypothesis in found:
        words = hypothesis.words
        if hypothesis.score > -1e3:
            ngram = model.sentence_score([model.words.index(word) for word in words])
            expected = without[words] + 0.7 * (ngram + sum(bonus[word] for word in words) + boost_of(words))
            assert hypothesis.score == pytest.approx(expected, abs=1e-5)
            compared += boost_of(words) > 0 or "baa" in words
    assert compared


def test_words_from_confusion_networks_gain_boosts_too() -> None:
    model = tiny_model()
    names = model.words
    said = np.log(np.random.default_rng(0).dirichlet(np.ones(5), 5))
    scores = ConfusionScores(said, said[:, 0] - 1.0, np.log(np.full(5, 0.1)))
    weights = ConfusionWeights(lm_weight=0.7, beam_size=100_000, beam_threshold=1e9)
    phrase, boost = (names[1], names[0]), 2.5
    hot = extend_model(model, Additions(phrases={phrase: boost}))
    before, after = ({s.words: s for s in ConfusionSearch(m, weights)([scores], 10**6)[0]} for m in (model, hot))
    whole = [words for words in before if (1, 0) in pairwise(words)]
    assert whole
    for words in whole:
        times = sum(pair == (1, 0) for pair in pairwise(words))
        assert after[words].score == pytest.approx(before[words].score + 0.7 * boost * times)
    rest = [words for words in before if words not in whole]
    assert [after[w].score for w in rest] == pytest.approx([before[w].score for w in rest])


def test_a_word_outside_the_ngrams_is_one_of_equally_likely_words(word_model: WordModel) -> None:
    tree = build_tree(word_model)
    model, larger = add_words(word_model, tree, Additions({"baa": ((B, A),)}, {("baa",): 1.5, ("bee", "baa"): 3.0}))
    assert model.words == (*word_model.words, "baa")
    assert model.unigrams[-1] == pytest.approx(1.5 - np.log(len(word_model.words)))
    changed = model.unigrams[:-1] - word_model.unigrams
    assert dict(zip(word_model.words, changed.tolist(), strict=True)) == pytest.approx(
        {"ah": 0, "awe": 0, "ab": 0, "bee": 1.5}
    )
    assert len(tree) == len(build_tree(word_model))
    assert larger.best.max() == pytest.approx(max(0.0, model.unigrams.max()))


def test_a_spelling_that_is_there_is_not_added_again(word_model: WordModel) -> None:
    tree = build_tree(word_model)
    model, same = add_words(word_model, tree, Additions({"ab": ((A, B), (A, B)), "bee": ((B,), (B, B))}))
    assert model.spellings == word_model.spellings
    assert same is tree


@pytest.mark.parametrize("words", [{"new": ()}, {"new": ((),)}, {"new": ((A, 40),)}, {"ah": ((0,),)}])
def test_what_cannot_be_said_cannot_be_added(
    word_model: WordModel, words: dict[str, tuple[tuple[int, ...], ...]]
) -> None:
    with pytest.raises(InputError, match="cannot be added so; give a new word its phonemes"):
        add_words(word_model, build_tree(word_model), Additions(words))


def test_a_phrase_needs_words_that_are_known(word_model: WordModel) -> None:
    with pytest.raises(InputError, match="'zorp' of a hot phrase is not in the lexicon; add it"):
        extend_model(word_model, Additions(phrases={("bee", "zorp"): 1.0}))
