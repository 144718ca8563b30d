"""Noise, offsets, cuts and time masks on training features, drawn from torch's global generator."""

import torch
from torch import Tensor

from mode_ssm.batch import Batch, length_mask
from mode_ssm.config import AugmentationConfig


def augment(batch: Batch, config: AugmentationConfig) -> Batch:
    """A noisier batch of the same trials.

    White noise and one constant offset per trial and channel follow the NEJM baseline (Card et al. 2024); the time
    masks set runs of frames to 0, which is the mean of z-scored features (SpecAugment, Park et al. 2019).
    """
    features, lengths = batch.features, batch.frame_lengths
    trials, frames, channels = features.shape
    if config.white_noise_sd > 0:
        features = features + config.white_noise_sd * torch.randn_like(features)
    if config.constant_offset_sd > 0:
        features = features + config.constant_offset_sd * features.new_empty(trials, 1, channels).normal_()
    if config.time_masks > 0:
        features = features.masked_fill(_time_masks(lengths, frames, config)[..., None], 0.0)
    if config.max_cut_frames > 0:
        cut = int(torch.randint(0, config.max_cut_frames + 1, ()))
        features, lengths = features[:, cut:], lengths - cut
    features = features * length_mask(lengths, features.shape[1])[..., None]
    return batch._replace(features=features, frame_lengths=lengths)


def _time_masks(lengths: Tensor, frames: int, config: AugmentationConfig) -> Tensor:
    """(B, T), true where a frame is hidden: masks of U{0 .. fraction * length} frames at random places."""
    device, shape = lengths.device, (len(lengths), config.time_masks)
    limit = (lengths * config.time_mask_max_fraction).floor()[:, None]
    width = (torch.rand(shape, device=device) * (limit + 1)).floor()
    start = (torch.rand(shape, device=device) * (lengths[:, None] - width + 1)).floor()
    at = torch.arange(frames, device=device)[None, None]
    hidden = (at >= start[..., None]) & (at < (start + width)[..., None])
    return hidden.any(dim=1)
