"""Joiner and transducer loss in one, without ever holding a tensor over the lattice and the width or the classes.

The lattice is walked a few cells at a time. Forward keeps two numbers a cell, the log-probabilities of blank and label;
backward visits again only the cells through which a path leads with a probability worth the name.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.errors import InputError
from mode_ssm.losses.arguments import Options, Size, Trials, check_reduction, check_trials, reduce_costs
from mode_ssm.losses.gathered import GatheredJoint
from mode_ssm.losses.lattice import lattice_costs, lattice_flows
from mode_ssm.losses.tiled import TiledJoint


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
    host waits for the device three times a batch (to check the arguments, and to list the cells of each pass), and the
    sums over cells are in no fixed order; that path is tested on CPUs only and its speed has not been measured.

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


def joint_class(device: torch.device) -> type[TiledJoint] | type[GatheredJoint]:
    return TiledJoint if device.type == "cpu" else GatheredJoint


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor, trials: Trials, options: Options
    ) -> Tensor:
        ctx.trials, ctx.options, ctx.joint = trials, options, joint_class(encoder.device)
        with torch.autocast(encoder.device.type, enabled=False):
            arcs = ctx.joint(encoder, predictor, weight, bias, trials, options.blank).arc_log_probs()
            blank, label = arcs[0], arcs[1, :, :, :-1]
            if not any(ctx.needs_input_grad):
                return lattice_costs(blank, label, trials).to(arcs.dtype)
            costs, flows = lattice_flows(blank, label, trials)
        arcs[0] = flows.blank
        arcs[1] = flows.label.mul_(1.0 + options.fastemit_lambda)
        ctx.save_for_backward(encoder, predictor, weight, bias, arcs)
        return costs.to(arcs.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_costs: Tensor) -> tuple[Tensor | None, ...]:
        *given, arcs = ctx.saved_tensors
        with torch.autocast(arcs.device.type, enabled=False):
            joint = ctx.joint(*given, ctx.trials, ctx.options.blank)
            grads = joint.gradients(arcs, grad_costs, ctx.options)
        return *(grad.to(tensor.dtype) for grad, tensor in zip(grads, given, strict=True)), None, None
