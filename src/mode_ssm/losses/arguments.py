"""What every transducer loss takes beside its scores: labels and lengths, checked with one look at the device."""

from typing import NamedTuple

import torch
from torch import Tensor

from mode_ssm.errors import InputError

REDUCTIONS = ("none", "sum", "mean")


class Size(NamedTuple):
    """Of the padded lattice."""

    trials: int  # B
    frames: int  # S
    positions: int  # U + 1
    classes: int  # V


class Options(NamedTuple):
    """Of `fused_rnnt_loss`."""

    blank: int
    clamp: float
    fastemit_lambda: float
    occupancy_threshold: float


class Trials(NamedTuple):
    """Labels and lengths of a batch, known to be sound, on the device and on the host."""

    targets: Tensor  # (B, U) int64; class 0 in the padding, so that they may be used as an index
    frame_lengths: Tensor  # (B,) int64
    label_lengths: Tensor  # (B,) int64
    frames: tuple[int, ...]  # frame_lengths
    labels: tuple[int, ...]  # label_lengths

    def real_cells(self, frames: int) -> Tensor:
        """(B, S, U+1) mask of the lattice cells that are no padding."""
        device = self.targets.device
        reached = torch.arange(frames, device=device) < self.frame_lengths[:, None]
        spelled = torch.arange(self.targets.shape[1] + 1, device=device) <= self.label_lengths[:, None]
        return reached[:, :, None] & spelled[:, None]


def check_trials(
    size: Size, device: torch.device, targets: Tensor, logit_lengths: Tensor, target_lengths: Tensor, blank: int
) -> Trials:
    """Check labels and lengths against the lattice; waits for the device once.

    Raises:
        InputError: a shape or type that does not fit, or a trial with a length or label that is out of range.
    """
    _check_shapes(size, targets, logit_lengths, target_lengths)
    if not 0 <= blank < size.classes:
        raise InputError(
            f"blank is {blank} but there are V = {size.classes} classes; give one of 0..{size.classes - 1}"
        )
    targets, frame_lengths, label_lengths = (
        given.detach().to(device, torch.int64) for given in (targets, logit_lengths, target_lengths)
    )
    place = torch.arange(size.positions, device=device)
    inside = place[:-1] < label_lengths[:, None]
    wrong = inside & ((targets < 0) | (targets >= size.classes) | (targets == blank))
    first_wrong = torch.where(torch.nn.functional.pad(wrong, (0, 1)), place, size.positions).amin(1)
    facts: list[list[int]] = torch.stack((frame_lengths, label_lengths, first_wrong), 1).tolist()
    for trial, (frames, labels, position) in enumerate(facts):
        _check_lengths(f"trial {trial} of the batch", size, frames, labels)
        if position < size.positions:
            label = int(targets[trial, position])
            fault = "is the blank" if label == blank else f"is none of the classes 0..{size.classes - 1}"
            raise InputError(
                f"trial {trial} of the batch has label {label} at position {position}, which {fault}; "
                "correct its labels or drop the trial"
            )
    frames_, labels_ = (tuple(fact[column] for fact in facts) for column in (0, 1))
    return Trials(torch.where(inside, targets, 0), frame_lengths, label_lengths, frames_, labels_)


def _check_shapes(size: Size, targets: Tensor, logit_lengths: Tensor, target_lengths: Tensor) -> None:
    lattice = f"the lattice (B, S, U+1, V) = {tuple(size)}"
    if min(size) < 1:
        raise InputError(f"{lattice} is empty; each size must be at least 1")
    for name, given, needed in (
        ("targets", targets, (size.trials, size.positions - 1)),
        ("logit_lengths", logit_lengths, (size.trials,)),
        ("target_lengths", target_lengths, (size.trials,)),
    ):
        if tuple(given.shape) != needed:
            raise InputError(f"{name} has shape {tuple(given.shape)} but {lattice} needs {needed}")
        if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
            raise InputError(f"{name} has type {given.dtype}; give integers")


def _check_lengths(name: str, size: Size, frames: int, labels: int) -> None:
    if not 1 <= frames <= size.frames:
        raise InputError(f"{name} has {frames} encoder frames; it needs 1..{size.frames}: correct it or drop the trial")
    if not 0 <= labels < size.positions:
        raise InputError(f"{name} has {labels} labels; it needs 0..{size.positions - 1}: correct it or drop the trial")


def check_reduction(reduction: str) -> None:
    """Raises: InputError for a reduction that there is not."""
    if reduction not in REDUCTIONS:
        raise InputError(f"reduction is {reduction!r}; give one of {', '.join(REDUCTIONS)}")


def reduce_costs(costs: Tensor, reduction: str) -> Tensor:
    """One loss for the batch: the mean over trials (labels are not counted), the sum, or each trial's own."""
    if reduction == "mean":
        return costs.mean()
    return costs.sum() if reduction == "sum" else costs


def result_type(scores: Tensor) -> torch.dtype:
    """The type of the softmax and of the result: at least single precision."""
    return torch.promote_types(scores.dtype, torch.float32)
