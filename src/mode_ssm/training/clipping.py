"""Clipping of an update's gradient, and the norms of its parts on the way."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from mode_ssm.config import TrainingConfig
from mode_ssm.models.model import ModeSSM
from mode_ssm.training.terms import Term

WINDOW_UPDATES = 100  # whose gradient norms are remembered
FEWEST_NORMS = 20  # with fewer, the median is not known


class Norms(NamedTuple):
    """Of a gradient, before clipping."""

    total: Tensor
    by_part: dict[str, Tensor]  # of the parts of the network that have a gradient


def parts_of(terms: Sequence[Term]) -> list[str]:
    """The parts of the network whose gradients are told apart: what all terms train, and what each has besides."""
    return ["preprocessor", "encoder", *(part for term in terms for part in term.parts)]


def clip_bound(training: TrainingConfig, norms: Sequence[float]) -> float:
    """The largest gradient norm that the next update may have: by the median, once that is known, or max_grad_norm.

    Args:
        norms: of the last updates' gradients, before clipping.
    """
    if training.clip_median_multiple is None or len(norms) < FEWEST_NORMS:
        return training.max_grad_norm
    return training.clip_median_multiple * median(norms) or training.max_grad_norm


def clip_gradients(model: ModeSSM, bound: float) -> Norms:
    """Scale the whole gradient down to a norm of `bound` where it is larger."""
    gradients: dict[str, list[Tensor]] = {part: [] for part, _ in model.named_children()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            gradients[name.partition(".")[0]].append(parameter.grad)
    by_part = {part: torch.nn.utils.get_total_norm(tensors) for part, tensors in gradients.items() if tensors}
    if not by_part:  # nothing learns
        return Norms(torch.zeros(()), {})
    total = torch.linalg.vector_norm(torch.stack([*by_part.values()]))
    torch.nn.utils.clip_grads_with_norm_(list(model.parameters()), bound, total)
    return Norms(total, by_part)
