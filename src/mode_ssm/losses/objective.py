"""The training objective: ctc_weight * CTC + rnnt_weight * scaled RNN-T, in units that can be compared.

PyTorch's CTC "mean" is in nats per label; the raw RNN-T mean is in nats per trial, larger by the number of labels.
That difference of units, not a broken loss, is why a raw RNN-T loss stands at thousands beside a CTC loss of tens.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from mode_ssm.config import RNNTScaling


class UpdateSize(NamedTuple):
    """Counts over all trials of one optimizer update, however many batches and processes they come in."""

    trials: int
    encoder_frames: int  # sum of S
    labels: int  # sum of U

    def __add__(self, other: object) -> "UpdateSize":
        assert isinstance(other, UpdateSize)
        return UpdateSize(*(a + b for a, b in zip(self, other, strict=True)))


def ctc_nats(log_probs: Tensor, labels: Tensor, frame_lengths: Tensor, label_lengths: Tensor, blank: int = 0) -> Tensor:
    """CTC of each trial.

    Args:
        log_probs: (B, S, V); labels: (B, U); the lengths: (B,).
        blank: class of the blank.

    Returns:
        (B,); infinite where the labels do not fit into the frames.
    """
    log_probs = log_probs.transpose(0, 1)
    return ctc_loss(log_probs, labels, frame_lengths, label_lengths, blank=blank, reduction="none")


def ctc_nats_per_label(
    log_probs: Tensor, labels: Tensor, frame_lengths: Tensor, label_lengths: Tensor, blank: int = 0
) -> Tensor:
    """CTC of each trial divided by its number of labels (at least 1); the arguments are those of `ctc_nats`."""
    return ctc_nats(log_probs, labels, frame_lengths, label_lengths, blank) / label_lengths.clamp(min=1)


def rnnt_divisor(scaling: RNNTScaling, label_lengths: Tensor, size: UpdateSize, gradient_scale: float = 1.0) -> Tensor:
    """What each trial's raw RNN-T nats are divided by, (B,).

    The batch schemes take their means over the whole update, so that four accumulated batches of one trial give the
    gradient of one batch of four.

    Args:
        gradient_scale: of the nats per label, for the scaling `gradient` (see losses/gradient_scale.py).
    """
    mean_frames, mean_labels = size.encoder_frames / size.trials, size.labels / size.trials
    match scaling:
        case RNNTScaling.sequence_length:
            divisor = max(mean_frames / 2, 1.0)
        case RNNTScaling.sqrt:
            divisor = max(math.sqrt(mean_frames * mean_labels), 1.0)
        case RNNTScaling.label_length:
            return label_lengths.clamp(min=1).to(torch.float64)
        case RNNTScaling.gradient:
            return label_lengths.clamp(min=1).to(torch.float64) / gradient_scale
        case RNNTScaling.none:
            divisor = 1.0
    return torch.full_like(label_lengths, 1, dtype=torch.float64) * divisor
