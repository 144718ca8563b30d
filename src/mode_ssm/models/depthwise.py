"""One filter per channel along time, in the layout (B, T, C) that the rest of the model uses."""

import torch.nn.functional as F
from torch import Tensor


def depthwise_conv(frames: Tensor, weight: Tensor, *, past: int, future: int, bias: Tensor | None = None) -> Tensor:
    """Filter each channel of (B, T, C) with its row of `weight`, (C, past + 1 + future); zeros lie outside the frames.

    The frames are shown to the convolution as a channels-last picture of height 1: no copy, and the one layout in
    which the depthwise kernels are fast on a CPU.
    """
    if frames.shape[1] == 0:
        return frames
    pad = max(past, future)
    picture = frames.transpose(1, 2).unsqueeze(2)
    out = F.conv2d(picture, weight[:, None, None, :], bias, padding=(0, pad), groups=weight.shape[0])
    return out[:, :, 0, pad - past : pad - past + frames.shape[1]].transpose(1, 2)
