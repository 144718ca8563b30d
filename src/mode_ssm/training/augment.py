"""Noise, offsets, cuts and time masks on training features, drawn from torch's global generator."""

import torch

from mode_ssm.batch import Batch, length_mask
from mode_ssm.config import AugmentationConfig
from mode_ssm.models.masking import random_runs


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
        hidden = random_runs(lengths, frames, count=config.time_masks, max_fraction=config.time_mask_max_fraction)
        features = features.masked_fill(hidden[..., None], 0.0)
    if config.max_cut_frames > 0:
        cut = int(torch.randint(0, config.max_cut_frames + 1, ()))
        features, lengths = features[:, cut:], lengths - cut
    features = features * length_mask(lengths, features.shape[1])[..., None]
    return batch._replace(features=features, frame_lengths=lengths)
