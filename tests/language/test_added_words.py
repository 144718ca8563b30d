"""Words added to a model in use: the search is that of a model which had them from the start."""

import numpy as np
import pytest

from mode_ssm.config import WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.language.added_words import add_words
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import build_tree
from tests.language.conftest import A, B
from tests.language.paths import FULL, posteriors
from tests.language.test_ctc_word_search import enumerate_paths

NEW = {"baa": [(B, A)], "ah": [(A, A)], "bee": []}
OPTIONS = WordSearchConfig(**FULL, lm_weight=0.6, word_score=0.3)


@pytest.mark.parametrize("boost", [0.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_full_search_with_added_words_is_exhaustive(word_model: WordModel, boost: float, seed: int) -> None:
    model, tree = add_words(word_model, build_tree(word_model), NEW, boost)
    log_probs = posteriors(6, seed)
    expected = enumerate_paths(model, log_probs, OPTIONS)  # which know no bonus
    (found,) = CTCWordSearch(model, tree, OPTIONS, 10_000)([log_probs])
    bonus = dict(zip(model.words, model.bonuses.tolist(), strict=True))
    scores = {h.words: h.score for h in found if h.score > -1e3}
    wanted = {w: s + 0.6 * sum(bonus[word] for word in w) for w, s in expected.items() if s > -1e3}
    assert {w for w in wanted if "baa" in w}
    assert scores == pytest.approx(wanted, abs=1e-6)
    grown = CTCWordSearch(model, build_tree(model), OPTIONS, 10_000)([log_probs])
    assert {h.words: h.score for h in grown[0] if h.score > -1e3} == pytest.approx(wanted, abs=1e-6)


def test_a_word_outside_the_ngrams_is_one_of_equally_likely_words(word_model: WordModel) -> None:
    tree = build_tree(word_model)
    model, _ = add_words(word_model, tree, {"baa": [(B, A)]}, boost=1.5)
    assert model.words == (*word_model.words, "baa")
    assert model.unigrams[-1] == pytest.approx(1.5 - np.log(len(word_model.words)))
    np.testing.assert_allclose(model.unigrams[:-1], word_model.unigrams)
    assert len(tree) == len(build_tree(word_model))


@pytest.mark.parametrize("words", [{"new": []}, {"new": [()]}, {"new": [(A, 40)]}, {"ah": [(0,)]}])
def test_what_cannot_be_said_cannot_be_added(word_model: WordModel, words: dict[str, list[tuple[int, ...]]]) -> None:
    with pytest.raises(InputError, match="cannot be added so; give a new word its phonemes"):
        add_words(word_model, build_tree(word_model), words)
