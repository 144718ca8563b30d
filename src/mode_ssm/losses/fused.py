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
from mode_ssm.losses.tiles import Tile, bands, occupied_tiles


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
    host waits for the device twice a batch, to check the arguments and to lay out the backward pass; its speed there
    has not been measured.

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
    if not 0.0 <= occupancy_threshold < 1.0:
        raise InputError(f"occupancy_threshold is {occupancy_threshold}; give a probability, such as 1e-9")
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
            arcs = arc_log_probs(TiledJoint(encoder, predictor, weight, bias, trials, options.blank))
            blank, label = arcs[:, 0], arcs[:, 1, :, :-1]
            if not any(ctx.needs_input_grad):
                return lattice_costs(blank, label, trials).to(arcs.dtype)
            costs, flows = lattice_flows(blank, label, trials)
        arcs[:, 0] = flows.blank
        arcs[:, 1] = flows.label.mul_(1.0 + options.fastemit_lambda)
        ctx.save_for_backward(encoder, predictor, weight, bias, arcs)
        ctx.trials, ctx.options = trials, options
        return costs.to(arcs.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_costs: Tensor) -> tuple[Tensor | None, ...]:
        encoder, predictor, weight, bias, arcs = ctx.saved_tensors
        with torch.autocast(grad_costs.device.type, enabled=False):
            gradients = _Gradients(encoder, predictor, arcs, ctx.options)
            gradients.add_all(TiledJoint(encoder, predictor, weight, bias, ctx.trials, ctx.options.blank), grad_costs)
        return (
            gradients.encoder.to(encoder.dtype),
            gradients.predictor.to(predictor.dtype),
            gradients.weight.to(weight.dtype),
            gradients.bias.to(bias.dtype),
            None,
            None,
        )


def arc_log_probs(joint: TiledJoint) -> Tensor:
    """(B, 2, S, U+1): log-probabilities of blank and of label; unset in padding and, for labels, at u = U."""
    size = len(joint.encoder), 2, joint.encoder.shape[1], joint.predictor.shape[1]
    arcs = joint.encoder.new_empty(size, dtype=joint.dtype)
    for trial, (frames, count) in enumerate(zip(joint.trials.frames, joint.trials.labels, strict=True)):
        joint.begin(trial)
        for band, tiles in bands(frames, count + 1, joint.tile_size):
            scores = joint.scores(band)
            for tile, part in zip(tiles, torch.split(scores, tiles[0].cells, 1), strict=True):
                joint.fill(tile, part)
            log_probs = scores.log_softmax(0)
            found = log_probs.gather(0, joint.tile_arcs(band))
            arcs[(trial, slice(None), *band.slices)] = found.view(2, band.frames, band.labels)
    return arcs


class _Gradients:
    """Sums over the occupied cells, tile by tile; what all trials share is summed over them in double precision."""

    def __init__(self, encoder: Tensor, predictor: Tensor, arcs: Tensor, options: Options) -> None:
        self.encoder = torch.zeros_like(encoder, dtype=arcs.dtype)
        self.predictor = torch.zeros_like(predictor, dtype=arcs.dtype)
        self.arcs = arcs  # (B, 2, S, U+1): flows of blank and label
        self.occupied = ~(arcs.sum(1) <= options.occupancy_threshold)  # what is not a number counts, and so shows
        self.clamp = options.clamp

    def add_all(self, joint: TiledJoint, grad_costs: Tensor) -> None:
        scale, offset = joint.activation.scale, joint.activation.offset
        self.weight = torch.zeros_like(joint.weight, dtype=torch.float64)
        self.bias = self.weight.new_zeros(len(self.weight))
        weight, bias = torch.empty_like(joint.weight), joint.weight.new_empty(len(joint.weight))
        for trial, tiles in enumerate(occupied_tiles(self.occupied, joint.trials.frames, joint.tile_size)):
            joint.begin(trial)
            self.add_trial(joint, tiles, grad_costs[trial], weight.zero_(), bias.zero_())
            self.weight += weight
            self.bias += bias
        self.weight.mul_(scale).add_(self.bias[:, None], alpha=offset)

    def add_trial(
        self, joint: TiledJoint, tiles: list[Tile], grad_cost: Tensor, by_hidden: Tensor, by_bias: Tensor
    ) -> None:
        """The trial's rows of encoder and predictor; its shares of bias and, by t instead of tanh, of weight."""
        encoder, predictor = self.encoder[joint.trial], self.predictor[joint.trial]
        flows, bound = self.arcs[joint.trial], self.clamp * grad_cost.abs()
        arcs = flows.new_empty(3, *flows.shape[1:])
        torch.mul(flows, -grad_cost, out=arcs[1:])
        torch.sum(arcs[1:], 0, out=arcs[0]).neg_()
        ones = arcs.new_ones(max((tile.cells for tile in tiles), default=0))
        for tile in tiles:
            frames, labels = tile.slices
            scores = joint.scores(tile)
            hidden = joint.fill(tile, scores)
            grad = by_logit(scores, arcs[:, frames, labels].reshape(3, -1), joint.tile_arcs(tile))
            if self.clamp > 0:
                grad.clamp_(-bound, bound)
            by_bias.addmv_(grad, ones[: tile.cells])
            by_hidden.addmm_(grad, hidden)
            inner = joint.back(grad, hidden).view(tile.frames, tile.labels, -1)
            torch.sum(inner, 1, out=encoder[frames])
            predictor[labels].add_(inner.sum(0))


def by_logit(scores: Tensor, arcs: Tensor, classes: Tensor) -> Tensor:
    """(V, cells) gradient: the softmax times the cell's occupancy, less the flow of the class's own arc.

    Of arcs (3, cells), the first row is the occupancy, the others the negative flows of the arcs to classes (2, cells).
    """
    return scores.softmax(0).mul_(arcs[:1]).scatter_add_(0, classes, arcs[1:])
