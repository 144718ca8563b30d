"""Softsign and dropout, elementwise on every feature of every frame.

On a CPU they have ways of their own, a quarter and a third of PyTorch's time, forward and backward together; elsewhere
they are PyTorch's (`benchmarks/step.py --parts`). `plain` asks for PyTorch's everywhere.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 1 << 16


def softsign(values: Tensor, *, plain: bool = False) -> Tensor:
    """Squash to -1 ... 1 by x / (1 + |x|), elementwise."""
    if plain or values.device.type != "cpu":
        return F.softsign(values)
    out: Tensor = _Softsign.apply(values)  # type: ignore[no-untyped-call]
    return out


class _Softsign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        shrink = values.abs().add_(1).reciprocal_()
        ctx.save_for_backward(shrink)
        return values * shrink

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        shrink: Tensor = ctx.saved_tensors[0]  # its square is the derivative
        return (gradient * shrink).mul_(shrink)


def keep_factors(like: Tensor, chance: float, *, plain: bool = False) -> Tensor:
    """Random factors in the shape of `like`: 0 with the given chance (on a CPU to 16 bits), else 1 / (1 - chance)."""
    kept = torch.empty_like(like, memory_format=torch.contiguous_format)
    if plain or like.device.type != "cpu":
        return F.dropout(kept.fill_(1), chance)
    count = like.numel()
    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[:count].view(like.shape)
    return torch.ge(bits, round(chance * _LEVELS) - _LEVELS // 2, out=kept).mul_(1 / (1 - chance))


class Dropout(nn.Module):
    """Set values to zero with a chance in training and scale the rest to the same mean."""

    def __init__(self, chance: float, *, plain: bool = False) -> None:
        super().__init__()
        self.chance, self.plain = chance, plain

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.chance == 0:
            return values
        if self.plain or values.device.type != "cpu":
            return F.dropout(values, self.chance)
        return values * keep_factors(values, self.chance)


class ResidualDropout(nn.Module):
    """Add a branch to its residual stream, with dropout and stochastic depth (Huang et al. 2016) in training.

    Stochastic depth leaves the branch out for whole trials, with `depth_chance`; kept branches are scaled to the same
    mean.
    """

    def __init__(self, chance: float, depth_chance: float, *, plain: bool = False) -> None:
        super().__init__()
        self.chance, self.depth_chance, self.plain = chance, depth_chance, plain

    def forward(self, frames: Tensor, branch: Tensor) -> Tensor:
        if not self.training or self.chance == self.depth_chance == 0:
            return frames + branch
        factors = keep_factors(branch, self.chance, plain=self.plain)
        if self.depth_chance > 0:
            factors = factors * keep_factors(branch[:, :1, :1], self.depth_chance, plain=self.plain)
        return torch.addcmul(frames, branch, factors)
