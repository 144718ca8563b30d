"""One optimizer update: augment, forward, the losses, backward, clip, step; or a skip."""

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
from mode_ssm.training.balance import Balance, balances
from mode_ssm.training.clipping import clip_gradients, parts_of
from mode_ssm.training.devices import sum_gradients, sum_over_processes
from mode_ssm.training.objective import UpdateSizes, Weighted, batch_loss
from mode_ssm.training.terms import Term

TOTAL = "loss"  # the weighted sum, in metrics.jsonl


class Gradients(NamedTuple):
    """Norms of an update's gradient before clipping."""

    total: float
    bound: float  # to which a larger one was clipped
    by_part: dict[str, float]  # of the parts that learn
    encoder: dict[str, float]  # by term: of the weighted loss, at the encoder's output

    @property
    def clipped(self) -> bool:
        return self.total > self.bound


class Update(NamedTuple):
    """What an update did."""

    numbers: dict[str, float]  # the loss and what its terms measured, means over the trials; none without a trial
    gradients: Gradients
    trials: int
    feature_frames: int  # as the trials: of all processes
    skipped: bool
    cause: str  # of a skip: loss or gradient
    bad_batches: list[int]  # of a skip: which of the batches had a loss that is not finite

    def losses(self, terms: Sequence[Term]) -> dict[str, float]:
        """The whole loss, then that of each term by its name; none where no trial could be read."""
        known = [(term.name, term.loss_key) for term in terms if term.loss_key in self.numbers]
        return {name: self.numbers[key] for name, key in [(TOTAL, TOTAL), *known]} if self.numbers else {}

    def record(self, terms: Sequence[Term]) -> dict[str, Any]:
        """For metrics.jsonl; what was not computed, as in an update without trials, or is not finite, is null.

        Args:
            terms: of the run.
        """
        numbers = {key: _number(value) for key, value in self.numbers.items()}
        encoder = {term: _number(norm) for term, norm in self.gradients.encoder.items()}
        first, *further = terms
        record = {key: numbers.get(key) for key in (TOTAL, *(term.loss_key for term in terms))}
        for term in (*further, first):
            record |= {measured.key: numbers.get(measured.key) for measured in term.measured}
            if term is not first:
                record[Balance(first, term).loss_key] = _ratio(numbers.get(term.loss_key), numbers.get(first.loss_key))
        return (
            record
            | {"grad_norm": _number(self.gradients.total)}
            | {"clip_norm": self.gradients.bound, "clipped": self.gradients.clipped}
            | {"grad_norms": {part: _number(self.gradients.by_part.get(part, math.nan)) for part in parts_of(terms)}}
            | {term.gradient_key: encoder.get(term.name) for term in terms}
            | {
                balance.gradient_key: _ratio(encoder.get(balance.further.name), encoder.get(first.name))
                for balance in balances(terms)
            }
        )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ratio(upper: float | None, lower: float | None) -> float | None:
    return upper / lower if lower and upper is not None else None


def run_update(
    fabric: Fabric,
    model: ModeSSM,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    objective: Sequence[Weighted],
    config: TrainConfig,
    number: int,
    bound: float,
) -> Update:
    """Do update `number`, whose random numbers depend on (seed, number, process) alone; clip to a norm of `bound`."""
    torch.manual_seed(hash((config.training.seed, number, fabric.global_rank)))
    batches = [augment(batch.to(fabric.device), config.augmentation) for batch in batches]
    sizes = _sizes(fabric, model, batches)
    objective = [weighted for weighted in objective if sizes.of(weighted.term).trials]
    if sizes.whole.trials == 0:
        unknown = Gradients(math.nan, bound, {}, {})
        return Update({}, unknown, 0, 0, skipped=False, cause="", bad_batches=[])
    optimizer.zero_grad(set_to_none=True)
    keys = [TOTAL, *(key for term, _ in objective for key in (term.loss_key, *(m.key for m in term.measured)))]
    rows, squares = _backward(fabric, model, batches, objective, keys, sizes)
    frames = rows.new_tensor([sum(int(batch.frame_lengths.sum()) for batch in batches)])
    sums = torch.cat([rows.sum(dim=0), squares, frames])
    sum_over_processes(fabric, [sums])
    sum_gradients(fabric, list(model.parameters()))
    norms = clip_gradients(model, bound)
    found = torch.cat([sums, torch.stack([norms.total, *norms.by_part.values()]).to(sums)]).tolist()
    losses, (*encoder, feature_frames) = found[: len(keys)], found[len(keys) : len(sums)]
    total, *parts = found[len(sums) :]
    loss_is_finite = math.isfinite(losses[0])
    skipped = not (loss_is_finite and math.isfinite(total))
    if not skipped:
        optimizer.step()
    names = [term.name for term, _ in objective]
    return Update(
        dict(zip(keys, torch.tensor(losses, dtype=torch.float32).tolist(), strict=True)),  # as exact as they are
        Gradients(
            total,
            bound,
            dict(zip(norms.by_part, parts, strict=True)),
            dict(zip(names, map(math.sqrt, encoder), strict=True)),
        ),
        sizes.whole.trials,
        int(feature_frames),
        skipped,
        cause="gradient" if loss_is_finite else "loss",
        bad_batches=[] if not skipped else (~rows[:, 0].isfinite()).nonzero().flatten().tolist(),
    )


def _backward(
    fabric: Fabric,
    model: ModeSSM,
    batches: Sequence[Batch],
    objective: Sequence[Weighted],
    keys: Sequence[str],
    sizes: UpdateSizes,
) -> tuple[Tensor, Tensor]:
    """Put the gradients of all batches into the parameters.

    Returns:
        The numbers of each batch in the order of `keys`, and the squared norm of each term's gradient at the encoder's
        output.
    """
    squares = torch.zeros(len(objective), dtype=torch.float64, device=fabric.device)
    rows = [squares.new_zeros(0, len(keys))]
    for batch in batches:
        total, numbers = batch_loss(model, batch, objective, sizes, fabric.autocast, squares)
        if total.requires_grad:
            fabric.backward(total)
        numbers[TOTAL] = total.detach()
        nothing = squares.new_zeros(())
        rows.append(torch.stack([numbers.get(key, nothing).double() for key in keys])[None])
    return torch.cat(rows), squares


def _sizes(fabric: Fabric, model: ModeSSM, batches: Sequence[Batch]) -> UpdateSizes:
    """Over the batches of all processes."""
    counts = torch.zeros(3, 3, dtype=torch.int64, device=fabric.device)
    for batch in batches:
        frames = encoder_frames(model.config, batch.frame_lengths)
        of_trials = torch.stack([torch.ones_like(frames), frames, batch.label_lengths], dim=1)
        usable = (torch.ones_like(batch.labelled), batch.labelled, batch.aligned(frames))
        counts += torch.stack([of_trials[chosen].sum(dim=0) for chosen in usable])
    sum_over_processes(fabric, [counts])
    return UpdateSizes(*(UpdateSize(*count) for count in counts.tolist()))
