"""From a batch to the weighted sum of its terms, and how hard each term pulls on the encoder."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

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


class UpdateSizes(NamedTuple):
    """Counts over an update."""

    whole: UpdateSize
    labelled: UpdateSize  # of the trials with labels
    aligned: UpdateSize  # of those whose labels CTC can align

    def of(self, term: Term) -> UpdateSize:
        """The trials that a term can use."""
        if term.needs_alignment:
            return self.aligned
        return self.labelled if term.needs_labels else self.whole


class BatchLoss(NamedTuple):
    """A batch's share of the update: summed over an update's batches these are the update's means."""

    total: Tensor
    numbers: dict[str, Tensor]  # by key of metrics.jsonl; of the terms that found a trial to use


def batch_loss(
    model: ModeSSM,
    batch: Batch,
    objective: Sequence[Weighted],
    sizes: UpdateSizes,
    autocast: Callable[[], AbstractContextManager[object]],
    encoder_squares: Tensor,
) -> BatchLoss:
    """The terms of one batch.

    Args:
        sizes: the counts over all batches of the update, which this batch's sums are divided by.
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
        encoded, usable = Encoded(measured(frames, square), lengths), batch
        if sizes.of(term) != sizes.whole:
            encoded, usable = rows_of(encoded, batch, usable_rows(term, batch, lengths))
        if not usable.keys:
            continue
        loss, found = term.loss(TermInput(model, encoded, usable, sizes.of(term), autocast))
        total = total + weight * loss
        numbers |= {term.loss_key: loss.detach(), **found}
    return BatchLoss(total, numbers)


def usable_rows(term: Term, batch: Batch, lengths: Tensor) -> Tensor:
    """(B,) bool: the trials that a term can use, of which only CTC's must have frames enough for their labels."""
    return batch.aligned(lengths) if term.needs_alignment else batch.labelled


def rows_of(encoded: Encoded, batch: Batch, chosen: Tensor) -> tuple[Encoded, Batch]:
    """Some trials of a batch, (B,) bool."""
    rows = chosen.nonzero().flatten()
    lengths = encoded.lengths[rows]
    longest = int(lengths.max()) if len(rows) else 0
    kept: dict[str, Any] = {name: value[rows] for name, value in batch._asdict().items() if isinstance(value, Tensor)}
    kept |= {name: tuple(getattr(batch, name)[row] for row in rows.tolist()) for name in ("keys", "sentences")}
    return Encoded(encoded.frames[rows, :longest], lengths), batch._replace(**kept)


def measured(frames: Tensor, squares: Tensor) -> Tensor:
    """The same frames; backward adds the squared norm of the gradient that comes back through them to `squares`."""
    frames = frames.view_as(frames)

    def add(gradient: Tensor) -> None:
        norm = torch.linalg.vector_norm(gradient, dtype=torch.promote_types(gradient.dtype, torch.float32))
        squares.add_(norm.double().square())

    frames.register_hook(add)
    return frames
