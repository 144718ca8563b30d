"""Any class may be the blank: with the classes renumbered every search finds the same, renumbered."""

import numpy as np
import pytest
import torch

from mode_ssm.decoding.alignment import ctc_alignment
from mode_ssm.decoding.ctc import ctc_greedy
from mode_ssm.decoding.ctc_prefixes import CTCPrefixes
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
    plain, other = (CTCPrefixes(1, CLASSES, blank, window=9) for blank in (0, order[0]))
    for prefixes, frames in ((plain, scores), (other, renumber(scores, order))):
        for frame in frames.numpy():
            prefixes.hear(frame[None], np.ones(1, np.bool_), np.ones(1, np.bool_))
    for row, label in enumerate((1, 1, 3)):
        plain.grow(np.array([row]), np.array([label]))
        other.grow(np.array([row]), np.array([order[label]]))
    np.testing.assert_allclose(other.prefix, plain.prefix, rtol=1e-12)
    np.testing.assert_allclose(other.whole, plain.whole, rtol=1e-12)


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
