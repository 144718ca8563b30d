"""The CTC word search: with a full beam against the enumeration of every frame path; streams against whole trials."""

import math
import sys
from collections import defaultdict
from dataclasses import replace
from functools import reduce
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.labels import T15, Labels
from mode_ssm.language import word_stream
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import build_tree
from tests.language.conftest import A, B
from tests.language.paths import FULL, USED, posteriors, readings, without_extra_silence

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

BLANK, SILENCE, ALL = 0, 40, 10_000
Trial = list[WordHypothesis]


def search(model: WordModel, options: WordSearchConfig, nbest: int = ALL) -> CTCWordSearch:
    return CTCWordSearch(model, build_tree(model), options, nbest)


def enumerate_paths(model: WordModel, log_probs: np.ndarray, options: WordSearchConfig) -> dict[tuple[str, ...], float]:
    """The score of each sentence, from all frame paths that say it."""
    scores: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for path in product(USED, repeat=len(log_probs)):
        acoustic = sum(log_probs[t, c] - options.blank_penalty * (c == BLANK) for t, c in enumerate(path))
        acoustic += options.silence_score * path.count(SILENCE)
        labels = without_extra_silence(tuple(c for c, _ in groupby(path) if c != BLANK))
        for words in readings(model, labels):
            score = acoustic + options.lm_weight * model.sentence_score(words) + options.word_score * len(words)
            scores[tuple(model.words[word] for word in words)].append(float(score))
    together = np.logaddexp if options.merge is Merge.sum else max
    return {words: float(reduce(together, found)) for words, found in scores.items()}


WEIGHTS = [
    {"lm_weight": 0.0},
    {"lm_weight": 0.9, "word_score": -0.7},
    {"lm_weight": 0.4, "silence_score": 0.3, "blank_penalty": 0.5},
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("merge", list(Merge))
def test_a_full_search_is_exhaustive(word_model: WordModel, seed: int, weights: dict[str, float], merge: Merge) -> None:
    options = WordSearchConfig(**FULL, **weights, merge=merge)
    log_probs = posteriors(5, seed)
    expected = enumerate_paths(word_model, log_probs, options)
    (found,) = search(word_model, options)([log_probs])
    likely = [hypothesis for hypothesis in found if hypothesis.score > -1e3]
    assert {hypothesis.words for hypothesis in likely} == {words for words, score in expected.items() if score > -1e3}
    for hypothesis in likely:
        assert hypothesis.score == pytest.approx(expected[hypothesis.words], abs=1e-6)
        words = [word_model.words.index(word) for word in hypothesis.words]
        assert hypothesis.lm == pytest.approx(word_model.sentence_score(words))
        assert words in map(list, readings(word_model, hypothesis.labels))
        assert len(hypothesis.frames) == len(words)
        assert all(0 <= first < last < len(log_probs) for first, last in hypothesis.frames)


def homophones(model: WordModel, count: int) -> WordModel:
    """The model with more words that sound as its first does, all unknown to its n-grams."""
    names = tuple(f"other{n}" for n in range(count))
    spelling = model.spellings[0][1]
    more = tuple((len(model.words) + n, spelling) for n in range(count))
    numbers = np.concatenate([model.numbers, np.full(count, model.ngrams.unknown)])
    return replace(model, words=model.words + names, spellings=model.spellings + more, numbers=numbers)


def test_any_number_of_words_may_sound_alike(word_model: WordModel) -> None:
    model = homophones(word_model, 30)
    options = WordSearchConfig(**FULL, lm_weight=0.5)
    log_probs = posteriors(4, 0)
    expected = enumerate_paths(model, log_probs, options)
    (found,) = search(model, options)([log_probs])
    scores = {hypothesis.words: hypothesis.score for hypothesis in found if hypothesis.score > -1e3}
    assert len(scores) > 30
    assert scores == pytest.approx({words: score for words, score in expected.items() if score > -1e3}, abs=1e-6)


def test_labels_in_another_order_give_the_same_words(word_model: WordModel) -> None:
    order = np.random.default_rng(3).permutation(41)
    place = np.argsort(order)
    labels = Labels(tuple(T15.symbols[n] for n in order), int(place[BLANK]), int(place[SILENCE]))
    spellings = tuple((word, tuple(place[list(ids)].tolist())) for word, ids in word_model.spellings)
    other = replace(word_model, spellings=spellings, labels=labels)
    log_probs = posteriors(8, 1)
    (here,) = search(word_model, WordSearchConfig())([log_probs])
    (there,) = search(other, WordSearchConfig())([log_probs[:, order]])
    assert [(h.words, h.score) for h in here] == [(h.words, pytest.approx(h.score)) for h in there]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 10_000)), min_size=1, max_size=4),
    st.sampled_from([1, 3, 20]),
    st.sampled_from(list(Merge)),
    st.integers(0, 10_000),
)
def test_pieces_of_any_size_and_trials_beside_it_change_nothing(
    word_model: WordModel, sizes: list[tuple[int, int]], beam: int, merge: Merge, seed: int
) -> None:
    options = WordSearchConfig(ctc_beam_size=beam, merge=merge, lm_weight=0.5, word_score=0.0)
    find = search(word_model, options, 5)
    trials = [posteriors(frames, number) for frames, number in sizes]
    alone = [find([trial])[0] for trial in trials]
    assert find(trials) == alone
    assert chopped(find, trials, seed) == alone


def chopped(find: CTCWordSearch, trials: list[np.ndarray], seed: int) -> list[Trial]:
    """Search trials in pieces of random sizes, some of them empty."""
    random = np.random.default_rng(seed)
    stream = find.begin(len(trials))
    left = list(trials)
    while any(map(len, left)):
        cuts = [int(random.integers(0, 4)) for _ in left]
        stream.step([trial[:cut] for trial, cut in zip(left, cuts, strict=True)])
        left = [trial[cut:] for trial, cut in zip(left, cuts, strict=True)]
    return stream.end()


def test_what_is_forgotten_on_the_way_is_not_needed(word_model: WordModel, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [posteriors(60, seed) for seed in range(3)]
    find = search(word_model, WordSearchConfig(), 5)
    whole = find(trials)
    monkeypatch.setattr(word_stream, "_TIDY_EVERY", 20)
    stream = find.begin(3)
    most = 0
    for frame in range(60):
        stream.step([trial[frame : frame + 1] for trial in trials])
        most = max(most, len(stream.trace))
    assert stream.end() == whole
    never = find.begin(3)
    monkeypatch.setattr(word_stream, "_TIDY_EVERY", 10**9)
    never = find.begin(3)
    never.step(trials)
    assert most < len(never.trace)


def test_temperature_flattens_the_posteriors(word_model: WordModel) -> None:
    log_probs = posteriors(4, 0)
    halved = log_probs / 2
    halved -= np.logaddexp.reduce(halved, axis=1, keepdims=True)
    (hot,) = search(word_model, WordSearchConfig(**FULL, temperature=2.0))([log_probs])
    (cold,) = search(word_model, WordSearchConfig(**FULL))([halved])
    assert {h.words: h.score for h in hot} == pytest.approx({h.words: h.score for h in cold})


def test_an_ngram_model_of_weight_zero_changes_nothing_but_ties(word_model: WordModel) -> None:
    options = WordSearchConfig(lm_weight=0.0, ctc_beam_size=30)
    other = replace(word_model, numbers=word_model.numbers[::-1].copy())
    for seed in range(5):
        ((one, *_),) = search(word_model, options)([posteriors(8, seed)])
        ((two, *_),) = search(other, options)([posteriors(8, seed)])
        assert one.score == pytest.approx(two.score)
        assert one.labels == two.labels


def test_silence_said_twice_is_one_mark_after_its_word(word_model: WordModel) -> None:
    path = [SILENCE, BLANK, B, SILENCE, BLANK, SILENCE, A, SILENCE, BLANK, SILENCE]
    log_probs = np.full((len(path), 41), -9.0)
    log_probs[range(len(path)), path] = -0.01
    (found,) = search(word_model, WordSearchConfig(), 1)([log_probs])
    assert found[0].words in {("bee", "ah"), ("bee", "awe")}
    assert found[0].labels == (B, SILENCE, A, SILENCE)
    assert found[0].frames == ((2, 3), (6, 7))


@pytest.mark.parametrize("frames", [0, 1])
def test_a_trial_too_short_for_a_word_is_the_empty_sentence(word_model: WordModel, frames: int) -> None:
    (found,) = search(word_model, WordSearchConfig(), 1)([posteriors(frames, 0)])
    assert [hypothesis.words for hypothesis in found] == [()]


def test_the_best_sentence_is_flashlights(word_model: WordModel, lm_folder: Path) -> None:
    """A peer, with a beam so wide that it does not matter that the two count hypotheses differently."""
    pytest.importorskip("flashlight.lib.text", reason="flashlight-text is not installed")
    from words_flashlight import FlashlightSearch

    options = WordSearchConfig(1000, lm_weight=0.7, word_score=-0.4, silence_score=0.2, blank_penalty=0.3)
    find, other = search(word_model, options, 1), FlashlightSearch(word_model, lm_folder / "lm.arpa", options)
    for seed in range(40):
        log_probs = posteriors(25, seed)
        ((best, *_),) = find([log_probs])
        words, score = other(log_probs)
        assert best.score == pytest.approx(score, abs=1e-4)
        assert best.words == words or math.isclose(best.score, score, abs_tol=1e-4)
