"""rnnt_loss beside enumeration, closed forms and plain loops, on every case where public losses break."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transducer_reference import enumerated_cost, equal_logits_cost, loop_cost

from mode_ssm.errors import InputError
from mode_ssm.losses import rnnt_loss

FRAMES, LABELS = [5, 3, 4], [3, 0, 2]


def batch(classes: int = 6, frames: int = 5, labels: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits (3, frames, labels + 1, classes) in double precision and what goes with them."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, frames, labels + 1, classes, dtype=torch.float64, generator=draw)
    targets = torch.randint(1, classes, (3, labels), generator=draw)
    return logits, targets, torch.tensor(FRAMES), torch.tensor(LABELS)


def gradient(logits: Tensor, *rest: Tensor, **options: object) -> tuple[Tensor, Tensor]:
    """Each trial's loss, and the gradient of their sum."""
    logits = logits.detach().clone().requires_grad_()
    loss = rnnt_loss(logits, *rest, reduction="none", **options)  # type: ignore[arg-type]
    loss.sum().backward()
    assert logits.grad is not None
    return loss.detach(), logits.grad


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(2, 5), st.integers(0, 4), st.integers(0, 99))
def test_equals_the_sum_over_all_alignments(frames: int, labels: int, classes: int, blank: int, seed: int) -> None:
    blank = min(blank, classes - 1)
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(1, frames, labels + 1, classes, dtype=torch.float64, generator=draw)
    targets = (blank + torch.randint(1, classes, (1, labels), generator=draw)) % classes
    loss = rnnt_loss(logits, targets, torch.tensor([frames]), torch.tensor([labels]), blank=blank)
    expected = enumerated_cost(logits[0].log_softmax(-1), targets[0].tolist(), frames, blank)
    assert loss.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("frames", "labels", "classes"), [(4, 2, 5), (50, 10, 41), (200, 40, 41), (1, 0, 2)])
def test_equals_the_closed_form_for_equal_logits(frames: int, labels: int, classes: int) -> None:
    logits = torch.zeros(1, frames, labels + 1, classes, dtype=torch.float64)
    targets = torch.arange(labels)[None] % (classes - 1) + 1
    loss = rnnt_loss(logits, targets, torch.tensor([frames]), torch.tensor([labels]))
    assert loss.item() == pytest.approx(equal_logits_cost(frames, labels, classes), rel=1e-9)


@pytest.mark.parametrize("fastemit_lambda", [0.0, 0.01, 0.5])
def test_gradient_equals_plain_loops_differentiated(fastemit_lambda: float) -> None:
    logits, targets, *lengths = batch()
    loss, grad = gradient(logits, targets, *lengths, fastemit_lambda=fastemit_lambda)
    expected = loop_cost(logits.requires_grad_(), targets, FRAMES, LABELS, fastemit_lambda=fastemit_lambda)
    expected.sum().backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(grad, logits.grad, rtol=1e-9, atol=1e-12)


def test_gradcheck_with_unequal_weights_of_trials() -> None:
    logits, *rest = batch(classes=4)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: rnnt_loss(x, *rest, reduction="none") @ weights, logits.requires_grad_())


def test_clamp_bounds_each_trials_own_gradient_before_it_is_weighted() -> None:
    logits, *rest = batch()
    _, free = gradient(logits, *rest)
    _, bounded = gradient(logits, *rest, clamp=0.1)
    torch.testing.assert_close(bounded, free.clamp(-0.1, 0.1), rtol=0, atol=0)
    assert (bounded != free).any()
    logits.requires_grad_()
    (30 * rnnt_loss(logits, *rest, clamp=0.1)).backward()
    torch.testing.assert_close(logits.grad, 10 * bounded)


def test_reductions() -> None:
    arguments = batch()
    each = rnnt_loss(*arguments, reduction="none")
    assert each.shape == (3,)
    torch.testing.assert_close(rnnt_loss(*arguments), each.mean())
    torch.testing.assert_close(rnnt_loss(*arguments, reduction="sum"), each.sum())
    with pytest.raises(InputError, match="reduction is 'max'; give one of none, sum, mean"):
        rnnt_loss(*arguments, reduction="max")


def test_batches_of_trials_without_labels() -> None:
    logits, targets, frames, _ = batch(labels=0)
    loss, grad = gradient(logits, targets, frames, torch.zeros(3, dtype=torch.int64))
    expected = [-sum(logits[b, s, 0].log_softmax(-1)[0] for s in range(count)) for b, count in enumerate(FRAMES)]
    torch.testing.assert_close(loss, torch.stack(expected))
    assert grad.isfinite().all()


def test_padding_of_any_size_and_content_changes_nothing() -> None:
    logits, targets, frames, labels = batch()
    tight = [
        gradient(logits[b : b + 1, :s, : u + 1], targets[b : b + 1, :u], frames[b : b + 1], labels[b : b + 1])
        for b, (s, u) in enumerate(zip(FRAMES, LABELS, strict=True))
    ]
    wide = torch.full((3, 9, 7, 6), torch.nan, dtype=torch.float64)
    wide[:, 7:] = torch.inf
    wide_targets = torch.full((3, 6), -1)
    for b, (s, u) in enumerate(zip(FRAMES, LABELS, strict=True)):
        wide[b, :s, : u + 1] = logits[b, :s, : u + 1]
        wide_targets[b, :u] = targets[b, :u]
    loss, grad = gradient(wide, wide_targets, frames, labels)
    for b, (s, u) in enumerate(zip(FRAMES, LABELS, strict=True)):
        torch.testing.assert_close(loss[b], tight[b][0][0], rtol=1e-12, atol=0)
        torch.testing.assert_close(grad[b, :s, : u + 1], tight[b][1][0], rtol=1e-12, atol=1e-15)
        grad[b, :s, : u + 1] = 0
    assert (grad == 0).all()


@pytest.mark.parametrize("dead", [(slice(None),), (slice(None), slice(None), 0), (2, slice(None), slice(None))])
def test_an_impossible_trial_has_loss_inf_and_gradient_zero(dead: tuple[object, ...]) -> None:
    """All blanks of a trial, all blanks of U's first row, all classes of one frame."""
    logits, *rest = batch()
    healthy, expected = gradient(logits, *rest)
    logits[(0, *dead, 0) if len(dead) < 3 else (0, *dead)] = -torch.inf
    logits[0, 4, 3, 0] = -torch.inf
    loss, grad = gradient(logits, *rest)
    assert loss[0] == torch.inf
    assert (grad[0] == 0).all()
    torch.testing.assert_close(loss[1:], healthy[1:])
    torch.testing.assert_close(grad[1:], expected[1:])


def test_forbidden_classes_and_cells_leave_the_other_paths_exact() -> None:
    logits, targets, *lengths = batch()
    logits[0, 1, 1, :] = -torch.inf
    logits[2, 2, :, 5] = -torch.inf
    loss, grad = gradient(logits, targets, *lengths)
    log_probs = logits[0].log_softmax(-1).nan_to_num(nan=-torch.inf)
    assert loss[0].item() == pytest.approx(enumerated_cost(log_probs, targets[0].tolist(), 5, 0), rel=1e-9)
    assert grad.isfinite().all()
    assert (grad[0, 1, 1] == 0).all()


def test_extreme_logits() -> None:
    logits, targets, *lengths = batch()
    logits *= 1e4
    loss, grad = gradient(logits, targets, *lengths)
    torch.testing.assert_close(loss, loop_cost(logits, targets, FRAMES, LABELS), rtol=1e-9, atol=1e-9)
    assert grad.isfinite().all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-6), (torch.float16, 1e-6)])
def test_lower_precision_loses_only_what_its_logits_lost(dtype: torch.dtype, tolerance: float) -> None:
    logits, *rest = batch()
    logits = logits.to(dtype)
    loss, grad = gradient(logits, *rest)
    expected, exact = gradient(logits.double(), *rest)
    assert loss.dtype == torch.float32
    assert grad.dtype == dtype
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(grad, exact.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


def test_types_and_layouts_of_every_argument() -> None:
    logits, targets, frames, labels = batch()
    expected = rnnt_loss(logits, targets, frames, labels)
    strided = logits.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
    assert not strided.is_contiguous()
    loss = rnnt_loss(strided, targets.T.contiguous().T.int(), frames.to(torch.int16), labels.int())
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("frames", [250, 1000])
def test_gradient_in_single_precision_stays_within_5e_6_of_double(frames: int) -> None:
    draw = torch.Generator().manual_seed(frames)
    logits = torch.randn(1, frames, 61, 41, generator=draw)
    rest = torch.randint(1, 41, (1, 60), generator=draw), torch.tensor([frames]), torch.tensor([60])
    error = gradient(logits, *rest)[1].double() - gradient(logits.double(), *rest)[1]
    assert error.abs().max() <= 5e-6


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"targets": [[1, 2, 6], [1, 1, 1], [1, 2, 3]]}, r"trial 0 .* label 6 at position 2, .* classes 0\.\.5"),
        ({"targets": [[1, 2, 3], [1, 1, 1], [1, -1, 3]]}, "trial 2 of the batch has label -1 at position 1"),
        ({"targets": [[1, 0, 3], [1, 1, 1], [1, 2, 3]]}, "trial 0 .* label 0 at position 1, which is the blank"),
        ({"frames": [5, 0, 4]}, r"trial 1 of the batch has 0 encoder frames; it needs 1\.\.5"),
        ({"frames": [5, 6, 4]}, "trial 1 of the batch has 6 encoder frames"),
        ({"labels": [3, 0, 4]}, r"trial 2 of the batch has 4 labels; it needs 0\.\.3"),
        ({"labels": [3, -1, 2]}, "trial 1 of the batch has -1 labels"),
        ({"labels": [3, 0]}, r"target_lengths has shape \(2,\) but the lattice .* needs \(3,\)"),
        ({"targets": [[1, 2], [1, 2], [1, 2]]}, r"targets has shape \(3, 2\)"),
        ({"frames": [5.0, 3.0, 4.0]}, "logit_lengths has type torch.float32; give integers"),
        ({"blank": 6}, r"blank is 6 but there are V = 6 classes; give one of 0\.\.5"),
        ({"logits": torch.zeros(3, 5, 4)}, r"logits has shape \(3, 5, 4\); give \(B, S, U\+1, V\)"),
        ({"logits": torch.zeros(3, 0, 4, 6)}, "is empty"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], sentence: str) -> None:
    logits, targets, *_ = batch()
    given = {"logits": logits, "targets": targets.tolist(), "frames": FRAMES, "labels": LABELS, "blank": 0} | change
    with pytest.raises(InputError, match=sentence):
        rnnt_loss(
            given["logits"],  # type: ignore[arg-type]
            torch.tensor(given["targets"]),
            torch.tensor(given["frames"]),
            torch.tensor(given["labels"]),
            blank=given["blank"],  # type: ignore[arg-type]
        )
