"""Two stretches of a state-space layer with a backward of their own.

Each stands for a chain of plain operations, named in its docstring, keeps little more than its inputs instead of every
step of the chain, and works through a batch in parts, so that the steps in between stay in the cache.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.models.convolution import depthwise_conv
from mode_ssm.models.parts import parts

EPS = 1e-5  # of the gated norm


def conv_silu(frames: Tensor, weight: Tensor, bias: Tensor, *, past: int) -> Tensor:
    """silu(depthwise_conv(frames, weight, bias)), in the data type of the (B, T, C) frames."""
    with torch.autocast(frames.device.type, enabled=False):
        return _conv_silu(frames, weight.to(frames.dtype), bias.to(frames.dtype), past)


def gated_projection(y: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
    """linear(rms_norm(y * silu(gate)), weight), of (..., E) to (..., D).

    The norm divides a whole frame by one number, so it is applied after the product, to D values instead of E.
    """
    with torch.autocast(y.device.type, enabled=False):
        return _gated_projection(y, gate.to(y.dtype), weight.to(y.dtype))


class _ConvSiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, past: int) -> Tensor:
        before = depthwise_conv(frames, weight, past=past, future=weight.shape[1] - 1 - past, bias=bias)
        ctx.save_for_backward(frames, weight, before)
        ctx.past = past
        return F.silu(before)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        frames, weight, before = ctx.saved_tensors
        dframes, dweight, dbias = torch.empty_like(frames), torch.zeros_like(weight), torch.zeros_like(weight[:, 0])
        ahead = weight.shape[1] - 1 - ctx.past
        for part in parts(frames, frames[0].numel()):
            dbefore = torch.ops.aten.silu_backward(grad[part], before[part])
            dframes[part] = depthwise_conv(dbefore, weight.flip(1), past=ahead, future=ctx.past)
            dweight += _correlation(dbefore, frames[part], ctx.past, ahead)
            dbias += dbefore.flatten(0, 1).sum(0)
        return dframes, dweight, dbias, None


def _correlation(written: Tensor, read: Tensor, past: int, ahead: int) -> Tensor:
    """Sums of written[t] * read[t + shift] over trials and frames, (C, past + 1 + ahead), shift = -past ... ahead."""
    size = read.shape[1]
    sums = []
    for shift in range(-past, ahead + 1):
        pairs = written[:, max(-shift, 0) : max(size - shift, 0)] * read[:, max(shift, 0) : max(size + shift, 0)]
        sums.append(pairs.flatten(0, 1).sum(0))
    return torch.stack(sums, 1)


class _GatedProjection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
        out, inverse = y.new_empty(*y.shape[:-1], len(weight)), y.new_empty(*y.shape[:-1], 1)
        for part in parts(y, y[0].numel()):
            gated = F.silu(gate[part]).mul_(y[part])
            mean_square = torch.linalg.vector_norm(gated, dim=-1, keepdim=True).square() / y.shape[-1]
            inverse[part] = torch.rsqrt(mean_square + EPS)
            out[part] = F.linear(gated, weight).mul_(inverse[part])
        ctx.save_for_backward(y, gate, weight, inverse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        y, gate, weight, inverse = ctx.saved_tensors
        dy, dgate, dweight = torch.empty_like(y), torch.empty_like(gate), torch.zeros_like(weight)
        for part in parts(y, y[0].numel()):
            opened = F.silu(gate[part])
            gated = opened * y[part]
            dnormed = grad[part] * inverse[part]
            dweight.addmm_(dnormed.flatten(0, -2).t(), gated.flatten(0, -2))
            dgated = dnormed @ weight
            pull = torch.linalg.vecdot(dgated, gated)[..., None] * inverse[part].square() / y.shape[-1]
            dgated.addcmul_(gated, pull, value=-1)
            torch.mul(dgated, opened, out=dy[part])
            dgate[part] = torch.ops.aten.silu_backward(dgated.mul_(y[part]), gate[part])
        return dy, dgate, dweight


_conv_silu: Callable[..., Tensor] = _ConvSiLU.apply
_gated_projection: Callable[..., Tensor] = _GatedProjection.apply
