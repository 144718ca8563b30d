"""The losses that hold no lattice of logits, beside rnnt_loss of the logits that they stand for."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mode_ssm.errors import InputError
from mode_ssm.losses import additive_rnnt_loss, fused, fused_rnnt_loss, rnnt_loss
from mode_ssm.losses.gathered import GatheredJoint

WIDTH = 5


class Kind(NamedTuple):
    loss: Callable[..., Tensor]
    logits: Callable[..., Tensor]


class Given(NamedTuple):
    scores: list[Tensor]  # what has a gradient
    targets: Tensor
    frames: Tensor
    labels: Tensor


def tanh_logits(encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.tanh(encoder[:, :, None] + predictor[:, None]) @ weight.T + bias


def added_logits(encoder: Tensor, predictor: Tensor) -> Tensor:
    return encoder[:, :, None] + predictor[:, None]


class ShortLists(GatheredJoint):
    cells_at_once = 17


def gathered_rnnt_loss(*arguments: Tensor, **options: object) -> Tensor:
    """The fused loss as a GPU runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "joint_class", lambda _: ShortLists)
        return fused_rnnt_loss(*arguments, **options)  # type: ignore[arg-type]


KINDS = {
    "fused": Kind(fused_rnnt_loss, tanh_logits),
    "gathered": Kind(gathered_rnnt_loss, tanh_logits),
    "additive": Kind(additive_rnnt_loss, added_logits),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def draw_batch(
    kind: Kind,
    size: tuple[int, int, int, int] = (3, 6, 4, 7),
    lengths: tuple[list[int], list[int]] = ([6, 3, 5], [4, 0, 2]),
    seed: int = 0,
    blank: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Given:
    """Scores for B, S, U, V = size."""
    trials, frames, labels, classes = size
    generator = torch.Generator().manual_seed(seed)
    added = kind is KINDS["additive"]
    width = classes if added else WIDTH
    shapes = [(trials, frames, width), (trials, labels + 1, width), (classes, width), (classes,)]
    scores = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes[: 2 if added else 4]]
    targets = (blank + torch.randint(1, classes, (trials, labels), generator=generator)) % classes
    return Given(scores, targets, torch.tensor(lengths[0]), torch.tensor(lengths[1]))


def differentiate(loss: Callable[..., Tensor], batch: Given, **options: object) -> tuple[Tensor, list[Tensor]]:
    """Losses by trial, and the gradients of a sum that weights the trials differently."""
    scores = [score.detach().clone().requires_grad_() for score in batch.scores]
    costs = loss(*scores, *batch[1:], reduction="none", **options)
    weights = torch.linspace(0.5, 1.5, len(costs), dtype=costs.dtype)
    costs.backward(weights)
    return costs.detach(), [score.grad for score in scores if score.grad is not None]


def reference(kind: Kind, batch: Given, **options: object) -> tuple[Tensor, list[Tensor]]:
    """The same through the logits and rnnt_loss, in double precision."""

    def loss(*arguments: Tensor, **options: object) -> Tensor:
        scores, rest = arguments[:-3], arguments[-3:]
        return rnnt_loss(kind.logits(*scores), *rest, **options)  # type: ignore[arg-type]

    return differentiate(loss, batch._replace(scores=[score.double() for score in batch.scores]), **options)


def assert_equal(got: tuple[Tensor, list[Tensor]], expected: tuple[Tensor, list[Tensor]], tolerance: float) -> None:
    """Losses to a tenth of the tolerance, relative; gradients relative to the largest entry of each."""
    torch.testing.assert_close(got[0].double(), expected[0], rtol=tolerance / 10, atol=tolerance / 10)
    for mine, theirs in zip(got[1], expected[1], strict=True):
        scale = max(float(theirs.abs().max()), 1e-3)
        torch.testing.assert_close(mine.double() / scale, theirs / scale, rtol=0, atol=tolerance)


@st.composite
def batches(draw: st.DrawFn) -> tuple[tuple[int, int, int, int], tuple[list[int], list[int]], int, int]:
    trials, frames, labels, classes = (draw(st.integers(low, high)) for low, high in ((1, 3), (1, 9), (0, 5), (2, 8)))
    lengths = [[draw(st.integers(low, high)) for _ in range(trials)] for low, high in ((1, frames), (0, labels))]
    return (
        (trials, frames, labels, classes),
        (lengths[0], lengths[1]),
        draw(st.integers(0, classes - 1)),
        draw(st.integers(0, 99)),
    )


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=40)
@given(
    shape=batches(),
    single=st.booleans(),
    fastemit_lambda=st.sampled_from([0.0, 0.1]),
    clamp=st.sampled_from([-1.0, 0.05]),
)
def test_equals_the_reference_on_any_shape(
    name: str,
    shape: tuple[tuple[int, int, int, int], tuple[list[int], list[int]], int, int],
    single: bool,
    fastemit_lambda: float,
    clamp: float,
) -> None:
    size, lengths, blank, seed = shape
    kind = KINDS[name]
    batch = draw_batch(kind, size, lengths, seed, blank, torch.float32 if single else torch.float64)
    options = {"blank": blank, "fastemit_lambda": fastemit_lambda, "clamp": clamp}
    exact = {"occupancy_threshold": 0.0} if name != "additive" and not single else {}
    expected = reference(kind, batch, **options)
    assert_equal(differentiate(kind.loss, batch, **options, **exact), expected, 1e-5 if single else 1e-10)


def test_gradcheck(kind: Kind) -> None:
    batch = draw_batch(kind, (2, 4, 2, 4), ([4, 3], [2, 1]))

    def loss(*scores: Tensor) -> Tensor:
        return kind.loss(*scores, *batch[1:], reduction="none")

    assert torch.autograd.gradcheck(loss, [score.requires_grad_() for score in batch.scores])


def test_reductions_and_no_gradient(kind: Kind) -> None:
    batch = draw_batch(kind)
    each = kind.loss(*batch.scores, *batch[1:], reduction="none")
    assert not each.requires_grad
    torch.testing.assert_close(kind.loss(*batch.scores, *batch[1:]), each.mean())
    torch.testing.assert_close(kind.loss(*batch.scores, *batch[1:], reduction="sum"), each.sum())
    with pytest.raises(InputError, match="reduction is 'batch'"):
        kind.loss(*batch.scores, *batch[1:], reduction="batch")


def test_a_kept_graph_may_be_walked_twice(kind: Kind) -> None:
    batch = draw_batch(kind)
    scores = [score.requires_grad_() for score in batch.scores]
    loss = kind.loss(*scores, *batch[1:])
    once, again = (torch.autograd.grad(loss, scores, retain_graph=True) for _ in range(2))
    assert all(torch.equal(first, second) for first, second in zip(once, again, strict=True))


def test_padding_of_any_content_is_ignored(kind: Kind) -> None:
    batch = draw_batch(kind)
    costs, grads = differentiate(kind.loss, batch)
    for trial, (frames, labels) in enumerate(zip(batch.frames, batch.labels, strict=True)):
        batch.scores[0][trial, frames:] = torch.nan
        batch.scores[1][trial, labels + 1 :] = torch.inf
        batch.targets[trial, labels:] = -7
    assert_equal(differentiate(kind.loss, batch), (costs, grads), 0.0)
    assert (grads[0][1, 3:] == 0).all()
    assert (grads[1][1, 1:] == 0).all()


def test_all_trials_without_labels(kind: Kind) -> None:
    batch = draw_batch(kind, (2, 4, 0, 3), ([4, 2], [0, 0]))
    assert_equal(differentiate(kind.loss, batch), reference(kind, batch), 1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("encoder", "predictor"), [(1e4, 1.0), (1.0, 1e4), (1e4, 1e4), (40.0, 40.0), (15.0, 15.0)])
def test_extreme_activations(kind: Kind, dtype: torch.dtype, encoder: float, predictor: float) -> None:
    batch = draw_batch(kind, (3, 6, 4, 5), dtype=dtype)
    batch.scores[0] *= encoder
    batch.scores[1] *= predictor
    assert_equal(differentiate(kind.loss, batch), reference(kind, batch), 1e-5 if dtype == torch.float32 else 1e-8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_under_autocast_is_computed_in_single(kind: Kind, dtype: torch.dtype) -> None:
    batch = draw_batch(kind, dtype=dtype)
    expected_costs, expected = reference(kind, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        costs, grads = differentiate(kind.loss, batch)
    assert costs.dtype == torch.float32
    torch.testing.assert_close(costs.double(), expected_costs, rtol=1e-6, atol=1e-6)
    for grad, exact in zip(grads, expected, strict=True):
        assert grad.dtype == dtype
        torch.testing.assert_close(grad, exact.to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


def test_layouts_and_integer_types(kind: Kind) -> None:
    batch = draw_batch(kind)
    strided = [score.mT.contiguous().mT if score.dim() > 1 else score for score in batch.scores]
    other = Given(strided, batch.targets.T.contiguous().T.int(), batch.frames.int(), batch.labels.to(torch.uint8))
    assert_equal(differentiate(kind.loss, other), differentiate(kind.loss, batch), 1e-12)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("targets", 7, r"trial 0 of the batch has label 7 at position 1, which is none of the classes 0\.\.6"),
        ("targets", -1, "trial 0 of the batch has label -1"),
        ("targets", 0, "trial 0 of the batch has label 0 at position 1, which is the blank"),
        ("frames", 0, "trial 1 of the batch has 0 encoder frames"),
        ("frames", 7, "trial 1 of the batch has 7 encoder frames"),
        ("labels", 5, "trial 1 of the batch has 5 labels"),
    ],
)
def test_a_wrong_trial_is_named(kind: Kind, place: str, value: int, sentence: str) -> None:
    batch = draw_batch(kind)
    getattr(batch, place)[(0, 1) if place == "targets" else 1] = value
    with pytest.raises(InputError, match=sentence):
        kind.loss(*batch.scores, *batch[1:])


def test_shapes_that_do_not_fit_are_named(kind: Kind) -> None:
    encoder, *rest = draw_batch(kind).scores
    batch = draw_batch(kind)
    for wrong in (encoder[:2], encoder[0], encoder[:, :, :-1]):
        with pytest.raises(InputError, match="encoder"):
            kind.loss(wrong, *rest, *batch[1:])
