"""Speed, noise, offsets, cuts and time masks on training features, drawn from torch's global generator."""

import math

import torch
from torch import Tensor

from mode_ssm.batch import Batch, length_mask
from mode_ssm.config import AugmentationConfig
from mode_ssm.models.masking import random_runs


def augment(batch: Batch, config: AugmentationConfig) -> Batch:
    """A batch of the same trials, each noisier and at a speed of its own.

    White noise and one constant offset per trial and channel follow the NEJM baseline (Card et al. 2024); the time
    masks set runs of frames to 0, which is the mean of z-scored features (SpecAugment, Park et al. 2019); the speeds
    are those of Ko et al. 2015, on features.
    """
    features, lengths = batch.features, batch.frame_lengths
    if config.max_speed_change > 0:
        features, lengths = change_speed(features, lengths, config.max_speed_change)
    trials, frames, channels = features.shape
    if config.white_noise_sd > 0:
        features = torch.add(features, torch.randn_like(features), alpha=config.white_noise_sd)
    if config.constant_offset_sd > 0:
        offsets = features.new_empty(trials, 1, channels).normal_()
        features = torch.add(features, offsets, alpha=config.constant_offset_sd)
    hidden = ~length_mask(lengths, frames)
    if config.time_masks > 0:
        hidden |= random_runs(lengths, frames, count=config.time_masks, max_fraction=config.time_mask_max_fraction)
    if config.max_cut_frames > 0:
        cut = int(torch.randint(0, config.max_cut_frames + 1, ()))
        features, hidden, lengths = features[:, cut:], hidden[:, cut:], lengths - cut
    features = features.masked_fill(hidden[..., None], 0.0)
    return batch._replace(features=features, frame_lengths=lengths)


def change_speed(features: Tensor, lengths: Tensor, max_change: float) -> tuple[Tensor, Tensor]:
    """Stretch or squeeze each trial to U[1 - max_change, 1 + max_change] of its duration, by linear interpolation.

    Args:
        features: (B, T, C).
        lengths: (B,) frames of each trial.

    Returns:
        (B, T', C) features, whose padding means nothing, and the new (B,) lengths.
    """
    duration = 1 + max_change * (2 * torch.rand(len(lengths), device=lengths.device) - 1)
    stretched = (lengths * duration).round().long()
    frame = torch.arange(int(stretched.max()), device=lengths.device)[None]
    step = lengths / stretched.clamp(min=1)
    last = (lengths - 1).clamp(min=0)[:, None]
    place = ((frame + 0.5) * step[:, None] - 0.5).clamp(min=0).minimum(last)
    before = place.floor().long()
    trial = torch.arange(len(lengths), device=lengths.device)[:, None]
    share = (place - before)[..., None].to(features.dtype)
    return torch.lerp(features[trial, before], features[trial, (before + 1).minimum(last)], share), stretched


def fewest_frames(frames: int, config: AugmentationConfig) -> int:
    """What the highest speed and the longest cut leave of a trial."""
    return max(math.floor(frames * (1 - config.max_speed_change)) - config.max_cut_frames, 0)
