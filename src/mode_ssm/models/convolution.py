"""Convolutions along time, in the layout (B, T, C) that the rest of the model uses, and patches of frames.

Frames are shown to a convolution as a channels-last picture of height 1: no copy, and the one layout in which its
kernels are fast on a CPU.
"""

import torch.nn.functional as F
from torch import Tensor


def depthwise_conv(frames: Tensor, weight: Tensor, *, past: int, future: int, bias: Tensor | None = None) -> Tensor:
    """Filter each channel of (B, T, C) with its row of `weight`, (C, past + 1 + future); outside are zeros."""
    if frames.shape[1] == 0:
        return frames
    pad = max(past, future)
    out = F.conv2d(_picture(frames), weight[:, None, None, :], bias, padding=(0, pad), groups=weight.shape[0])
    return out[:, :, 0, pad - past : pad - past + frames.shape[1]].transpose(1, 2)


def project_patches(frames: Tensor, weight: Tensor, bias: Tensor, *, patch: int, stride: int) -> Tensor:
    """(B, T, C) to (B, S, D): linear(frames[s * stride : s * stride + patch].flatten()), T >= patch.

    A convolution never holds the patches themselves: 14 frames at a stride of 4 repeat each value three and a half
    times, which would be the largest tensor of the network.

    Args:
        frames: frames of C channels.
        weight: (D, patch * C).
        bias: (D,).
        patch: frames in a patch.
        stride: frames from one patch to the next.
    """
    kernel = weight.unflatten(1, (patch, -1)).transpose(1, 2)[:, :, None]
    return F.conv2d(_picture(frames), kernel, bias, (1, stride))[:, :, 0].transpose(1, 2)


def cut_patches(frames: Tensor, *, patch: int, stride: int) -> Tensor:
    """(B, T, C) to (B, S, patch * C): the patches themselves."""
    return frames.unfold(1, patch, stride).transpose(2, 3).flatten(2)


def _picture(frames: Tensor) -> Tensor:
    return frames.transpose(1, 2)[:, :, None]
