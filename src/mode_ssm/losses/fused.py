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
from mode_ssm.losses.lattice import Flows, lattice_costs, lattice_flows
from mode_ssm.losses.tiles import all_tiles, occupied_tiles


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
            joint = TiledJoint(encoder, predictor, weight, bias, trials)
            blank, label = _arc_log_probs(joint, options.blank)
            if not any(ctx.needs_input_grad):
                return lattice_costs(blank, label[:, :, :-1], trials).to(joint.dtype)
            costs, flows = lattice_flows(blank, label[:, :, :-1], trials)
        ctx.save_for_backward(encoder, predictor, weight, bias, *(flow.to(joint.dtype) for flow in flows))
        ctx.trials, ctx.options = trials, options
        return costs.to(joint.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_costs: Tensor) -> tuple[Tensor | None, ...]:
        encoder, predictor, weight, bias, blank_flow, label_flow = ctx.saved_tensors
        with torch.autocast(grad_costs.device.type, enabled=False):
            joint = TiledJoint(encoder, predictor, weight, bias, ctx.trials)
            grads = _Gradients(joint, Flows(blank_flow, label_flow), ctx.options).add_all(grad_costs)
        return (
            *(grad.to(tensor.dtype) for grad, tensor in zip(grads, (encoder, predictor, weight, bias), strict=True)),
            None,
            None,
        )


def _arc_log_probs(joint: TiledJoint, blank: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities of blank and label, both (B, S, U+1); unset in padding and, for labels, at u = U."""
    size = joint.encoder.shape[0], joint.encoder.shape[1], joint.predictor.shape[1]
    blanks, labels = (joint.encoder.new_empty(size, dtype=joint.dtype) for _ in range(2))
    for trial, (frames, count) in enumerate(zip(joint.trials.frames, joint.trials.labels, strict=True)):
        columns, blanks_, labels_ = joint.columns(trial), blanks[trial], labels[trial]
        for tile in all_tiles(frames, count + 1, joint.tile_size):
            scores, _ = joint.scores(trial, tile, columns)
            log_probs = scores.log_softmax(0)
            label = log_probs.gather(0, joint.tile_labels(trial, tile))
            blanks_[tile.slices] = log_probs[blank].view(tile.frames, tile.labels)
            labels_[tile.slices] = label.view(tile.frames, tile.labels)
    return blanks, labels


class _Gradients:
    """Sums over the occupied cells, tile by tile; what all trials share is summed in double precision."""

    def __init__(self, joint: TiledJoint, flows: Flows, options: Options) -> None:
        self.joint, self.options = joint, options
        occupied = flows.blank + flows.label > options.occupancy_threshold
        self.tiles = occupied_tiles(occupied, joint.trials.frames, joint.tile_size)
        by_label = flows.label * -(1.0 + options.fastemit_lambda)
        self.arcs = torch.stack((flows.blank - by_label, flows.blank, by_label), 1)  # (B, 3, S, U+1)
        self.encoder, self.predictor = torch.zeros_like(joint.encoder), torch.zeros_like(joint.predictor)
        self.weight, self.bias = torch.zeros_like(joint.weight), joint.weight.new_zeros(len(joint.weight))

    def add_all(self, grad_costs: Tensor) -> list[Tensor]:
        """Of encoder, predictor, weight and bias."""
        by_hidden = torch.zeros_like(self.weight, dtype=torch.float64)
        bias = torch.zeros_like(self.bias, dtype=torch.float64)
        for trial in range(len(self.tiles)):
            self.add_trial(trial, grad_costs[trial])
            by_hidden += self.weight
            bias += self.bias
        activation = self.joint.activation
        weight = by_hidden.mul_(activation.scale).add_(bias[:, None], alpha=activation.offset)
        return [self.encoder, self.predictor, weight, bias]

    def add_trial(self, trial: int, grad_cost: Tensor) -> None:
        """The trial's rows of encoder and predictor, and its share of weight and bias."""
        self.weight.zero_()
        self.bias.zero_()
        columns = self.joint.columns(trial)
        encoder, predictor, arcs = self.encoder[trial], torch.zeros_like(columns), self.arcs[trial]
        for tile in self.tiles[trial]:
            scores, hidden = self.joint.scores(trial, tile, columns)
            by_logit = self.by_logit(scores, arcs[(slice(None), *tile.slices)], self.joint.tile_labels(trial, tile))
            by_logit.mul_(grad_cost)
            self.bias += by_logit.sum(1)
            self.weight.addmm_(by_logit, hidden)
            inner = self.joint.back(by_logit, hidden).view(tile.frames, tile.labels, -1)
            encoder[tile.slices[0]] = inner.sum(1)
            predictor[tile.slices[1]] += inner.sum(0)
        self.predictor[trial, : len(predictor)] = predictor

    def by_logit(self, scores: Tensor, arcs: Tensor, labels: Tensor) -> Tensor:
        """(V, cells) gradient of the trial's cost."""
        occupancy, blank, label = arcs.reshape(3, 1, -1).unbind(0)
        grad = scores.softmax(0).mul_(occupancy)
        grad[self.options.blank] -= blank[0]
        grad.scatter_add_(0, labels, label)
        return grad.clamp_(-self.options.clamp, self.options.clamp) if self.options.clamp > 0 else grad
