"""Joiner and transducer loss in one, without ever holding a tensor over the lattice and the width or the classes.

The lattice is walked in tiles that fit the cache. Forward keeps two numbers a cell, the log-probabilities of blank and
label; backward visits again only the cells through which a path leads with a probability worth the name.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.errors import InputError
from mode_ssm.losses.arguments import Size, Trials, check_reduction, check_trials, reduce_costs
from mode_ssm.losses.joint import TiledJoint
from mode_ssm.losses.lattice import lattice_costs, lattice_flows
from mode_ssm.losses.tiles import bands, occupied_tiles


class Options(NamedTuple):
    blank: int
    clamp: float
    fastemit_lambda: float
    occupancy_threshold: float


def fused_rnnt_loss(
    encoder_out: Tensor,
    predictor_out: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    clamp: float = -1.0,
    reduction: str = "mean",
    fastemit_lambda: float = 0.0,
    occupancy_threshold: float = 1e-9,
) -> Tensor:
    """`rnnt_loss` of the logits tanh(encoder_out[:, :, None] + predictor_out[:, None]) @ weight.T + bias.

    Equal to it but for rounding. Half-precision inputs, autocast or not, are computed in single precision. On CUDA the
    host waits for the device twice a batch: to check the arguments and to lay out the backward pass.

    Args:
        encoder_out: (B, S, D), with the joiner's first linear map applied.
        predictor_out: (B, U+1, D), likewise; position u has seen the first u labels.
        weight: (V, D) and bias: (V,) of the joiner's output map.
        targets, logit_lengths, target_lengths, blank, clamp, reduction, fastemit_lambda: as in `rnnt_loss`.
        occupancy_threshold: backward skips cells that hold less of a trial's posterior probability than this.

    Raises:
        InputError: shapes, labels or lengths that do not fit; the sentence names the trial.
    """
    check_reduction(reduction)
    size = _size(encoder_out, predictor_out, weight, bias)
    trials = check_trials(size, encoder_out.device, targets, logit_lengths, target_lengths, blank)
    options = Options(blank, clamp, fastemit_lambda, occupancy_threshold)
    costs: Tensor = _FusedLoss.apply(encoder_out, predictor_out, weight, bias, trials, options)  # type: ignore[no-untyped-call]
    return reduce_costs(costs, reduction)


def _size(encoder_out: Tensor, predictor_out: Tensor, weight: Tensor, bias: Tensor) -> Size:
    shapes = [tuple(given.shape) for given in (encoder_out, predictor_out, weight, bias)]
    ranks = [len(shape) for shape in shapes]
    if ranks != [3, 3, 2, 1] or encoder_out.shape[0] != predictor_out.shape[0] or weight.shape[0] != bias.shape[0]:
        raise InputError(f"got {shapes}; give encoder (B, S, D), predictor (B, U+1, D), weight (V, D) and bias (V,)")
    if not encoder_out.shape[2] == predictor_out.shape[2] == weight.shape[1]:
        widths = [shape[-1] for shape in shapes[:3]]
        raise InputError(f"encoder, predictor and weight have widths {widths}; they must be one width D")
    return Size(encoder_out.shape[0], encoder_out.shape[1], predictor_out.shape[1], weight.shape[0])


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor, trials: Trials, options: Options
    ) -> Tensor:
        with torch.autocast(encoder.device.type, enabled=False):
            blank, label = arc_log_probs(TiledJoint(encoder, predictor, weight, bias, trials), options.blank)
            if not any(ctx.needs_input_grad):
                return lattice_costs(blank, label[:, :, :-1], trials).to(blank.dtype)
            costs, flows = lattice_flows(blank, label[:, :, :-1], trials)
        by_label = flows.label.mul_(1.0 + options.fastemit_lambda)
        arcs = torch.stack([flow.to(blank.dtype) for flow in (flows.blank + by_label, flows.blank, by_label)], 1)
        ctx.save_for_backward(encoder, predictor, weight, bias, arcs)
        ctx.trials, ctx.options = trials, options
        return costs.to(blank.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_costs: Tensor) -> tuple[Tensor | None, ...]:
        encoder, predictor, weight, bias, arcs = ctx.saved_tensors
        with torch.autocast(grad_costs.device.type, enabled=False):
            joint = TiledJoint(encoder, predictor, weight, bias, ctx.trials)
            grads = _Gradients(joint, arcs, ctx.options).add_all(grad_costs)
        return (
            *(grad.to(tensor.dtype) for grad, tensor in zip(grads, (encoder, predictor, weight, bias), strict=True)),
            None,
            None,
        )


def arc_log_probs(joint: TiledJoint, blank: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities of blank and label, both (B, S, U+1); unset in padding and, for labels, at u = U."""
    size = joint.encoder.shape[0], joint.encoder.shape[1], joint.predictor.shape[1]
    blanks, labels = (joint.encoder.new_empty(size, dtype=joint.dtype) for _ in range(2))
    for trial, (frames, count) in enumerate(zip(joint.trials.frames, joint.trials.labels, strict=True)):
        joint.begin(trial)
        for band, tiles in bands(frames, count + 1, joint.tile_size):
            scores = joint.scores(band)
            for tile, part in zip(tiles, torch.split(scores, tiles[0].cells, 1), strict=True):
                joint.fill(tile, part)
            log_probs = scores.log_softmax(0)
            label = log_probs.gather(0, joint.tile_labels(band))
            blanks[trial][band.slices] = log_probs[blank].view(band.frames, band.labels)
            labels[trial][band.slices] = label.view(band.frames, band.labels)
    return blanks, labels


class _Gradients:
    """Sums over the occupied cells, tile by tile; what all trials share is summed over them in double precision."""

    def __init__(self, joint: TiledJoint, arcs: Tensor, options: Options) -> None:
        self.joint, self.blank, self.clamp = joint, options.blank, options.clamp
        self.arcs = arcs  # (B, 3, S, U+1): occupancy, flow of blank, flow of label
        self.tiles = occupied_tiles(arcs[:, 0] > options.occupancy_threshold, joint.trials.frames, joint.tile_size)
        self.encoder = torch.zeros_like(joint.encoder, dtype=joint.dtype)
        self.predictor = torch.zeros_like(joint.predictor, dtype=joint.dtype)
        self.weight, self.bias = torch.zeros_like(joint.weight), joint.weight.new_zeros(len(joint.weight))

    def add_all(self, grad_costs: Tensor) -> list[Tensor]:
        """Of encoder, predictor, weight and bias."""
        by_hidden = torch.zeros_like(self.weight, dtype=torch.float64)
        bias = torch.zeros_like(self.bias, dtype=torch.float64)
        for trial, grad_cost in enumerate(grad_costs):
            self.add_trial(trial, grad_cost)
            by_hidden += self.weight
            bias += self.bias
        activation = self.joint.activation
        weight = by_hidden.mul_(activation.scale).add_(bias[:, None], alpha=activation.offset)
        return [self.encoder, self.predictor, weight, bias]

    def add_trial(self, trial: int, grad_cost: Tensor) -> None:
        """The trial's rows of encoder and predictor, and its share of weight and bias."""
        joint = self.joint
        joint.begin(trial)
        self.weight.zero_()
        self.bias.zero_()
        arcs, bound = self.arcs[trial] * grad_cost, self.clamp * grad_cost.abs()
        ones = self.weight.new_ones(max((tile.cells for tile in self.tiles[trial]), default=0))
        for tile in self.tiles[trial]:
            scores = joint.scores(tile)
            hidden = joint.fill(tile, scores)
            grad = self.by_logit(scores, arcs[(slice(None), *tile.slices)], joint.tile_labels(tile))
            if self.clamp > 0:
                grad.clamp_(-bound, bound)
            self.bias.addmv_(grad, ones[: tile.cells])
            self.weight.addmm_(grad, hidden)
            inner = joint.back(grad, hidden).view(tile.frames, tile.labels, -1)
            torch.sum(inner, 1, out=self.encoder[trial, tile.slices[0]])
            self.predictor[trial, tile.slices[1]].add_(inner.sum(0))

    def by_logit(self, scores: Tensor, arcs: Tensor, labels: Tensor) -> Tensor:
        """(V, cells) gradient: the softmax times the cell's occupancy, less the flow of the class's own arc."""
        occupancy, blank, label = arcs.reshape(3, 1, -1).unbind(0)
        grad = scores.softmax(0).mul_(occupancy)
        grad[self.blank].sub_(blank[0])
        return grad.scatter_add_(0, labels, label.neg())
