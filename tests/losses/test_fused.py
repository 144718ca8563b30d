"""What only the fused loss has: tiles, two forms of tanh, cells that backward skips."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mode_ssm.errors import InputError
from mode_ssm.losses import fused_rnnt_loss, rnnt_loss
from mode_ssm.losses.activation import Logistic, Tanh, choose_activation
from mode_ssm.losses.tiles import TileSize, bands, occupied_tiles


def step(
    frames: int, labels: int, classes: int = 41, width: int = 64, trials: int = 1
) -> tuple[list[Tensor], list[Tensor]]:
    """Float32 scores and the rest of the arguments, full lengths."""
    draw = torch.Generator().manual_seed(frames)
    shapes = [(trials, frames, width), (trials, labels + 1, width), (classes, width), (classes,)]
    scores = [torch.randn(shape, generator=draw) / (width**0.5 if len(shape) == 2 else 1) for shape in shapes]
    lengths = torch.full((trials,), frames), torch.full((trials,), labels)
    return scores, [torch.randint(1, classes, (trials, labels), generator=draw), *lengths]


def gradients(loss: object, scores: list[Tensor], rest: list[Tensor], **options: float) -> tuple[Tensor, list[Tensor]]:
    scores = [score.detach().clone().requires_grad_() for score in scores]
    cost = loss(*scores, *rest, **options)  # type: ignore[operator]
    cost.backward()
    return cost.detach(), [score.grad for score in scores if score.grad is not None]


def unfused(encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor, *rest: Tensor) -> Tensor:
    return rnnt_loss(torch.tanh(encoder[:, :, None] + predictor[:, None]) @ weight.T + bias, *rest)


@pytest.mark.parametrize(("frames", "labels"), [(250, 60), (1000, 60)])
def test_gradient_error_against_double_precision(frames: int, labels: int) -> None:
    scores, rest = step(frames, labels)
    cost, got = gradients(fused_rnnt_loss, scores, rest)
    exact_cost, exact = gradients(unfused, [score.double() for score in scores], rest)
    assert float(cost) == pytest.approx(float(exact_cost), rel=1e-6)
    for mine, theirs in zip(got, exact, strict=True):
        assert (mine - theirs).abs().max() <= 5e-6 * theirs.abs().max()


def test_skipping_empty_cells_changes_nothing_that_single_precision_shows() -> None:
    scores, rest = step(120, 30, trials=2)
    _, all_cells = gradients(fused_rnnt_loss, scores, rest, occupancy_threshold=0.0)
    _, occupied = gradients(fused_rnnt_loss, scores, rest)
    for mine, theirs in zip(occupied, all_cells, strict=True):
        assert (mine - theirs).abs().max() <= 1e-6 * theirs.abs().max()


def test_an_impossible_trial_has_loss_inf_and_gradient_zero() -> None:
    scores, rest = step(20, 5, classes=6, trials=2)
    scores[3][0] = -torch.inf
    scores = [score.requires_grad_() for score in scores]
    losses = fused_rnnt_loss(*scores, *rest, reduction="none")
    losses.sum().backward()
    assert losses.isposinf().all()
    assert all((score.grad == 0).all() for score in scores)


def test_what_is_not_a_number_in_a_real_cell_shows_in_that_trials_loss() -> None:
    scores, rest = step(20, 5, trials=2)
    scores[0][1, 7, 3] = torch.nan
    encoder = scores[0].requires_grad_()
    losses = fused_rnnt_loss(*scores, *rest, reduction="none")
    losses.sum().backward()
    assert losses[0].isfinite()
    assert losses[1].isnan()
    assert encoder.grad is not None
    assert encoder.grad[0].isfinite().all()
    assert encoder.grad[1].isnan().any()


@pytest.mark.parametrize("threshold", [-1.0, 1.0, torch.nan])
def test_a_threshold_that_is_no_probability_is_named(threshold: float) -> None:
    scores, rest = step(4, 2)
    with pytest.raises(InputError, match=r"occupancy_threshold is .*; give a probability, such as 1e-9"):
        fused_rnnt_loss(*scores, *rest, occupancy_threshold=threshold)


def test_frozen_weights_and_double_precision_of_only_some_inputs() -> None:
    (encoder, predictor, weight, bias), rest = step(20, 5)
    encoder.requires_grad_()
    loss = fused_rnnt_loss(encoder, predictor.bfloat16(), weight.double(), bias, *rest)
    loss.backward()
    assert loss.dtype == torch.float64
    assert encoder.grad is not None
    assert encoder.grad.dtype == torch.float32


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 70), st.integers(1, 40), st.integers(1, 64), st.integers(0, 99), st.floats(0, 0.4))
def test_tiles_cover_each_occupied_cell_once(
    frames: int, positions: int, cells: int, seed: int, density: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    occupied = torch.rand(2, frames, positions, generator=draw) < density
    lengths = (frames, (frames + 1) // 2)
    occupied[1, lengths[1] :] = False
    size = TileSize(cells, 8)
    for trial, tiles in enumerate(occupied_tiles(occupied, lengths, size)):
        visits = torch.zeros(frames, positions, dtype=torch.int64)
        for tile in tiles:
            visits[tile.slices] += 1
            assert tile.cells == tile.frames * tile.labels > 0
            assert tile.end_frame <= lengths[trial]
        assert visits.max() <= 1
        assert (visits[occupied[trial]] == 1).all()
    visits.zero_()
    for band, tiles in bands(frames, positions, size._replace(band=3)):
        assert sum(tile.cells for tile in tiles) == band.cells
        for tile in tiles:
            visits[tile.slices] += 1
    assert (visits == 1).all()


@pytest.mark.parametrize("spread", [1.0, 10.0, 31.0])
@pytest.mark.parametrize("centre", [0.0, 500.0])
def test_both_forms_of_tanh_agree(spread: float, centre: float) -> None:
    """Encoder outputs of any size; predictor outputs off centre, which the middle takes out."""
    predictor = centre + spread * (torch.rand(7, 5) - 0.5)
    encoder = torch.randn(9, 5) * torch.logspace(-2, 4, 9)[:, None] - centre
    plain, fast = Tanh(), choose_activation([predictor])
    assert isinstance(fast, Logistic)
    exact = torch.tanh(encoder.double()[:, None] + predictor.double())
    for activation, tolerance in ((plain, 1e-4 if centre else 1e-6), (fast, 1e-4 if centre else 1e-6)):
        t = torch.empty(9, 7, 5)
        activation.fill(activation.rows(0, encoder), activation.columns(0, predictor), t)
        torch.testing.assert_close(activation.offset + activation.scale * t.double(), exact, rtol=0, atol=tolerance)
        slope = activation.scale * activation.slope * activation.back_(torch.ones_like(t), t).double()
        torch.testing.assert_close(slope, 1 - exact**2, rtol=0, atol=tolerance)


@pytest.mark.parametrize("spread", [40.0, torch.inf, torch.nan])
def test_predictor_outputs_too_far_apart_get_tanh_itself(spread: float) -> None:
    predictor = torch.zeros(3, 5)
    predictor[1, 2] = spread
    assert isinstance(choose_activation([torch.zeros(2, 5), predictor]), Tanh)
    assert isinstance(choose_activation([torch.zeros(2, 5, dtype=torch.float64)]), Tanh)
