"""Transducer searches against exhaustive search over label sequences, and greedy against a plain loop."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mode_ssm.decoding.beam import BeamOptions, transducer_beam
from mode_ssm.decoding.ctc import CTCPrefixScorer
from mode_ssm.decoding.guide import CTCGuide, SumOfGuides
from mode_ssm.decoding.transducer import Hypothesis, transducer_greedy
from tests.decoding.tiny_transducer import TinyTransducer, exhaustive

FULL = 10_000


def options(beam_size: int = FULL, bound: int = 2, **more: float) -> BeamOptions:
    return BeamOptions(beam_size=beam_size, max_labels_per_frame=bound, threshold=math.inf, **more)


def plain_greedy(tiny: TinyTransducer, encoded: Tensor, bound: int) -> Hypothesis:
    labels: list[int] = []
    frames: list[int] = []
    score = 0.0
    for frame in range(len(encoded)):
        for _ in range(bound):
            log_probs = tiny.table(encoded, tuple(labels))[frame, -1]
            best = int(log_probs.argmax())
            score += float(log_probs[best])
            if best == 0:
                break
            labels.append(best)
            frames.append(frame)
    return Hypothesis(tuple(labels), score, tuple(frames))


@pytest.mark.parametrize("bound", [1, 3])
def test_batched_greedy_equals_a_loop_over_trials(bound: int) -> None:
    tiny = TinyTransducer(classes=4, seed=1)
    encoded = tiny.encoded(5, 7)
    lengths = torch.tensor([7, 3, 0, 6, 1])
    encoded[1, 3:] = float("nan")  # padding is never looked at
    got = transducer_greedy(encoded, lengths, tiny.callables(), bound)
    for hypothesis, trial, size in zip(got, encoded, lengths.tolist(), strict=True):
        expected = plain_greedy(tiny, trial[:size], bound)
        assert (hypothesis.labels, hypothesis.frames) == (expected.labels, expected.frames)
        assert hypothesis.score == pytest.approx(expected.score)
    assert any(hypothesis.labels for hypothesis in got)


def test_the_predictor_moves_on_labels_only() -> None:
    tiny = TinyTransducer(classes=3, seed=3)
    encoded = tiny.encoded(2, 20)
    got = transducer_greedy(encoded, torch.tensor([20, 20]), tiny.callables(), 2)
    assert tiny.predicted == 2 + sum(len(hypothesis.labels) for hypothesis in got)


@pytest.mark.parametrize(("classes", "frames", "bound"), [(3, 3, 2), (4, 4, 1), (2, 3, 3), (3, 1, 2)])
def test_a_full_beam_is_exhaustive(classes: int, frames: int, bound: int) -> None:
    tiny = TinyTransducer(classes, seed=classes + frames)
    encoded = tiny.encoded(1, frames)
    expected = exhaustive(tiny, encoded[0], bound)
    (got,) = transducer_beam(encoded, torch.tensor([frames]), tiny.callables(), options(bound=bound))
    assert {hypothesis.labels for hypothesis in got} == set(expected)
    for hypothesis in got:
        assert hypothesis.score == pytest.approx(expected[hypothesis.labels], abs=1e-9)
    assert [h.score for h in got] == sorted((h.score for h in got), reverse=True)
    assert got[0].labels == max(expected, key=lambda labels: expected[labels])


def test_scores_are_probabilities_that_exhaust_as_the_bound_grows() -> None:
    tiny = TinyTransducer(classes=2, seed=3)
    encoded = tiny.encoded(1, 2)
    totals = []
    for bound in (0, 1, 5, 60):
        (got,) = transducer_beam(encoded, torch.tensor([2]), tiny.callables(), options(bound=bound))
        totals.append(np.logaddexp.reduce([hypothesis.score for hypothesis in got]))
    assert totals == sorted(totals)
    assert totals[-1] == pytest.approx(0.0, abs=1e-9)


def test_trials_are_searched_as_if_alone_and_padding_is_ignored() -> None:
    tiny = TinyTransducer(classes=5, seed=9)
    encoded = tiny.encoded(4, 9)
    lengths = torch.tensor([9, 4, 0, 7])
    encoded[1, 4:] = float("nan")
    together = transducer_beam(encoded, lengths, tiny.callables(), options(beam_size=4))
    for trial, size in enumerate(lengths.tolist()):
        (alone,) = transducer_beam(encoded[trial : trial + 1], lengths[trial : trial + 1], tiny.callables(), options(4))
        assert [h.labels for h in together[trial]] == [h.labels for h in alone]
        assert [h.score for h in together[trial]] == pytest.approx([h.score for h in alone])
        assert all(frame < size for h in alone for frame in h.frames)
    assert [h.labels for h in together[2]] == [()]


def test_a_wider_beam_finds_at_least_as_good_a_best() -> None:
    worse = 0
    for seed in range(5):
        tiny = TinyTransducer(classes=4, seed=seed)
        encoded, lengths = tiny.encoded(1, 4), torch.tensor([4])
        best = [transducer_beam(encoded, lengths, tiny.callables(), options(k))[0][0].score for k in (1, 4, FULL)]
        assert best[2] >= max(best) - 1e-9
        worse += best[0] < best[2] - 1e-9
    assert worse > 0  # the beam matters in these cases


def test_a_threshold_drops_what_is_far_below_the_best() -> None:
    tiny = TinyTransducer(classes=3, seed=2)
    encoded, lengths = tiny.encoded(1, 4), torch.tensor([4])
    narrow = BeamOptions(beam_size=FULL, max_labels_per_frame=2, threshold=2.0)
    (wide,) = transducer_beam(encoded, lengths, tiny.callables(), options())
    (kept,) = transducer_beam(encoded, lengths, tiny.callables(), narrow)
    assert 1 <= len(kept) < len(wide)
    assert all(h.score >= kept[0].score - 2.0 for h in kept)


def test_frames_are_an_alignment_of_the_labels() -> None:
    tiny = TinyTransducer(classes=4, seed=5)
    (got,) = transducer_beam(tiny.encoded(1, 6), torch.tensor([6]), tiny.callables(), options(beam_size=8))
    for hypothesis in got:
        assert len(hypothesis.frames) == len(hypothesis.labels)
        assert list(hypothesis.frames) == sorted(hypothesis.frames)
        assert all(hypothesis.frames.count(frame) <= 2 for frame in hypothesis.frames)


def test_internal_language_model_and_ctc_scores_are_added_exactly() -> None:
    tiny = TinyTransducer(classes=3, seed=4)
    encoded, lengths = tiny.encoded(1, 4), torch.tensor([4])
    ctc = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=4))
    (got,) = transducer_beam(
        encoded, lengths, tiny.callables(), options(bound=1, internal_lm_weight=0.3), [CTCGuide(ctc, 0.7, blank=0)]
    )
    plain = exhaustive(tiny, encoded[0], bound=1)
    scorer = CTCPrefixScorer(ctc, blank=0)
    expected = {}
    for labels, score in plain.items():
        state = scorer.start()
        for label in labels:
            state = scorer.extend(state, label)
            if not np.isfinite(state.prefix):
                break
        if np.isfinite(state.whole):
            expected[labels] = score - 0.3 * tiny.internal_lm(labels) + 0.7 * state.whole
    finite = {h.labels: h.score for h in got if np.isfinite(h.score)}
    assert finite.keys() == expected.keys()
    for labels, score in finite.items():
        assert score == pytest.approx(expected[labels], abs=1e-9)
        assert {h.labels: h.transducer for h in got}[labels] == pytest.approx(plain[labels], abs=1e-9)


def test_no_guides_and_an_empty_sum_of_guides_are_one() -> None:
    tiny = TinyTransducer(classes=4, seed=8)
    encoded, lengths = tiny.encoded(2, 5), torch.tensor([5, 4])
    free = transducer_beam(encoded, lengths, tiny.callables(), options(3))
    guided = transducer_beam(encoded, lengths, tiny.callables(), options(3), [SumOfGuides([]), SumOfGuides([])])
    assert [[h.labels for h in trial] for trial in free] == [[h.labels for h in trial] for trial in guided]
