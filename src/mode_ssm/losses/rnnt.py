"""The transducer loss of given logits: the plain reference beside which the fused ones stand."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.errors import InputError
from mode_ssm.losses.arguments import Size, Trials, check_reduction, check_trials, reduce_costs, result_type
from mode_ssm.losses.lattice import Flows, lattice_costs, lattice_flows


def rnnt_loss(
    logits: Tensor,
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    clamp: float = -1.0,
    reduction: str = "mean",
    fastemit_lambda: float = 0.0,
) -> Tensor:
    """Negative log-likelihood in nats of the targets under a transducer (Graves 2012), softmax included.

    Any device and floating type; half precision is raised to single, and the lattice is double. Padding of any content
    is ignored. A trial that no path can explain has loss inf and gradient 0. Not differentiable twice.

    Args:
        logits: (B, S, U+1, V) scores of the joiner, before the softmax.
        targets: (B, U) labels without blank, padded with anything.
        logit_lengths: (B,) encoder frames of each trial, 1..S.
        target_lengths: (B,) labels of each trial, 0..U.
        blank: class of the blank.
        clamp: bound on the gradient of each trial's loss with respect to each logit; none unless positive.
        reduction: "mean" over trials (labels are not counted), "sum", or "none" for (B,) losses.
        fastemit_lambda: labels pull (1 + lambda) times as hard on their log-probabilities as the loss says, which
            teaches earlier emission (Yu et al. 2021, FastEmit). The value of the loss stays as it is.

    Raises:
        InputError: shapes, labels or lengths that do not fit; the sentence names the trial.
    """
    if logits.dim() != 4:
        raise InputError(f"logits has shape {tuple(logits.shape)}; give (B, S, U+1, V)")
    check_reduction(reduction)
    trials = check_trials(Size(*logits.shape), logits.device, targets, logit_lengths, target_lengths, blank)
    costs: Tensor = _RNNTLoss.apply(logits, trials, blank, clamp, fastemit_lambda)  # type: ignore[no-untyped-call]
    return reduce_costs(costs, reduction)


class _RNNTLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, trials: Trials, blank: int, clamp: float, fastemit_lambda: float) -> Tensor:
        scores = logits.detach().to(result_type(logits))
        log_probs = scores.log_softmax(-1)
        log_probs.masked_fill_(scores.amax(-1, keepdim=True).isneginf(), -torch.inf)
        labels = trials.targets[:, None, :, None].expand(-1, logits.shape[1], -1, -1)
        label = log_probs[:, :, :-1].gather(-1, labels)[..., 0]
        if not ctx.needs_input_grad[0]:
            return lattice_costs(log_probs[..., blank], label, trials).to(log_probs.dtype)
        costs, flows = lattice_flows(log_probs[..., blank], label, trials)
        flows = Flows(flows.blank, flows.label.mul_(1.0 + fastemit_lambda))
        ctx.save_for_backward(log_probs, trials.targets, *(flow.to(log_probs.dtype) for flow in flows))
        ctx.blank, ctx.clamp, ctx.dtype = blank, clamp, logits.dtype
        return costs.to(log_probs.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_costs: Tensor) -> tuple[Tensor | None, ...]:
        log_probs, targets, *flows = ctx.saved_tensors
        grad = logit_gradient(log_probs, targets, Flows(*flows), ctx.blank)
        if ctx.clamp > 0:
            grad.clamp_(-ctx.clamp, ctx.clamp)
        return grad.mul_(grad_costs[:, None, None, None]).to(ctx.dtype), None, None, None, None


def logit_gradient(log_probs: Tensor, targets: Tensor, flows: Flows, blank: int) -> Tensor:
    """(B, S, U+1, V): the softmax times the cell's occupancy, less the flow of the class's own arc; of one type."""
    occupancy = (flows.blank + flows.label)[..., None]
    grad = log_probs.exp().mul_(occupancy).masked_fill_(occupancy == 0.0, 0.0)
    grad[..., blank].sub_(flows.blank)
    labels = targets[:, None, :, None].expand(-1, log_probs.shape[1], -1, -1)
    grad[:, :, :-1].scatter_add_(-1, labels, -flows.label[:, :, :-1, None])
    return grad
