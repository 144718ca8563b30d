"""Gaussian smoothing of each feature channel along time, with edges that know where the trial ends."""

import math

import torch
from torch import Tensor, nn

from mode_ssm.batch import FRAME_MS
from mode_ssm.config import Smoothing
from mode_ssm.models.convolution import depthwise_conv

FEW = 32  # frames, up to which one product is faster than convolutions


class GaussianSmoothing(nn.Module):
    """Average neighbouring frames with Gaussian weights, cut at two standard deviations.

    Centered smoothing looks as far ahead as back. Causal smoothing keeps the past half of the Gaussian: it is late
    by the mean age of what it averages, `delay_ms`, about 0.6 standard deviations (24 ms at the default of 2 frames).

    At a trial's ends the weights that fall outside it are left out and the others renormalised, so that the level
    of the signal does not sag there and nothing depends on padding.
    """

    weights: Tensor

    def __init__(self, kind: Smoothing, sd_frames: float) -> None:
        super().__init__()
        self.past = math.ceil(2 * sd_frames)
        self.future = self.past if kind is Smoothing.centered else 0
        offsets = torch.arange(-self.past, self.future + 1, dtype=torch.float64)
        weights = torch.exp(-0.5 * (offsets / sd_frames) ** 2)
        weights /= weights.sum()
        self.delay_ms = -FRAME_MS * float((weights * offsets).sum())
        self.register_buffer("weights", weights.float(), persistent=False)
        self._matrices: dict[tuple[int, int], Tensor] = {}  # of `last`

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Smooth (B, T, C) features that are zero where the (B, T) mask is false; padding gets any finite value."""
        kernel = self.weights.to(features.dtype)
        sums = depthwise_conv(features, kernel.expand(features.shape[2], -1), past=self.past, future=self.future)
        present = depthwise_conv(mask[..., None].to(features.dtype), kernel[None], past=self.past, future=self.future)
        return sums / present.clamp(min=torch.finfo(features.dtype).tiny)

    def last(self, features: Tensor, count: int) -> Tensor:
        """Smooth the last `count` of (T, C) features, which are a trial or at least its last count + `past` frames."""
        if len(features) > FEW:
            smoothed = self.forward(features[None], features.new_ones(1, len(features), dtype=torch.bool))
            return smoothed[0, -count:]
        place = len(features), count
        if place not in self._matrices:
            age = torch.arange(place[0])[-count:, None] - torch.arange(place[0])
            seen = ((age >= -self.future) & (age <= self.past)).to(self.weights.device)
            weights = self.weights[(self.past - age).clamp(0, self.past + self.future)] * seen
            self._matrices[place] = weights / weights.sum(1, keepdim=True)
        return self._matrices[place] @ features
