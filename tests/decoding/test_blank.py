"""Any class may be the blank: with the classes renumbered every search finds the same, renumbered."""

import math

import numpy as np
import pytest
import torch

from mode_ssm.decoding.alignment import ctc_alignment
from mode_ssm.decoding.beam import BeamOptions, transducer_beam
from mode_ssm.decoding.ctc import CTCPrefixScorer, ctc_greedy
from mode_ssm.decoding.guide import CTCGuide
from mode_ssm.decoding.transducer import transducer_greedy
from tests.decoding.tiny_transducer import TinyTransducer

CLASSES = 5
# The new number of each class; the blank, class 0, comes last or into the middle.
orders = pytest.mark.parametrize("order", [[4, 0, 1, 2, 3], [2, 4, 0, 3, 1]], ids=["last", "middle"])


def log_probs(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, CLASSES, generator=generator, dtype=torch.float64).mul(2).log_softmax(-1)


def renumber(scores: torch.Tensor, order: list[int]) -> torch.Tensor:
    return scores[..., torch.tensor(order).argsort()]


@orders
def test_ctc_greedy(order: list[int]) -> None:
    scores, lengths = log_probs(3, 9), torch.tensor([9, 5, 0])
    plain = ctc_greedy(scores, lengths, blank=0)
    got = ctc_greedy(renumber(scores, order), lengths, blank=order[0])
    assert any(plain)
    assert got == [[order[label] for label in trial] for trial in plain]


@orders
def test_ctc_prefix_probabilities(order: list[int]) -> None:
    scores = log_probs(6)
    plain = CTCPrefixScorer(scores.numpy(), blank=0)
    other = CTCPrefixScorer(renumber(scores, order).numpy(), blank=order[0])
    states = plain.start(), other.start()
    for label in (1, 1, 3):
        expected, got = plain.scores(states[0]), other.scores(states[1])
        np.testing.assert_allclose(got[order], expected, rtol=1e-12)
        assert got[order[0]] == -math.inf
        states = plain.extend(states[0], label), other.extend(states[1], order[label])
        assert states[1].whole == pytest.approx(states[0].whole, rel=1e-12)


@orders
@pytest.mark.parametrize("labels", [[], [1], [2, 2], [1, 3, 3]])
def test_ctc_alignments(order: list[int], labels: list[int]) -> None:
    scores = log_probs(7)
    plain = ctc_alignment(scores, torch.tensor(labels, dtype=torch.int64), blank=0)
    renumbered = torch.tensor([order[label] for label in labels], dtype=torch.int64)
    assert torch.equal(ctc_alignment(renumber(scores, order), renumbered, blank=order[0]), plain)


@orders
def test_transducer_greedy(order: list[int]) -> None:
    tiny = TinyTransducer(CLASSES, seed=2)
    encoded, lengths = tiny.encoded(3, 8), torch.tensor([8, 3, 0])
    plain = transducer_greedy(encoded, lengths, tiny.callables(), 2)
    got = transducer_greedy(encoded, lengths, tiny.renumbered(order).callables(), 2)
    assert any(hypothesis.labels for hypothesis in plain)
    for one, other in zip(plain, got, strict=True):
        assert other.labels == tuple(order[label] for label in one.labels)
        assert other.frames == one.frames
        assert other.score == pytest.approx(one.score, rel=1e-12)


@orders
def test_transducer_beam_with_all_that_it_adds(order: list[int]) -> None:
    tiny = TinyTransducer(CLASSES, seed=5)
    encoded, lengths, scores = tiny.encoded(2, 6), torch.tensor([6, 4]), log_probs(2, 6)
    options = BeamOptions(6, 2, threshold=20.0, label_threshold=9.0, internal_lm_weight=0.3, blank_penalty=0.4)

    def search(model: TinyTransducer, ctc: torch.Tensor) -> list[list[tuple[tuple[int, ...], float]]]:
        guides = [CTCGuide(row.numpy()[:size], 0.5, model.blank) for row, size in zip(ctc, lengths, strict=True)]
        found = transducer_beam(encoded, lengths, model.callables(), options, guides)
        return [[(hypothesis.labels, hypothesis.score) for hypothesis in trial] for trial in found]

    plain = search(tiny, scores)
    for one, other in zip(plain, search(tiny.renumbered(order), renumber(scores, order)), strict=True):
        assert [labels for labels, _ in other] == [tuple(order[label] for label in labels) for labels, _ in one]
        assert [score for _, score in other] == pytest.approx([score for _, score in one], rel=1e-10)
        assert len(one) > 1
