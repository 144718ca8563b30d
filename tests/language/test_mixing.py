"""Several n-gram models as one: probabilities are mixed, sum to one, and shares are those that made the text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import BackoffModel, NGrams
from mode_ssm.language.mixing import _keys, even_model, fit_shares, mix_models
from mode_ssm.language.ngram_store import NGramStore

WORDS = ("<unk>", "<s>", "</s>", "a", "b")


def bigram(a_after_start: float, b_after_a: float, unigrams: list[float]) -> BackoffModel:
    """Two bigrams, <s> a and a b, whose histories give the rest to the other words by their unigrams."""
    one = np.log(np.array([1e-12, 1e-12, *unigrams]))
    backoffs = np.zeros(5)
    backoffs[1] = np.log((1 - a_after_start) / (1 - unigrams[1]))
    backoffs[3] = np.log((1 - b_after_a) / (1 - unigrams[2]))
    pairs = np.array([[1, 3], [3, 4]], np.int32)
    two = NGrams(pairs, np.log(np.array([a_after_start, b_after_a], np.float32)), np.zeros(2, np.float32))
    ids = np.arange(5, dtype=np.int32)[:, None]
    return BackoffModel(WORDS, (NGrams(ids, one.astype(np.float32), backoffs.astype(np.float32)), two))


MODELS = [bigram(0.9, 0.1, [0.2, 0.5, 0.3]), bigram(0.2, 0.8, [0.4, 0.1, 0.5])]


def probability(store: NGramStore, history: int, word: int) -> float:
    state, _ = store.score([store.start if history == 1 else store.empty], [3 if history == 3 else 0])
    states = [store.start] if history == 1 else state
    return float(np.exp(store.score(states, [word]).log_probs[0]))


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_probabilities_are_mixed_and_sum_to_one(share: float) -> None:
    mixed = NGramStore.of(mix_models(MODELS, [share, 1 - share]))
    stores = [NGramStore.of(model) for model in MODELS]
    for history, word in ((1, 3), (3, 4)):
        expected = share * probability(stores[0], history, word) + (1 - share) * probability(stores[1], history, word)
        assert probability(mixed, history, word) == pytest.approx(expected, rel=1e-5)
    for history in (1, 3):
        assert sum(probability(mixed, history, word) for word in (2, 3, 4)) == pytest.approx(1.0, abs=1e-5)


def test_one_model_mixed_with_itself_stays() -> None:
    mixed = NGramStore.of(mix_models([MODELS[0], MODELS[0]], [0.3, 0.7]))
    alone = NGramStore.of(MODELS[0])
    for sentence in ([3, 4], [4, 4, 3], []):
        assert mixed.sentence_score(sentence) == pytest.approx(alone.sentence_score(sentence), abs=1e-5)


def test_words_that_no_text_has_are_known_by_an_even_model() -> None:
    even = even_model(WORDS, {"a", "b", "elsewhere"})
    mixed = NGramStore.of(mix_models([MODELS[0], even], [0.9, 0.1]))
    store = NGramStore.of(MODELS[0])
    for history, word, more in ((0, 2, 0.0), (0, 3, 0.05), (0, 4, 0.05), (3, 4, 0.05)):
        expected = 0.9 * probability(store, history, word) + more
        assert probability(mixed, history, word) == pytest.approx(expected, rel=1e-5)


@given(st.lists(st.lists(st.integers(0, 2**30 - 1), min_size=5, max_size=5), min_size=1, max_size=20))
def test_keys_are_in_the_order_of_rows_however_many_words_there_are(rows: list[list[int]]) -> None:
    rows += [rows[0], [*rows[0][:4], 0]]
    keys = _keys(np.array(rows, np.int32), 2**30).tolist()
    for one, key in zip(rows, keys, strict=True):
        for other, other_key in zip(rows, keys, strict=True):
            assert (one < other) == (key < other_key)


def test_shares_are_those_of_the_text() -> None:
    random = np.random.default_rng(0)
    stores = [NGramStore.of(model) for model in MODELS]
    sentences = []
    for _ in range(1500):
        words, store, history = [], stores[0], 1
        while history != 2:
            store = stores[int(random.random() > 0.7)]
            shares = np.array([probability(store, history, word) if history != 4 else 0 for word in (2, 3, 4)])
            if history == 4:
                shares = np.exp(store.unigrams[[2, 3, 4]])
            history = int(random.choice([2, 3, 4], p=shares / shares.sum()))
            words.append(history)
        sentences.append(words[:-1])
    assert fit_shares(stores, sentences)[0] == pytest.approx(0.7, abs=0.05)


def test_what_cannot_be_mixed_is_named() -> None:
    other = BackoffModel((*WORDS[:-1], "c"), MODELS[0].orders)
    with pytest.raises(InputError, match="know different words"):
        mix_models([MODELS[0], other], [0.5, 0.5])
    with pytest.raises(InputError, match="as many positive shares"):
        mix_models(MODELS, [1.0])
    with pytest.raises(InputError, match="no sentence to fit"):
        fit_shares([NGramStore.of(MODELS[0])], [])
