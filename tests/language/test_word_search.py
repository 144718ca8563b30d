"""Word searches with a full beam against the enumeration of every frame path, or of every sentence."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.config import WordSearchConfig
from mode_ssm.decoding.ctc import CTCPrefixScorer
from mode_ssm.labels import T15
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import WordModel
from mode_ssm.language.transducer_search import TransducerWordSearch
from mode_ssm.language.trie import build_tree
from tests.decoding.tiny_transducer import TinyTransducer, alignment_sum
from tests.language.paths import FULL, posteriors

ALL = 10_000


def sentences(model: WordModel, longest: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Every (words, labels) with at most `longest` labels."""
    open_ones: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ())]
    while open_ones:
        words, labels = open_ones.pop()
        yield words, labels
        for word, spelling in model.spellings:
            if len(labels) + len(spelling) <= longest:
                open_ones.append(((*words, word), labels + spelling))


def whole_ctc(log_probs: np.ndarray, labels: tuple[int, ...]) -> float:
    state = (scorer := CTCPrefixScorer(log_probs, T15.blank)).start()
    for label in labels:
        if not np.isfinite(state.prefix):
            return -math.inf
        state = scorer.extend(state, label)
    return state.whole


@pytest.mark.parametrize(
    ("weights", "joint"),
    [
        ({"lm_weight": 0.0, "internal_lm_weight": 0.0}, False),
        ({"lm_weight": 0.8, "internal_lm_weight": 0.25, "word_score": 0.4, "blank_penalty": 0.1}, False),
        ({"lm_weight": 0.6, "internal_lm_weight": 0.1, "ctc_weight": 0.5}, True),
        ({"lm_weight": 0.6, "ctc_weight": 0.0}, True),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_full_transducer_search_is_exhaustive(
    word_model: WordModel, seed: int, weights: dict[str, float], joint: bool
) -> None:
    search = WordSearchConfig(**FULL, **weights, max_labels_per_frame=2)
    tiny = TinyTransducer(len(T15), seed)
    encoded = tiny.encoded(1, 3)
    ctc = np.log(np.random.default_rng(seed).dirichlet(np.ones(len(T15)), size=3))
    expected: dict[tuple[str, ...], float] = {}
    for words, labels in sentences(word_model, longest=6):
        table = tiny.table(encoded[0], labels)
        table[:, :, T15.blank] -= search.blank_penalty
        score = alignment_sum(table, labels, 2) + search.lm_weight * word_model.sentence_score(words)
        score += search.word_score * len(words) - search.internal_lm_weight * tiny.internal_lm(labels)
        score += search.ctc_weight * whole_ctc(ctc, labels) if joint and search.ctc_weight else 0.0
        names = tuple(word_model.words[word] for word in words)
        expected[names] = max(score, expected.get(names, -math.inf))
    find = TransducerWordSearch(word_model, build_tree(word_model), search, ALL)
    (found,) = find(encoded, torch.tensor([3]), tiny.callables(), [ctc] if joint else None)
    finite = {hypothesis.words: hypothesis.score for hypothesis in found if hypothesis.score > -1e3}
    assert finite.keys() == {words for words, score in expected.items() if score > -1e3}
    for words, score in finite.items():
        assert score == pytest.approx(expected[words], abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([1, 2, 5]))
def test_words_come_from_the_lexicon_and_are_spelled_by_their_labels(
    word_model: WordModel, seed: int, frames: int, beam: int
) -> None:
    search = WordSearchConfig(ctc_beam_size=beam, rnnt_beam_size=beam)
    (found,) = CTCWordSearch(word_model, build_tree(word_model), search, 3)([posteriors(frames, seed)])
    tiny = TinyTransducer(len(T15), seed)
    found += TransducerWordSearch(word_model, build_tree(word_model), search, 3)(
        tiny.encoded(1, frames), torch.tensor([frames]), tiny.callables()
    )[0]
    for hypothesis in found:
        assert set(hypothesis.words) <= set(word_model.words)
        spelled = "|".join(map(str, hypothesis.labels))
        for word in hypothesis.words:
            assert any(
                "|".join(map(str, ids)) in spelled
                for index, ids in word_model.spellings
                if word_model.words[index] == word
            )


def test_a_language_model_of_weight_zero_changes_nothing_but_ties(word_model: WordModel) -> None:
    """Without weight, two different language models give the same sentences and scores, homophones apart."""
    search = WordSearchConfig(lm_weight=0.0, ctc_beam_size=30, rnnt_beam_size=8)
    silent = replace(word_model, numbers=np.zeros_like(word_model.numbers))
    tiny = TinyTransducer(len(T15), 3)
    encoded = tiny.encoded(1, 6)
    one, other = (
        TransducerWordSearch(model, build_tree(model), search, 5)(encoded, torch.tensor([6]), tiny.callables())[0][0]
        for model in (word_model, silent)
    )
    assert (one.score, one.labels) == (other.score, other.labels)
