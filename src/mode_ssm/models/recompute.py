"""Two stretches of a state-space layer with a backward of their own.

Each stands for a chain of plain operations, named in its docstring, and keeps its inputs instead of every step of the
chain. Both saving and time are in the passes over memory that this leaves out.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.models.depthwise import depthwise_conv

_EPS = 1e-5


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
        dbefore = torch.ops.aten.silu_backward(grad, before)
        dframes = depthwise_conv(dbefore, weight.flip(1), past=weight.shape[1] - 1 - ctx.past, future=ctx.past)
        dweight = torch.zeros_like(weight)
        size = frames.shape[1]
        for tap in range(weight.shape[1]):
            shift = tap - ctx.past  # out[t] has weight[tap] * frames[t + shift]
            if abs(shift) < size:
                written, read = dbefore[:, max(-shift, 0) : size - shift], frames[:, max(shift, 0) : size + shift]
                dweight[:, tap] = (written * read).flatten(0, 1).sum(0)
        return dframes, dweight, dbefore.flatten(0, 1).sum(0), None


class _GatedProjection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
        gated = F.silu(gate).mul_(y)
        mean_square = torch.linalg.vector_norm(gated, dim=-1, keepdim=True).square() / y.shape[-1]
        inverse = torch.rsqrt(mean_square + _EPS)
        ctx.save_for_backward(y, gate, weight, inverse)
        return F.linear(gated, weight).mul_(inverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        y, gate, weight, inverse = ctx.saved_tensors
        opened = F.silu(gate)
        gated = opened * y
        grad = grad * inverse
        dgated = grad @ weight
        dweight = grad.flatten(0, -2).t() @ gated.flatten(0, -2)
        pull = torch.linalg.vecdot(dgated, gated)[..., None] * inverse.square() / y.shape[-1]
        dgated.addcmul_(gated, pull, value=-1)
        dy = opened.mul_(dgated)
        return dy, torch.ops.aten.silu_backward(dgated.mul_(y), gate), dweight


_conv_silu: Callable[..., Tensor] = _ConvSiLU.apply
_gated_projection: Callable[..., Tensor] = _GatedProjection.apply
