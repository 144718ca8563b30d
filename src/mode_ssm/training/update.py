"""One optimizer update: augment, forward, both losses, backward, clip, step; or a skip."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import TrainConfig
from mode_ssm.losses.objective import UpdateSize
from mode_ssm.models.model import ModeSSM
from mode_ssm.training.augment import augment
from mode_ssm.training.devices import sum_over_processes, sum_sizes
from mode_ssm.training.objective import LossTerms, Weights, batch_losses


class Update(NamedTuple):
    """What an update did; the terms are means over its trials, as numbers."""

    terms: LossTerms
    grad_norm: float  # before clipping
    trials: int
    feature_frames: int
    skipped: bool
    cause: str  # of a skip: loss or gradient
    bad_batches: list[int]  # of a skip: which of the batches had a loss that is not finite

    def record(self, weights: Weights) -> dict[str, Any]:
        """For metrics.jsonl; a loss that was not computed, or is not finite, is null."""
        total, ctc, rnnt, raw = (value if math.isfinite(value) else None for value in map(float, self.terms))
        ctc, rnnt, raw = ctc if weights.ctc else None, rnnt if weights.rnnt else None, raw if weights.rnnt else None
        return {
            "loss": total,
            "loss_ctc": ctc,
            "loss_rnnt": rnnt,
            "loss_rnnt_raw": raw,
            "rnnt_ctc_ratio": rnnt / ctc if ctc and rnnt is not None else None,
            "grad_norm": self.grad_norm if math.isfinite(self.grad_norm) else None,
        }


def run_update(
    fabric: Fabric,
    model: ModeSSM,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    weights: Weights,
    config: TrainConfig,
    number: int,
) -> Update:
    """Do update `number`, whose random numbers depend on (seed, number, process) alone."""
    torch.manual_seed(hash((config.training.seed, number, fabric.global_rank)))
    batches = [augment(batch.to(fabric.device), config.augmentation) for batch in batches]
    size = sum_sizes(fabric, _size(model, batches))
    if size.trials == 0:
        nothing = LossTerms(*torch.zeros(4).unbind())
        return Update(nothing, 0.0, 0, 0, skipped=False, cause="", bad_batches=[])
    optimizer.zero_grad(set_to_none=True)
    losses = [torch.zeros(4, device=fabric.device)]
    for batch in batches:
        terms = batch_losses(model, batch, weights, config.losses, size, fabric.autocast())
        if terms.total.requires_grad:
            fabric.backward(terms.total)
        losses.append(torch.stack([term.detach().to(torch.float32) for term in terms]))
    every = torch.stack(losses)
    summed = every.sum(dim=0)
    sum_over_processes(fabric, [summed])
    grad_norm = _clip(fabric, model, config.training.max_grad_norm)
    *values, norm = torch.cat([summed, grad_norm[None].to(summed)]).tolist()
    loss_is_finite = math.isfinite(values[0])
    skipped = not (loss_is_finite and math.isfinite(norm))
    if not skipped:
        optimizer.step()
    return Update(
        LossTerms(*torch.tensor(values)),
        norm,
        size.trials,
        sum(int(batch.frame_lengths.sum()) for batch in batches),
        skipped,
        cause="gradient" if loss_is_finite else "loss",
        bad_batches=[] if not skipped else (~every[1:, 0].isfinite()).nonzero().flatten().tolist(),
    )


def _size(model: ModeSSM, batches: Sequence[Batch]) -> UpdateSize:
    sizes = [
        UpdateSize(
            len(batch.keys),
            int(model.preprocessor.encoder_frames(batch.frame_lengths).sum()),
            int(batch.label_lengths.sum()),
        )
        for batch in batches
    ]
    return sum(sizes, UpdateSize(0, 0, 0))


def _clip(fabric: Fabric, model: ModeSSM, max_norm: float) -> Tensor:
    """Sum gradients over processes, clip them, and return their norm before clipping."""
    parameters = list(model.parameters())
    if fabric.world_size > 1:
        have = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int64, device=fabric.device)
        sum_over_processes(fabric, [have])
        shared = [p for p, count in zip(parameters, have.tolist(), strict=True) if count]
        for parameter in shared:
            if parameter.grad is None:  # this process had no batch
                parameter.grad = torch.zeros_like(parameter)
        sum_over_processes(fabric, [p.grad for p in shared if p.grad is not None])
    return torch.nn.utils.clip_grad_norm_(parameters, max_norm)
