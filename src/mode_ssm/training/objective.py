"""From a batch to the weighted sum of both losses, computed in float32 or better outside autocast."""

from contextlib import AbstractContextManager
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import CTCNormalisation, LossesConfig
from mode_ssm.losses import additive_rnnt_loss, fused_rnnt_loss, rnnt_loss
from mode_ssm.losses.objective import UpdateSize, ctc_nats, ctc_nats_per_label, rnnt_divisor
from mode_ssm.models.joiner import TanhJoiner
from mode_ssm.models.model import ModeSSM, TransducerInputs


class Weights(NamedTuple):
    ctc: float
    rnnt: float


class LossTerms(NamedTuple):
    """A batch's share of the update: summed over an update's batches these are the update's means."""

    total: Tensor
    ctc: Tensor  # nats per label, or as losses.ctc_normalisation says
    rnnt: Tensor  # scaled
    rnnt_raw: Tensor  # nats per trial


class _Options(TypedDict):
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
) -> LossTerms:
    """The losses of one batch; a head whose weight is 0 is not computed.

    Args:
        size: the counts over all batches of the update, which this batch's sums are divided by.
    """
    with autocast:
        frames, lengths = model.encode(batch)
        log_probs = model.ctc_log_probs(frames) if weights.ctc > 0 else None
        sides = model.transducer_inputs(frames, batch.labels) if weights.rnnt > 0 else None
    zero = frames.new_zeros((), dtype=torch.float32)
    ctc = rnnt = rnnt_raw = zero
    if log_probs is not None:
        ctc_loss = ctc_nats_per_label if config.ctc_normalisation is CTCNormalisation.label else ctc_nats
        ctc = ctc_loss(log_probs, batch.labels, lengths, batch.label_lengths).sum() / size.trials
    if sides is not None:
        raw = transducer_nats(model, sides, batch, lengths, config)
        divisor = rnnt_divisor(config.rnnt_scaling, batch.label_lengths, size).to(raw)
        rnnt, rnnt_raw = (raw / divisor).sum() / size.trials, raw.detach().sum() / size.trials
    return LossTerms(weights.ctc * ctc + weights.rnnt * rnnt, ctc.detach(), rnnt.detach(), rnnt_raw)


def transducer_nats(
    model: ModeSSM, sides: TransducerInputs, batch: Batch, lengths: Tensor, config: LossesConfig
) -> Tensor:
    """Raw RNN-T nats of each trial, (B,)."""
    joiner = model.transducer.joiner
    targets, u_lengths = batch.labels, batch.label_lengths
    options = _Options(reduction="none", clamp=config.clamp, fastemit_lambda=config.fastemit_lambda)
    if not config.fused:
        logits = joiner.logits(sides.encoder[:, :, None], sides.predictor[:, None])
        return rnnt_loss(logits, targets, lengths, u_lengths, **options)
    if isinstance(joiner, TanhJoiner):
        weight, bias = joiner.output.weight, joiner.output.bias
        return fused_rnnt_loss(*sides, weight, bias, targets, lengths, u_lengths, **options)
    return additive_rnnt_loss(*sides, targets, lengths, u_lengths, **options)
