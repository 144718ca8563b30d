"""Overlapping patches of frames, projected without ever holding them all.

Patches of 14 frames at a stride of 4 repeat each value three and a half times: a batch of them is larger than all else
in the network. Here they exist for a few trials at a time, in forward and again in backward.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.models.parts import parts


def project_patches(features: Tensor, weight: Tensor, bias: Tensor, *, patch: int, stride: int) -> Tensor:
    """(B, T, C) to (B, S, D): linear(features[s * stride : s * stride + patch].flatten()), T >= patch.

    Args:
        features: frames of C channels.
        weight: (D, patch * C).
        bias: (D,).
        patch: frames in a patch.
        stride: frames from one patch to the next.
    """
    if torch.is_autocast_enabled(features.device.type):
        dtype = torch.get_autocast_dtype(features.device.type)
        features, weight, bias = features.to(dtype), weight.to(dtype), bias.to(dtype)
    with torch.autocast(features.device.type, enabled=False):
        out: Tensor = _PatchProjection.apply(features.contiguous(), weight, bias, patch, stride)  # type: ignore[no-untyped-call]
    return out


def cut_patches(features: Tensor, *, patch: int, stride: int) -> Tensor:
    """(B, T, C) to (B, S, patch * C): the patches themselves, in memory of their own."""
    out: Tensor = _Cut.apply(features.contiguous(), patch, stride)  # type: ignore[no-untyped-call]
    return out


def _patches(features: Tensor, patch: int, stride: int) -> Tensor:
    """(B, T, C), each trial contiguous, to (B, S, patch * C), as an overlapping view."""
    trials, frames, channels = features.shape
    count = (frames - patch) // stride + 1
    return features.as_strided((trials, count, patch * channels), (features.stride(0), stride * channels, 1))


class _PatchProjection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, patch: int, stride: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.sizes = patch, stride
        patches = _patches(features, patch, stride)
        out = features.new_empty(*patches.shape[:2], len(weight))
        for part in parts(patches, patches[0].numel()):
            out[part] = F.linear(patches[part], weight, bias)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        patch, stride = ctx.sizes
        wanted = ctx.needs_input_grad[0]
        patches = _patches(features, patch, stride)
        dfeatures = torch.zeros_like(features) if wanted else None
        dweight = torch.zeros_like(weight)
        for part in parts(patches, patches[0].numel()):
            rows = grad[part].flatten(0, 1)
            dweight.addmm_(rows.t(), patches[part].flatten(0, 1))
            if dfeatures is not None:
                _overlap_add(dfeatures[part], grad[part] @ weight, patch, stride)
        return dfeatures, dweight, grad.sum((0, 1)), None, None


class _Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, patch: int, stride: int) -> Tensor:
        ctx.sizes = features.shape, patch, stride
        return _patches(features, patch, stride).clone(memory_format=torch.contiguous_format)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        shape, patch, stride = ctx.sizes
        dfeatures = grad.new_zeros(shape)
        _overlap_add(dfeatures, grad, patch, stride)
        return dfeatures, None, None


def _overlap_add(features: Tensor, patches: Tensor, patch: int, stride: int) -> None:
    """Add (B, S, patch * C) to the (B, T, C) frames that the patches were cut from.

    It takes `stride` frames of every patch at a time: those do not overlap.
    """
    channels = features.shape[2]
    for first in range(0, patch, stride):
        last = min(first + stride, patch)
        apart = _patches(features[:, first:], last - first, stride)[:, : patches.shape[1]]
        apart += patches[:, :, first * channels : last * channels]
