"""Runs of frames to hide in training (SpecAugment's time masks, Park et al. 2019, section 2)."""

import torch
from torch import Tensor


def random_runs(lengths: Tensor, size: int, *, count: int, max_fraction: float) -> Tensor:
    """(B, size), true within `count` runs of U{0 .. max_fraction * length} frames, each at a random place of its trial.

    Args:
        lengths: (B,) frames of each trial.
        size: frames of the padded batch.
        count: runs in each trial; they may overlap.
        max_fraction: of a trial's frames, for each run.
    """
    device, shape = lengths.device, (len(lengths), count)
    limit = (lengths * max_fraction).floor()[:, None]
    width = (torch.rand(shape, device=device) * (limit + 1)).floor()
    start = (torch.rand(shape, device=device) * (lengths[:, None] - width + 1)).floor()
    at = torch.arange(size, device=device)[None, None]
    hidden = (at >= start[..., None]) & (at < (start + width)[..., None])
    return hidden.any(dim=1)
