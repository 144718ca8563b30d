"""Two ways to the joiner's tanh(encoder + predictor) over a tile of lattice cells, and its derivative.

Each computes some t with tanh = offset + scale * t and leaves the affine part to the weights of the map that follows.
"""

from typing import Protocol

import torch
from torch import Tensor

# The spread of a trial's predictor outputs and the distance beyond which encoder outputs are cut. Products of two
# exponentials then stay inside single precision, and whatever is cut has tanh = 1 - 1e-8 or closer to it.
PREDICTOR_REACH = 16.0
ENCODER_REACH = 26.0
TANH_BACKWARD = torch.ops.aten.tanh_backward.grad_input  # grad * (1 - t * t) in one pass
SIGMOID_BACKWARD = torch.ops.aten.sigmoid_backward.grad_input  # grad * t * (1 - t)


class Activation(Protocol):
    """tanh(e + p) = offset + scale * t."""

    scale: float
    offset: float
    slope: float  # what `back_` leaves out of dt/d(e + p)

    def columns(self, trial: int, predictor: Tensor) -> Tensor:
        """(U+1, D) of a trial, made ready for `fill`."""

    def rows(self, trial: int, encoder: Tensor) -> Tensor:
        """Some encoder frames (R, D) of a trial, made ready for `fill`."""

    def fill(self, rows: Tensor, columns: Tensor, out: Tensor) -> None:
        """t of all pairs, into out (R, C, D)."""

    def back_(self, grad: Tensor, t: Tensor) -> Tensor:
        """The gradient by e + p from that by slope * t, in place."""


class Tanh:
    """t = tanh(e + p): every type, range and device."""

    scale, offset, slope = 1.0, 0.0, 1.0

    def columns(self, trial: int, predictor: Tensor) -> Tensor:  # noqa: ARG002
        return predictor

    def rows(self, trial: int, encoder: Tensor) -> Tensor:  # noqa: ARG002
        return encoder

    def fill(self, rows: Tensor, columns: Tensor, out: Tensor) -> None:
        torch.add(rows[:, None], columns, out=out).tanh_()

    def back_(self, grad: Tensor, t: Tensor) -> Tensor:
        TANH_BACKWARD(grad, t, grad_input=grad)
        return grad


class Logistic:
    """t = 1 / (1 + exp(2e) exp(2p)): exponentials by frame and by label, so that a cell costs a product and a division.

    Single precision on the CPU, where tanh itself is many times dearer.
    """

    scale, offset, slope = -2.0, 1.0, -2.0

    def __init__(self, middles: list[Tensor]) -> None:
        self.middles = middles  # of each trial's predictor outputs, (D,)
        self.doubled_middles = [2.0 * middle for middle in middles]
        self.one = torch.ones(())

    def columns(self, trial: int, predictor: Tensor) -> Tensor:
        return (predictor - self.middles[trial]).mul_(2.0).exp_()

    def rows(self, trial: int, encoder: Tensor) -> Tensor:
        twice = torch.add(self.doubled_middles[trial], encoder, alpha=2.0)
        return twice.clamp_(-2.0 * ENCODER_REACH, 2.0 * ENCODER_REACH).exp_()

    def fill(self, rows: Tensor, columns: Tensor, out: Tensor) -> None:
        torch.addcmul(self.one, rows[:, None], columns, out=out).reciprocal_()

    def back_(self, grad: Tensor, t: Tensor) -> Tensor:
        SIGMOID_BACKWARD(grad, t, grad_input=grad)
        return grad


def choose_activation(predictors: list[Tensor]) -> Activation:
    """The fast form where it is exact in single precision, else tanh; predictors: each trial's (U+1, D)."""
    if predictors[0].dtype != torch.float32 or predictors[0].device.type != "cpu":
        return Tanh()
    middles = []
    for predictor in predictors:
        low, high = predictor.aminmax(dim=0)
        middles.append((low + high) / 2)
        if not (high - low).max() <= 2 * PREDICTOR_REACH:  # too wide, or not a number
            return Tanh()
    return Logistic(middles)
