"""The transducer's search over labels and over words: a full beam is exhaustive, streams equal whole trials."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.labels import T15, Labels
from mode_ssm.language import word_stream
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch, label_search
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_graph import LabelGraph, word_graph
from tests.decoding.ctc_prefixes_of_whole_trials import CTCPrefixScorer
from tests.decoding.tiny_transducer import TinyTransducer, alignment_best, alignment_sum, exhaustive
from tests.language.paths import FULL, posteriors

ALL = 10_000
Trial = list[WordHypothesis]


def search_labels(tiny: TinyTransducer, encoded: Tensor, beam: int = ALL, bound: int = 2) -> Trial:
    labels = Labels(tuple(f"c{n}" for n in range(tiny.classes)), tiny.blank)
    (found,) = label_search(labels, tiny.callables(), beam, bound)([TransducerFrames(encoded)])
    return found


@pytest.mark.parametrize(("classes", "frames", "bound"), [(3, 3, 2), (4, 4, 1), (2, 3, 3), (3, 1, 2)])
def test_a_full_beam_of_labels_is_exhaustive(classes: int, frames: int, bound: int) -> None:
    tiny = TinyTransducer(classes, seed=classes + frames)
    encoded = tiny.encoded(frames)
    expected = exhaustive(tiny, encoded, bound)
    found = search_labels(tiny, encoded, bound=bound)
    assert {hypothesis.labels: hypothesis.score for hypothesis in found} == pytest.approx(expected, abs=1e-9)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_scores_are_probabilities_that_exhaust_as_the_bound_grows() -> None:
    tiny = TinyTransducer(classes=2, seed=3)
    encoded = tiny.encoded(2)
    totals = [
        float(np.logaddexp.reduce([h.score for h in search_labels(tiny, encoded, bound=bound)]))
        for bound in (0, 1, 5, 60)
    ]
    assert totals == sorted(totals)
    assert totals[-1] == pytest.approx(0.0, abs=1e-9)


def test_a_wider_beam_finds_at_least_as_good_a_best() -> None:
    worse = 0
    for seed in range(5):
        tiny = TinyTransducer(classes=4, seed=seed)
        encoded = tiny.encoded(4)
        best = [search_labels(tiny, encoded, beam)[0].score for beam in (1, 4, ALL)]
        assert best[2] >= max(best) - 1e-9
        worse += best[0] < best[2] - 1e-9
    assert worse > 0  # the beam matters in these cases


def test_a_threshold_drops_what_is_far_below_the_best() -> None:
    tiny = TinyTransducer(classes=3, seed=2)
    encoded = tiny.encoded(4)
    wide = search_labels(tiny, encoded)
    labels = Labels(("_", "a", "b"))
    narrow = replace(label_search(labels, tiny.callables(), ALL, 2).settings, beam_threshold=2.0)
    (kept,) = TransducerSearch(LabelGraph(labels), tiny.callables(), narrow, ALL)([TransducerFrames(encoded)])
    assert 1 <= len(kept) < len(wide)
    assert all(h.score >= kept[0].score - 2.0 for h in kept)


def test_the_predictor_is_asked_once_for_a_label_sequence() -> None:
    tiny = TinyTransducer(classes=3, seed=3)
    encoded = tiny.encoded(4)
    tiny.predicted = 0
    found = search_labels(tiny, encoded, bound=1)
    assert tiny.predicted == len(found) == 1 + 2 + 4 + 8 + 16


@pytest.mark.parametrize("order", [[4, 0, 1, 2, 3], [2, 4, 0, 3, 1]], ids=["last", "middle"])
def test_any_class_may_be_the_blank(order: list[int]) -> None:
    tiny = TinyTransducer(5, seed=5)
    encoded = tiny.encoded(6)
    plain = search_labels(tiny, encoded, beam=6)
    other = search_labels(tiny.renumbered(order), encoded, beam=6)
    assert [h.labels for h in other] == [tuple(order[label] for label in h.labels) for h in plain]
    assert [h.score for h in other] == pytest.approx([h.score for h in plain], rel=1e-10)
    assert len(plain) > 1


def word_search(model: WordModel, tiny: TinyTransducer, options: WordSearchConfig, joint: bool) -> TransducerSearch:
    return TransducerSearch(word_graph(model, build_tree(model), options), tiny.callables(), options, ALL, joint=joint)


def sentences(model: WordModel, longest: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Every (words, labels) with at most `longest` labels."""
    found, open_ones = [], [((), ())]
    while open_ones:
        words, labels = open_ones.pop()
        found.append((words, labels))
        longer = [((*words, word), labels + spelling) for word, spelling in model.spellings]
        open_ones += [entry for entry in longer if len(entry[1]) <= longest]
    return found


def whole_ctc(log_probs: np.ndarray, labels: tuple[int, ...]) -> float:
    state = (scorer := CTCPrefixScorer(log_probs, T15.blank)).start()
    for label in labels:
        if not np.isfinite(state.prefix):
            return -math.inf
        state = scorer.extend(state, label)
    return state.whole


@pytest.mark.parametrize("merge", list(Merge))
@pytest.mark.parametrize(
    ("weights", "joint"),
    [
        ({"lm_weight": 0.0, "internal_lm_weight": 0.0}, False),
        ({"lm_weight": 0.8, "internal_lm_weight": 0.25, "word_score": 0.4, "blank_penalty": 0.1}, False),
        ({"lm_weight": 0.6, "internal_lm_weight": 0.1, "ctc_weight": 0.5}, True),
        ({"lm_weight": 0.6, "ctc_weight": 0.7, "ctc_ahead_frames": 0}, True),
        ({"lm_weight": 0.6, "ctc_weight": 0.0}, True),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_full_search_for_words_is_exhaustive(
    word_model: WordModel, seed: int, weights: dict[str, float], joint: bool, merge: Merge
) -> None:
    options = WordSearchConfig(**FULL, **weights, merge=merge, max_labels_per_frame=2)
    tiny = TinyTransducer(len(T15), seed)
    encoded = tiny.encoded(3)
    ctc = np.log(np.random.default_rng(seed).dirichlet(np.ones(len(T15)), size=3))
    align = alignment_sum if merge is Merge.sum else alignment_best
    together = np.logaddexp if merge is Merge.sum else max
    expected: dict[tuple[str, ...], float] = {}
    for words, labels in sentences(word_model, longest=6):
        table = tiny.table(encoded, labels)
        table[:, :, T15.blank] -= options.blank_penalty
        score = align(table, labels, 2) + options.lm_weight * word_model.sentence_score(words)
        score += options.word_score * len(words) - options.internal_lm_weight * tiny.internal_lm(labels)
        score += options.ctc_weight * whole_ctc(ctc, labels) if joint and options.ctc_weight else 0.0
        names = tuple(word_model.words[word] for word in words)
        expected[names] = float(together(score, expected.get(names, -math.inf)))
    (found,) = word_search(word_model, tiny, options, joint)([TransducerFrames(encoded, ctc)])
    finite = {hypothesis.words: hypothesis.score for hypothesis in found if hypothesis.score > -1e3}
    assert finite == pytest.approx({words: score for words, score in expected.items() if score > -1e3}, abs=1e-5)
    for hypothesis in found:
        words = [word_model.words.index(word) for word in hypothesis.words]
        assert hypothesis.lm == pytest.approx(word_model.sentence_score(words))
        assert len(hypothesis.frames) == len(words)
        assert all(0 <= first <= last < 3 for first, last in hypothesis.frames)


def random_trials(tiny: TinyTransducer, sizes: list[int], seed: int) -> list[TransducerFrames]:
    random = np.random.default_rng(seed)
    ctc = [np.log(random.dirichlet(np.ones(len(T15)), size=size)).reshape(size, len(T15)) for size in sizes]
    return [TransducerFrames(tiny.encoded(size), scores) for size, scores in zip(sizes, ctc, strict=True)]


def chopped(search: TransducerSearch, trials: list[TransducerFrames], seed: int) -> list[Trial]:
    """Search trials in pieces of random sizes, some of them empty."""
    random = np.random.default_rng(seed)
    stream, left = search.begin(len(trials)), list(trials)
    while any(map(len, left)):
        cuts = [int(random.integers(0, 4)) for _ in left]
        stream.step([trial[:cut] for trial, cut in zip(left, cuts, strict=True)])
        left = [trial[cut:] for trial, cut in zip(left, cuts, strict=True)]
    return stream.end()


def alike(one: list[Trial], other: list[Trial]) -> bool:
    """The same hypotheses; sums differ in their last digits with the trials beside."""
    pairs = [pair for trials in zip(one, other, strict=True) for pair in zip(*trials, strict=True)]
    return all(
        (a.words, a.labels, a.frames) == (b.words, b.labels, b.frames) and a.score == pytest.approx(b.score, abs=1e-9)
        for a, b in pairs
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.sampled_from([1, 3, 20]),
    st.sampled_from(list(Merge)),
    st.sampled_from([None, 0, 1, 4]),
    st.integers(0, 10_000),
)
def test_pieces_of_any_size_and_trials_beside_it_change_nothing(
    word_model: WordModel, sizes: list[int], beam: int, merge: Merge, ahead: int | None, seed: int
) -> None:
    options = WordSearchConfig(rnnt_beam_size=beam, merge=merge, lm_weight=0.5, ctc_ahead_frames=ahead or 0)
    tiny = TinyTransducer(len(T15), seed)
    search = word_search(word_model, tiny, options, joint=ahead is not None)
    trials = random_trials(tiny, sizes, seed)
    alone = [search([trial])[0] for trial in trials]
    assert alike(search(trials), alone)
    assert alike(chopped(search, trials, seed), alone)


def test_what_is_forgotten_on_the_way_is_not_needed(word_model: WordModel, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = TinyTransducer(len(T15), 4)
    search = word_search(word_model, tiny, WordSearchConfig(), joint=True)
    trials = random_trials(tiny, [60, 50], 1)
    whole = search(trials)
    monkeypatch.setattr(word_stream, "_TIDY_EVERY", 20)
    stream = search.begin(2)
    for frame in range(60):
        stream.step([trial[frame : frame + 1] for trial in trials])
    assert alike(stream.end(), whole)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([1, 2, 5]))
def test_words_come_from_the_lexicon_and_are_spelled_by_their_labels(
    word_model: WordModel, seed: int, frames: int, beam: int
) -> None:
    tiny = TinyTransducer(len(T15), seed)
    options = WordSearchConfig(rnnt_beam_size=beam)
    trial = TransducerFrames(tiny.encoded(frames), posteriors(frames, seed))
    for joint in (False, True):
        for hypothesis in word_search(word_model, tiny, options, joint)([trial])[0]:
            spelled = "|".join(map(str, hypothesis.labels))
            for word in hypothesis.words:
                assert any(
                    "|".join(map(str, ids)) in spelled
                    for index, ids in word_model.spellings
                    if word_model.words[index] == word
                )


@pytest.mark.parametrize("frames", [0, 1])
@pytest.mark.parametrize("joint", [False, True])
def test_a_trial_too_short_for_a_word_still_has_a_reading(word_model: WordModel, frames: int, joint: bool) -> None:
    tiny = TinyTransducer(len(T15), 0)
    options = WordSearchConfig(max_labels_per_frame=1)
    (found,) = word_search(word_model, tiny, options, joint)(
        [TransducerFrames(tiny.encoded(frames), posteriors(frames, 0))]
    )
    assert [hypothesis.words for hypothesis in found] == [()]


def test_a_language_model_of_weight_zero_changes_nothing_but_ties(word_model: WordModel) -> None:
    """Without weight, two different language models give the same sentences and scores, homophones apart."""
    options = WordSearchConfig(lm_weight=0.0, rnnt_beam_size=8)
    silent = replace(word_model, numbers=np.zeros_like(word_model.numbers))
    tiny = TinyTransducer(len(T15), 3)
    trial = TransducerFrames(tiny.encoded(6))
    one, other = (word_search(model, tiny, options, False)([trial])[0][0] for model in (word_model, silent))
    assert (one.score, one.labels) == (other.score, other.labels)


def test_a_joint_search_says_what_it_lacks(word_model: WordModel) -> None:
    tiny = TinyTransducer(len(T15), 3)
    with pytest.raises(TypeError, match="needs the CTC log-probabilities"):
        word_search(word_model, tiny, WordSearchConfig(), joint=True)([TransducerFrames(torch.zeros(2, 5))])
