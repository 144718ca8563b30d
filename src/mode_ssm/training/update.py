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
from mode_ssm.models.model import ModeSSM, encoder_frames
from mode_ssm.training.augment import augment
from mode_ssm.training.clipping import PARTS, clip_gradients
from mode_ssm.training.devices import sum_gradients, sum_over_processes, sum_sizes
from mode_ssm.training.objective import LossTerms, Weights, batch_losses


class Gradients(NamedTuple):
    """Norms of an update's gradient before clipping."""

    total: float
    bound: float  # to which a larger one was clipped
    by_part: dict[str, float]  # of the parts that learn
    encoder_ctc: float  # of the weighted CTC loss, at the encoder's output
    encoder_rnnt: float

    @property
    def clipped(self) -> bool:
        return self.total > self.bound


class Update(NamedTuple):
    """What an update did; the terms are means over its trials, as numbers."""

    terms: LossTerms
    gradients: Gradients
    trials: int
    feature_frames: int  # as the trials: of all processes
    skipped: bool
    cause: str  # of a skip: loss or gradient
    bad_batches: list[int]  # of a skip: which of the batches had a loss that is not finite

    def record(self, weights: Weights) -> dict[str, Any]:
        """For metrics.jsonl; what was not computed, as in an update without trials, or is not finite, is null."""
        terms = {name: _number(float(term)) if self.trials else None for name, term in self.terms._asdict().items()}
        encoder_ctc, encoder_rnnt = _number(self.gradients.encoder_ctc), _number(self.gradients.encoder_rnnt)
        if not weights.ctc:
            terms["ctc"] = terms["ctc_blank"] = encoder_ctc = None
        if not weights.rnnt:
            terms["rnnt"] = terms["rnnt_raw"] = terms["rnnt_scale"] = encoder_rnnt = None
        return {
            "loss": terms["total"],
            "loss_ctc": terms["ctc"],
            "loss_rnnt": terms["rnnt"],
            "loss_rnnt_raw": terms["rnnt_raw"],
            "rnnt_scale": terms["rnnt_scale"],
            "rnnt_ctc_ratio": _ratio(terms["rnnt"], terms["ctc"]),
            "blank_ctc": terms["ctc_blank"],
            "grad_norm": _number(self.gradients.total),
            "clip_norm": self.gradients.bound,
            "clipped": self.gradients.clipped,
            "grad_norms": {part: _number(self.gradients.by_part.get(part, math.nan)) for part in PARTS},
            "encoder_grad_ctc": encoder_ctc,
            "encoder_grad_rnnt": encoder_rnnt,
            "encoder_grad_ratio": _ratio(encoder_rnnt, encoder_ctc),
        }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ratio(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if lower and upper is not None else None


def run_update(
    fabric: Fabric,
    model: ModeSSM,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    weights: Weights,
    config: TrainConfig,
    number: int,
    bound: float,
) -> Update:
    """Do update `number`, whose random numbers depend on (seed, number, process) alone; clip to a norm of `bound`."""
    torch.manual_seed(hash((config.training.seed, number, fabric.global_rank)))
    batches = [augment(batch.to(fabric.device), config.augmentation) for batch in batches]
    size = sum_sizes(fabric, _size(model, batches))
    if size.trials == 0:
        nothing = LossTerms(*torch.zeros(len(LossTerms._fields)).unbind())
        unknown = Gradients(math.nan, bound, {}, math.nan, math.nan)
        return Update(nothing, unknown, 0, 0, skipped=False, cause="", bad_batches=[])
    optimizer.zero_grad(set_to_none=True)
    terms, squares = _backward(fabric, model, batches, weights, config, size)
    frames = terms.new_tensor([sum(int(batch.frame_lengths.sum()) for batch in batches)])
    sums = torch.cat([terms.sum(dim=0), squares, frames])
    sum_over_processes(fabric, [sums])
    sum_gradients(fabric, list(model.parameters()))
    norms = clip_gradients(model, bound)
    numbers = torch.cat([sums, torch.stack([norms.total, *norms.by_part.values()]).to(sums)]).tolist()
    losses, (*encoder, feature_frames) = numbers[: terms.shape[1]], numbers[terms.shape[1] : len(sums)]
    total, *parts = numbers[len(sums) :]
    loss_is_finite = math.isfinite(losses[0])
    skipped = not (loss_is_finite and math.isfinite(total))
    if not skipped:
        optimizer.step()
    return Update(
        LossTerms(*torch.tensor(losses)),
        Gradients(total, bound, dict(zip(norms.by_part, parts, strict=True)), *map(math.sqrt, encoder)),
        size.trials,
        int(feature_frames),
        skipped,
        cause="gradient" if loss_is_finite else "loss",
        bad_batches=[] if not skipped else (~terms[:, 0].isfinite()).nonzero().flatten().tolist(),
    )


def _backward(
    fabric: Fabric,
    model: ModeSSM,
    batches: Sequence[Batch],
    weights: Weights,
    config: TrainConfig,
    size: UpdateSize,
) -> tuple[Tensor, Tensor]:
    """Put the gradients of all batches into the parameters.

    Returns:
        The terms of each batch, and the squared norms of both losses' gradients at the encoder's output.
    """
    squares = torch.zeros(2, dtype=torch.float64, device=fabric.device)
    rows = [squares.new_zeros(0, len(LossTerms._fields))]
    for batch in batches:
        terms = batch_losses(model, batch, weights, config.losses, size, fabric.autocast(), squares)
        if terms.total.requires_grad:
            fabric.backward(terms.total)
        rows.append(torch.stack([term.detach().double() for term in terms])[None])
    return torch.cat(rows), squares


def _size(model: ModeSSM, batches: Sequence[Batch]) -> UpdateSize:
    sizes = [
        UpdateSize(
            len(batch.keys),
            int(encoder_frames(model.config, batch.frame_lengths).sum()),
            int(batch.label_lengths.sum()),
        )
        for batch in batches
    ]
    return sum(sizes, UpdateSize(0, 0, 0))
