"""The transducer loss of a joiner that only adds: logits = encoder_logits[:, :, None] + predictor_logits[:, None].

The sum over classes of exp(e + p) is a matrix product of exp(e) and exp(p), so neither the softmax nor its gradient
ever needs a tensor over lattice and classes (Kuang et al. 2022, Pruned RNN-T for fast, memory-efficient ASR training,
where such a joiner finds the bounds for pruning).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.errors import InputError
from mode_ssm.losses.arguments import Size, Trials, check_reduction, check_trials, reduce_costs, result_type
from mode_ssm.losses.lattice import Flows, lattice_flows
from mode_ssm.losses.rnnt import logit_gradient

PRODUCT_FLOOR = 1e-280  # below, a sum of products has lost terms to underflow and is taken term by term
CHUNK_SCORES = 1 << 18  # scores held at once where they must be


def additive_rnnt_loss(
    encoder_logits: Tensor,
    predictor_logits: Tensor,
    targets: Tensor,
    logit_lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    clamp: float = -1.0,
    reduction: str = "mean",
    fastemit_lambda: float = 0.0,
) -> Tensor:
    """`rnnt_loss` of the logits encoder_logits[:, :, None] + predictor_logits[:, None], in double precision throughout.

    A positive clamp acts on each logit of the lattice and so must visit them all, a few frames at a time. On CUDA the
    host waits for the device three times a batch.

    Args:
        encoder_logits: (B, S, V).
        predictor_logits: (B, U+1, V); position u has seen the first u labels.
        targets, logit_lengths, target_lengths, blank, clamp, reduction, fastemit_lambda: as in `rnnt_loss`.

    Raises:
        InputError: shapes, labels or lengths that do not fit; the sentence names the trial.
    """
    shapes = tuple(encoder_logits.shape), tuple(predictor_logits.shape)
    if [len(shape) for shape in shapes] != [3, 3] or shapes[0][::2] != shapes[1][::2]:
        raise InputError(f"got {shapes}; give encoder (B, S, V) and predictor (B, U+1, V) of one batch and one V")
    check_reduction(reduction)
    size = Size(shapes[0][0], shapes[0][1], shapes[1][1], shapes[0][2])
    trials = check_trials(size, encoder_logits.device, targets, logit_lengths, target_lengths, blank)
    costs: Tensor = _AdditiveLoss.apply(  # type: ignore[no-untyped-call]
        encoder_logits, predictor_logits, trials, blank, clamp, fastemit_lambda
    )
    return reduce_costs(costs, reduction)


class _Sums(NamedTuple):
    """The joint scores, kept as their two summands; padding is zero."""

    encoder: Tensor  # (B, S, V) float64
    predictor: Tensor  # (B, U+1, V) float64
    encoder_weights: Tensor  # exp(encoder - its largest class)
    predictor_weights: Tensor
    products: Tensor  # (B, S, U+1): their matrix product
    lost: Tensor  # (B, S, U+1) mask of real cells whose product says nothing

    @classmethod
    def of(cls, encoder: Tensor, predictor: Tensor, trials: Trials) -> "_Sums":
        real = trials.real_cells(encoder.shape[1])
        encoder = encoder.detach().double().masked_fill(~real[:, :, :1], 0.0)
        predictor = predictor.detach().double().masked_fill(~real[:, :1].mT, 0.0)
        by_encoder, by_predictor = ((scores - _largest(scores)).exp_() for scores in (encoder, predictor))
        products = by_encoder @ by_predictor.mT
        return cls(encoder, predictor, by_encoder, by_predictor, products, real & (products < PRODUCT_FLOOR))

    def normalisers(self) -> Tensor:
        """(B, S, U+1) log of the sum over classes."""
        norm = self.products.log().add_(_largest(self.encoder)).add_(_largest(self.predictor).mT)
        for trial, frame, position in self.cells(self.lost):
            scores = self.encoder[trial, frame] + self.predictor[trial, position]
            norm[trial, frame, position] = scores.logsumexp(-1)
        return norm

    def cells(self, mask: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Indices of the true cells, so many at a time that their scores may be held."""
        for chunk in torch.split(mask.nonzero(), max(1, CHUNK_SCORES // self.encoder.shape[2])):
            trial, frame, position = chunk.unbind(1)
            yield trial, frame, position


def _largest(scores: Tensor) -> Tensor:
    largest = scores.amax(-1, keepdim=True)
    return largest.masked_fill_(largest.isneginf(), 0.0)


class _AdditiveLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        encoder: Tensor,
        predictor: Tensor,
        trials: Trials,
        blank: int,
        clamp: float,
        fastemit_lambda: float,
    ) -> Tensor:
        with torch.autocast(encoder.device.type, enabled=False):
            sums = _Sums.of(encoder, predictor, trials)
            norm = sums.normalisers()
            dead = norm.isneginf()
            blanks = sums.encoder[:, :, None, blank] + sums.predictor[:, None, :, blank] - norm
            labels = trials.targets[:, None].expand(-1, encoder.shape[1], -1)
            label = sums.encoder.gather(2, labels) - norm[:, :, :-1]
            label += sums.predictor[:, :-1].gather(2, trials.targets[:, :, None]).mT
            blanks, label = blanks.masked_fill_(dead, -torch.inf), label.masked_fill_(dead[:, :, :-1], -torch.inf)
            costs, flows = lattice_flows(blanks, label, trials)
        ctx.save_for_backward(encoder, predictor, *flows)
        ctx.trials, ctx.blank, ctx.clamp, ctx.fastemit_lambda = trials, blank, clamp, fastemit_lambda
        return costs.to(torch.promote_types(result_type(encoder), predictor.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_costs: Tensor) -> tuple[Tensor | None, ...]:
        encoder, predictor, blank_flow, label_flow = ctx.saved_tensors
        flows = Flows(blank_flow, label_flow * (1.0 + ctx.fastemit_lambda))
        with torch.autocast(encoder.device.type, enabled=False):
            sums = _Sums.of(encoder, predictor, ctx.trials)
            differentiate = _clamped_gradients if ctx.clamp > 0 else _gradients
            grads = differentiate(sums, flows, ctx.trials.targets, ctx.blank, ctx.clamp)
            scaled = (grad.mul_(grad_costs[:, None, None]) for grad in grads)
        return *(grad.to(given.dtype) for grad, given in zip(scaled, (encoder, predictor), strict=True)), *[None] * 4


def _gradients(sums: _Sums, flows: Flows, targets: Tensor, blank: int, _clamp: float) -> tuple[Tensor, Tensor]:
    """Of encoder and predictor: softmax times occupancy, summed by matrix products, less the arcs' own flows."""
    occupancy = flows.blank + flows.label
    scaled = torch.where(sums.lost | (occupancy == 0.0), 0.0, occupancy / sums.products)
    encoder = (scaled @ sums.predictor_weights).mul_(sums.encoder_weights)
    predictor = (scaled.mT @ sums.encoder_weights).mul_(sums.predictor_weights)
    for trial, frame, position in sums.cells(sums.lost & (occupancy > 0.0)):
        share = (sums.encoder[trial, frame] + sums.predictor[trial, position]).softmax(-1)
        share.mul_(occupancy[trial, frame, position, None])
        encoder.index_put_((trial, frame), share, accumulate=True)
        predictor.index_put_((trial, position), share, accumulate=True)
    encoder[:, :, blank] -= flows.blank.sum(2)
    predictor[:, :, blank] -= flows.blank.sum(1)
    by_label = -flows.label[:, :, :-1]
    encoder.scatter_add_(2, targets[:, None].expand_as(by_label), by_label)
    predictor[:, :-1].scatter_add_(2, targets[:, :, None], by_label.sum(1)[:, :, None])
    return encoder, predictor


def _clamped_gradients(sums: _Sums, flows: Flows, targets: Tensor, blank: int, clamp: float) -> tuple[Tensor, Tensor]:
    """Of encoder and predictor, each logit's gradient bounded before the sums."""
    encoder, predictor = torch.zeros_like(sums.encoder), torch.zeros_like(sums.predictor)
    trials, frames, classes = encoder.shape
    step = max(1, CHUNK_SCORES // (predictor.shape[1] * classes))
    for trial in range(trials):
        for first in range(0, frames, step):
            part = slice(trial, trial + 1), slice(first, first + step)
            log_probs = (sums.encoder[part][:, :, None] + sums.predictor[trial]).log_softmax(-1)
            grad = logit_gradient(log_probs, targets[part[0]], Flows(*(flow[part] for flow in flows)), blank)
            grad.clamp_(-clamp, clamp)
            encoder[part] = grad.sum(2)
            predictor[trial] += grad[0].sum(0)
    return encoder, predictor
