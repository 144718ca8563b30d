"""What only the additive joint has: products that underflow, and scores of minus infinity."""

import pytest
import torch
from torch import Tensor

from mode_ssm.losses import additive, additive_rnnt_loss, rnnt_loss


def both(encoder: Tensor, predictor: Tensor, *rest: Tensor, **options: float) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Losses and gradients of the additive loss and of the reference."""
    results = []
    for loss in (additive_rnnt_loss, lambda e, p, *r, **o: rnnt_loss(e[:, :, None] + p[:, None], *r, **o)):
        scores = [score.detach().clone().requires_grad_() for score in (encoder, predictor)]
        costs = loss(*scores, *rest, reduction="none", **options)
        costs.sum().backward()
        results.append((costs.detach(), scores[0].grad, scores[1].grad))
    return results


@pytest.fixture
def batch() -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    scores = [torch.randn(2, size, 6, dtype=torch.float64, generator=draw) for size in (7, 4)]
    return [*scores, torch.randint(1, 6, (2, 3), generator=draw), torch.tensor([7, 4]), torch.tensor([3, 2])]


def test_classes_that_encoder_and_predictor_disagree_on_by_a_thousand_nats(batch: list[Tensor]) -> None:
    """No product of exponentials survives: those cells are summed term by term, in small chunks."""
    batch[0][0, :4, :3] += 2000.0
    batch[1][0, 1:, 3:] += 2000.0
    mine, theirs = both(*batch)
    for got, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_chunks_give_what_one_piece_gives(batch: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    batch[0][0, :4, :3] += 2000.0
    batch[1][0, 1:, 3:] += 2000.0
    whole, _ = both(*batch, clamp=0.3)
    monkeypatch.setattr(additive, "CHUNK_SCORES", 13)
    parts, reference = both(*batch, clamp=0.3)
    for got, one, expected in zip(parts, whole, reference, strict=True):
        torch.testing.assert_close(got, one, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("clamp", [-1.0, 0.3])
def test_forbidden_classes_and_impossible_trials(batch: list[Tensor], clamp: float) -> None:
    batch[0][0, 2, 5] = -torch.inf
    batch[0][1, :, 0] = -torch.inf
    batch[0][1, 2] = -torch.inf
    mine, theirs = both(*batch, clamp=clamp)
    assert mine[0][1] == torch.inf
    assert (mine[1][1] == 0).all()
    for got, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
