"""From a batch to the weighted sum of both losses, computed in float32 or better outside autocast."""

from contextlib import AbstractContextManager
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from mode_ssm.batch import Batch, length_mask
from mode_ssm.config import CTCNormalisation, LossesConfig
from mode_ssm.losses import additive_rnnt_loss, fused_rnnt_loss, rnnt_loss
from mode_ssm.losses.objective import UpdateSize, ctc_nats, ctc_nats_per_label, rnnt_divisor
from mode_ssm.models.joiner import TanhJoiner
from mode_ssm.models.model import ModeSSM, TransducerInputs


class Weights(NamedTuple):
    ctc: float
    rnnt: float
    gradient_scale: float = 1.0  # of the RNN-T nats per label, with rnnt_scaling=gradient


class LossTerms(NamedTuple):
    """A batch's share of the update: summed over an update's batches these are the update's means."""

    total: Tensor
    ctc: Tensor  # nats per label, or as losses.ctc_normalisation says
    rnnt: Tensor  # scaled
    rnnt_raw: Tensor  # nats per trial
    rnnt_scale: Tensor  # what the raw nats were multiplied by, mean over trials
    ctc_blank: Tensor  # the CTC head's probability of blank, mean over encoder frames


class _Options(TypedDict):
    blank: int
    reduction: str
    clamp: float
    fastemit_lambda: float


def batch_losses(
    model: ModeSSM,
    batch: Batch,
    weights: Weights,
    config: LossesConfig,
    size: UpdateSize,
    autocast: AbstractContextManager[object],
    encoder_squares: Tensor,
) -> LossTerms:
    """The losses of one batch; a head whose weight is 0 is not computed.

    Args:
        size: the counts over all batches of the update, which this batch's sums are divided by.
        encoder_squares: (2,) double; backward adds the squared norms of the gradients that the weighted CTC and RNN-T
            losses send to the encoder's output.
    """
    with autocast:
        frames, lengths = model.encode(batch)
        if not frames.requires_grad:  # nothing learns below
            frames = frames.detach().requires_grad_()
        log_probs = model.ctc_log_probs(measured(frames, encoder_squares[0])) if weights.ctc > 0 else None
        sides = (
            model.transducer_inputs(measured(frames, encoder_squares[1]), batch.labels) if weights.rnnt > 0 else None
        )
    zero = frames.new_zeros((), dtype=torch.float32)
    ctc = rnnt = rnnt_raw = rnnt_scale = ctc_blank = zero
    if log_probs is not None:
        ctc_blank = mean_blank(log_probs[..., model.labels.blank], lengths, size)
        ctc_loss = ctc_nats_per_label if config.ctc_normalisation is CTCNormalisation.label else ctc_nats
        ctc = ctc_loss(log_probs, batch.labels, lengths, batch.label_lengths, model.labels.blank).sum() / size.trials
    if sides is not None:
        raw = transducer_nats(model, sides, batch, lengths, config)
        divisor = rnnt_divisor(config.rnnt_scaling, batch.label_lengths, size, weights.gradient_scale).to(raw)
        rnnt, rnnt_raw = (raw / divisor).sum() / size.trials, raw.detach().sum() / size.trials
        rnnt_scale = (1 / divisor).sum() / size.trials
    total = weights.ctc * ctc + weights.rnnt * rnnt
    return LossTerms(total, ctc.detach(), rnnt.detach(), rnnt_raw, rnnt_scale, ctc_blank)


def mean_blank(blank_log_probs: Tensor, lengths: Tensor, size: UpdateSize) -> Tensor:
    """A batch's share of the mean probability of blank over the encoder frames of the update."""
    blank = blank_log_probs.detach().exp() * length_mask(lengths, blank_log_probs.shape[1])
    return blank.sum() / size.encoder_frames


def measured(frames: Tensor, squares: Tensor) -> Tensor:
    """The same frames; backward adds the squared norm of the gradient that comes back through them to `squares`."""
    frames = frames.view_as(frames)

    def add(gradient: Tensor) -> None:
        norm = torch.linalg.vector_norm(gradient, dtype=torch.promote_types(gradient.dtype, torch.float32))
        squares.add_(norm.double().square())

    frames.register_hook(add)
    return frames


def transducer_nats(
    model: ModeSSM, sides: TransducerInputs, batch: Batch, lengths: Tensor, config: LossesConfig
) -> Tensor:
    """Raw RNN-T nats of each trial, (B,)."""
    joiner = model.transducer.joiner
    targets, u_lengths = batch.labels, batch.label_lengths
    options = _Options(
        blank=model.labels.blank, reduction="none", clamp=config.clamp, fastemit_lambda=config.fastemit_lambda
    )
    if not config.fused:
        encoder, predictor = (side.to(torch.promote_types(side.dtype, torch.float32)) for side in sides)
        logits = joiner.logits(encoder[:, :, None], predictor[:, None])
        return rnnt_loss(logits, targets, lengths, u_lengths, **options)
    if isinstance(joiner, TanhJoiner):
        weight, bias = joiner.output.weight, joiner.output.bias
        return fused_rnnt_loss(*sides, weight, bias, targets, lengths, u_lengths, **options)
    return additive_rnnt_loss(*sides, targets, lengths, u_lengths, **options)
