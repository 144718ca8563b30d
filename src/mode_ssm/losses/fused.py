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
            grads = _gradients(joint, Flows(blank_flow, label_flow), grad_costs, ctx.options)
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
        columns = joint.columns(trial)
        for tile in all_tiles(frames, count + 1, joint.tile_size):
            scores, _ = joint.scores(trial, tile, columns)
            log_probs = scores.log_softmax(0)
            where = trial, slice(tile.first_frame, tile.end_frame), slice(tile.first_label, tile.end_label)
            blanks[where] = log_probs[blank].view(tile.frames, tile.labels)
            labels[where] = log_probs.gather(0, joint.tile_labels(trial, tile)).view(tile.frames, tile.labels)
    return blanks, labels


def _gradients(joint: TiledJoint, flows: Flows, grad_costs: Tensor, options: Options) -> list[Tensor]:
    """Of encoder, predictor, weight and bias."""
    occupied = flows.blank + flows.label > options.occupancy_threshold
    by_label = flows.label * (1.0 + options.fastemit_lambda)
    encoder, predictor = torch.zeros_like(joint.encoder), torch.zeros_like(joint.predictor, dtype=joint.dtype)
    by_hidden = torch.zeros_like(joint.weight)
    bias = joint.weight.new_zeros(len(joint.weight))
    buffer = torch.empty_like(joint._hidden)
    for trial, tiles in enumerate(occupied_tiles(occupied, joint.tile_size)):
        columns = joint.columns(trial)
        for tile in tiles:
            frames, labels = slice(tile.first_frame, tile.end_frame), slice(tile.first_label, tile.end_label)
            scores, hidden = joint.scores(trial, tile, columns)
            blank_flow, label_flow = (flow[trial, frames, labels].reshape(1, -1) for flow in (flows.blank, by_label))
            grad = scores.softmax(0).mul_(blank_flow + label_flow)
            grad[options.blank] -= blank_flow[0]
            grad.scatter_add_(0, joint.tile_labels(trial, tile), -label_flow)
            if options.clamp > 0:
                grad.clamp_(-options.clamp, options.clamp)
            grad.mul_(grad_costs[trial])
            bias += grad.sum(1)
            by_hidden.addmm_(grad, hidden)
            inner = torch.mm(grad.t(), joint.sloped_weight, out=buffer[: hidden.numel()].view_as(hidden))
            inner = inner.mul_(joint.activation.bend_(hidden)).view(tile.frames, tile.labels, -1)
            encoder[trial, frames] = inner.sum(1)
            predictor[trial, labels] += inner.sum(0)
    weight = by_hidden.mul_(joint.activation.scale).add_(bias[:, None], alpha=joint.activation.offset)
    return [encoder, predictor, weight, bias]
