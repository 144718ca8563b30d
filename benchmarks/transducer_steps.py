"""The training steps that benchmarks/transducer.py compares, and the shapes that it runs them at."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from transducer_table import PEER

from mode_ssm.losses import additive_rnnt_loss, fused_rnnt_loss, rnnt_loss
from mode_ssm.losses.arguments import Size, check_trials
from mode_ssm.losses.fused import joint_class
from mode_ssm.losses.lattice import lattice_flows

ERROR_FRAMES = (250, 1000, 3000)
FLOOR_CELLS = 512  # cells a matrix product, as the fused loss has them on the CPU
OCCUPIED = 1e-9


class Shape(NamedTuple):
    frames: list[int]  # S of each trial
    labels: list[int]  # U of each trial
    classes: int
    width: int = 512

    @property
    def size(self) -> str:
        frames, labels = (f"{'<=' if min(n) < max(n) else ''}{max(n)}" for n in (self.frames, self.labels))
        return f"B={len(self.frames)} S={frames} U={labels} V={self.classes} D={self.width}"


SHAPES = {
    "A": Shape([250] * 32, [60] * 32, 41),
    "B": Shape([1000] * 4, [60] * 4, 41),
    "C": Shape([1000], [40], 41),
    "D": Shape([457, 430, 402, 391, 377, 361, 350, 312], [86, 78, 75, 70, 74, 62, 66, 55], 500),
    "T15": Shape([216] * 64, [40] * 64, 41),
}


class Inputs(NamedTuple):
    encoder: Tensor
    predictor: Tensor
    weight: Tensor
    bias: Tensor
    targets: Tensor
    frames: Tensor
    labels: Tensor

    @property
    def learned(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.encoder, self.predictor, self.weight, self.bias

    @property
    def trials(self) -> tuple[Tensor, Tensor, Tensor]:
        """Labels and both lengths."""
        return self.targets, self.frames, self.labels

    def at(self, dtype: torch.dtype) -> "Inputs":
        """Copies with gradients of their own."""
        encoder, predictor, weight, bias = (t.detach().to(dtype, copy=True).requires_grad_() for t in self.learned)
        return Inputs(encoder, predictor, weight, bias, *self.trials)


def draw(shape: Shape, device: torch.device, dtype: torch.dtype, seed: int = 0) -> Inputs:
    """Activations of unit variance and an output map as PyTorch initialises it."""
    generator = torch.Generator().manual_seed(seed)
    trials, frames, labels = len(shape.frames), max(shape.frames), max(shape.labels)
    bound = shape.width**-0.5
    inputs = Inputs(
        encoder=torch.randn(trials, frames, shape.width, generator=generator),
        predictor=torch.randn(trials, labels + 1, shape.width, generator=generator),
        weight=torch.empty(shape.classes, shape.width).uniform_(-bound, bound, generator=generator),
        bias=torch.empty(shape.classes).uniform_(-bound, bound, generator=generator),
        targets=torch.randint(1, shape.classes, (trials, labels), generator=generator),
        frames=torch.tensor(shape.frames),
        labels=torch.tensor(shape.labels),
    )
    return Inputs(*(tensor.to(device) for tensor in inputs)).at(dtype)


def joint_logits(given: Inputs) -> Tensor:
    hidden = torch.tanh(given.encoder[:, :, None] + given.predictor[:, None])
    return torch.nn.functional.linear(hidden, given.weight, given.bias)


def fused(given: Inputs) -> None:
    fused_rnnt_loss(*given).backward()


def naive(given: Inputs) -> None:
    rnnt_loss(joint_logits(given), *given.trials).backward()


def naive_torchaudio(given: Inputs) -> None:
    from torchaudio.functional import rnnt_loss as peer

    targets, frames, labels = (tensor.int() for tensor in given.trials)
    peer(joint_logits(given).float(), targets, frames, labels, blank=0).backward()


def naive_joint(given: Inputs) -> None:
    """Joiner forward and backward with no loss between: no unfused loss, however fast, makes a step shorter."""
    logits = joint_logits(given)
    logits.backward(logits.detach())


def additive(given: Inputs) -> None:
    """The other joiner: logits of encoder and of predictor, added."""
    summands = (torch.nn.functional.linear(part, given.weight) for part in (given.encoder, given.predictor))
    encoder, predictor = summands
    additive_rnnt_loss(encoder + given.bias, predictor, *given.trials).backward()


STEPS: dict[str, Callable[[Inputs], None]] = {
    "fused": fused,
    "naive + rnnt_loss": naive,
    PEER: naive_torchaudio,
    "naive joint, no loss": naive_joint,
    "additive": additive,
}


def has_peer() -> bool:
    """Its wheel may be absent, or ask for CUDA libraries that are."""
    try:
        import torchaudio.functional  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def occupied_share(given: Inputs) -> float:
    """Of the real cells, those that hold more than OCCUPIED of a trial's posterior probability."""
    trials, frames, _ = given.encoder.shape
    size = Size(trials, frames, given.predictor.shape[1], len(given.bias))
    checked = check_trials(size, given.encoder.device, *given.trials, blank=0)
    with torch.no_grad():
        arcs = joint_class(given.encoder.device)(*given.learned, trials=checked, blank=0).arc_log_probs()
        _, flows = lattice_flows(arcs[0], arcs[1, :, :, :-1], checked)
    return float((flows.blank + flows.label > OCCUPIED).sum() / checked.real_cells(size.frames).sum())


def matrix_floor(shape: Shape, share: float) -> Callable[[Inputs], None]:
    """The fused step's matrix products alone: one a cell in forward, three for each occupied cell in backward."""
    cells = sum(frames * (labels + 1) for frames, labels in zip(shape.frames, shape.labels, strict=True))

    def tiles(number: float) -> Iterator[None]:
        return (None for _ in range(round(number / FLOOR_CELLS)))

    def run(given: Inputs) -> None:
        weight = given.weight.detach()
        hidden = weight.new_ones(FLOOR_CELLS, shape.width)
        scores, inner, by_weight = weight @ hidden.T, torch.empty_like(hidden), torch.zeros_like(weight)
        for _ in tiles(cells * (1 + share)):
            torch.mm(weight, hidden.T, out=scores)
        for _ in tiles(cells * share):
            torch.mm(scores.T, weight, out=inner)
            by_weight.addmm_(scores, hidden)

    return run


def gradient_errors(device: torch.device) -> dict[str, dict[str, float]]:
    """Float32 against float64, U = 60, V = 41: of rnnt_loss's logits, and of each input of the fused loss.

    The former absolute, as the gradient of a logit is at most 1; the latter in parts of the largest entry.
    """
    errors: dict[str, dict[str, float]] = {}
    for frames in ERROR_FRAMES:
        drawn = draw(Shape([frames], [60], 41), device, torch.float32)
        logits = torch.randn(1, frames, 61, 41, device=device)
        grads = []
        for dtype, threshold in ((torch.float32, 1e-9), (torch.float64, 0.0)):
            scores, given = logits.to(dtype, copy=True).requires_grad_(), drawn.at(dtype)
            rnnt_loss(scores, *given.trials).backward()
            fused_rnnt_loss(*given, occupancy_threshold=threshold).backward()
            grads.append([tensor.grad for tensor in (scores, *given.learned) if tensor.grad is not None])
        worst = [float((got - exact).abs().max()) for got, exact in zip(*grads, strict=True)]
        largest = [1.0] + [float(exact.abs().max()) for exact in grads[1][1:]]
        names = ("logits", "encoder", "predictor", "weight", "bias")
        errors[str(frames)] = {n: error / size for n, error, size in zip(names, worst, largest, strict=True)}
    return errors
