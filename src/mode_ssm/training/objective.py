"""From a batch to the weighted sum of its terms, and how hard each term pulls on the encoder."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.losses.objective import UpdateSize
from mode_ssm.models.model import Encoded, ModeSSM
from mode_ssm.training.terms import Term, TermInput


class Weighted(NamedTuple):
    """A term as an update trains it; an objective is a sequence of them."""

    term: Term
    weight: float  # above 0


class BatchLoss(NamedTuple):
    """A batch's share of the update: summed over an update's batches these are the update's means."""

    total: Tensor
    numbers: dict[str, Tensor]  # by key of metrics.jsonl; of the terms that found a trial to use


def batch_loss(
    model: ModeSSM,
    batch: Batch,
    objective: Sequence[Weighted],
    size: UpdateSize,
    autocast: Callable[[], AbstractContextManager[object]],
    encoder_squares: Tensor,
) -> BatchLoss:
    """The terms of one batch.

    Args:
        size: the counts over all batches of the update, which this batch's sums are divided by.
        encoder_squares: (terms,) double; backward adds the squared norms of the gradients that the weighted terms send
            to the encoder's output.
    """
    with autocast():
        frames, lengths = model.encode(batch)
    if not frames.requires_grad:  # nothing learns below
        frames = frames.detach().requires_grad_()
    total = frames.new_zeros((), dtype=torch.float32)
    numbers: dict[str, Tensor] = {}
    for (term, weight), square in zip(objective, encoder_squares, strict=True):
        encoded = Encoded(measured(frames, square), lengths)
        loss, found = term.loss(TermInput(model, encoded, batch, size, autocast))
        total = total + weight * loss
        numbers |= {term.loss_key: loss.detach(), **found}
    return BatchLoss(total, numbers)


def measured(frames: Tensor, squares: Tensor) -> Tensor:
    """The same frames; backward adds the squared norm of the gradient that comes back through them to `squares`."""
    frames = frames.view_as(frames)

    def add(gradient: Tensor) -> None:
        norm = torch.linalg.vector_norm(gradient, dtype=torch.promote_types(gradient.dtype, torch.float32))
        squares.add_(norm.double().square())

    frames.register_hook(add)
    return frames
