"""The chunked scans, fused and plain, and the step against the frame-by-frame reference in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mode_ssm.models.plain import scan as plain_scan
from mode_ssm.models.ssm import reference_scan, scan, scan_step, split_mixed

HEADS, HEAD_WIDTH, STATE = 3, 4, 5
BOTH = pytest.mark.parametrize("scan", [scan, plain_scan], ids=["fused", "plain"])


def draw(trials: int, frames: int, directions: int, seed: int = 0, dt: float = 0.5) -> list[Tensor]:
    """Inputs of a scan whose first trial is padded in its second half."""
    torch.manual_seed(seed)
    mixed = torch.randn(trials, frames, HEADS * HEAD_WIDTH + 2 * STATE, dtype=torch.float64)
    steps = torch.rand(trials, frames, directions, HEADS, dtype=torch.float64) * dt
    steps[0, frames // 2 + 1 :] = 0
    rates = -torch.empty(directions, HEADS, dtype=torch.float64).uniform_(1, 16)
    return [mixed, steps, rates, torch.randn(HEADS, dtype=torch.float64)]


def with_gradients(scanned, inputs: list[Tensor], dtype: torch.dtype, **settings: int) -> list[Tensor]:
    inputs = [tensor.to(dtype).requires_grad_() for tensor in inputs]
    y = scanned(*inputs, state_size=STATE, **settings)
    torch.manual_seed(1)
    weight = torch.randn(y.shape, dtype=torch.float64).to(dtype)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), inputs)]


def relative_error(tensor: Tensor, exact: Tensor) -> float:
    return float((tensor - exact).abs().max() / exact.abs().max().clamp(min=1e-3))


@BOTH
@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 40),
    chunk_frames=st.integers(1, 45),
    directions=st.sampled_from([1, 2]),
    seed=st.integers(0, 10**6),
    dt=st.sampled_from([0.01, 0.1, 0.5]),
)
def test_float64_equals_the_reference_forward_and_in_gradients(scan, frames, chunk_frames, directions, seed, dt):
    inputs = draw(2, frames, directions, seed, dt)
    exact = with_gradients(reference_scan, inputs, torch.float64)
    found = with_gradients(scan, inputs, torch.float64, chunk_frames=chunk_frames)
    assert all(relative_error(a, b) < 2e-13 for a, b in zip(found, exact, strict=True))


@BOTH
@pytest.mark.parametrize("directions", [1, 2])
def test_the_gradient_of_a_memory_that_is_all_but_gone_keeps_its_digits(scan, directions):
    inputs = draw(2, 40, directions, dt=20.0)
    exact = with_gradients(reference_scan, inputs, torch.float64)
    found = with_gradients(scan, inputs, torch.float64, chunk_frames=7)
    assert all(relative_error(a, b) < 1e-12 for a, b in zip(found, exact, strict=True))


@BOTH
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("dt", [0.05, 0.5])
def test_float32_is_close_to_the_reference(scan, directions, dt):
    inputs = draw(2, 300, directions, dt=dt)
    exact = with_gradients(reference_scan, inputs, torch.float64)
    found = with_gradients(scan, inputs, torch.float32, chunk_frames=64)
    assert all(relative_error(a, b) < 5e-5 for a, b in zip(found, exact, strict=True))


@BOTH
@pytest.mark.parametrize("directions", [1, 2])
def test_bfloat16_products_keep_decays_and_states_in_float32(scan, directions):
    mixed, *rest = draw(2, 150, directions)
    exact = reference_scan(mixed, *rest, state_size=STATE)
    mixed, *rest = mixed.bfloat16().requires_grad_(), *(tensor.float() for tensor in rest)
    y = scan(mixed, *rest, state_size=STATE, chunk_frames=32)
    y.sum().backward()
    assert y.dtype is torch.bfloat16
    assert mixed.grad.dtype is torch.bfloat16
    assert (y - exact).norm() / exact.norm() < 1e-2


def test_the_gradient_is_that_of_finite_differences():
    inputs = [tensor.requires_grad_() for tensor in draw(1, 7, 2)]
    inputs[1].data += 0.1  # away from the padding's dt = 0, where a difference has no left side
    assert torch.autograd.gradcheck(lambda *i: scan(*i, state_size=STATE, chunk_frames=3), inputs)


@BOTH
@pytest.mark.parametrize("chunk_frames", [4, 64])
def test_strong_decay_and_tiny_steps_stay_finite(scan, chunk_frames):
    mixed, steps, rates, skip = draw(2, 60, 2)
    steps[1] = torch.tensor([0.0, 1e-30, 1e3])[torch.randint(3, steps[1].shape)]
    found = with_gradients(scan, [mixed, steps, rates, skip], torch.float32, chunk_frames=chunk_frames)
    assert all(tensor.isfinite().all() for tensor in found)


def test_an_impulse_fades_at_the_rate_of_its_head():
    mixed = torch.zeros(1, 9, 3, dtype=torch.float64)  # one head of one channel, one state
    mixed[0, 4, 0] = 1.0
    mixed[..., 1:] = 1.0
    dt = torch.full((1, 9, 2, 1), 0.5, dtype=torch.float64)
    rates = torch.tensor([[-1.0], [-2.0]], dtype=torch.float64)
    y = scan(mixed, dt, rates, torch.zeros(1, dtype=torch.float64), state_size=1, chunk_frames=4)[0, :, 0, 0]
    expected = [0.5 * torch.e ** (-1.0 * max(4 - t, 0) - 0.5 * max(t - 4, 0)) for t in range(9)]
    torch.testing.assert_close(y, torch.tensor(expected, dtype=torch.float64))


def test_steps_equal_the_whole():
    mixed, dt, rates, skip = draw(2, 20, 1)
    whole = reference_scan(mixed, dt, rates, skip, state_size=STATE)
    state = torch.zeros(2, HEADS, HEAD_WIDTH, STATE, dtype=torch.float64)
    for t in range(20):
        y, state = scan_step(mixed[:, t], dt[:, t, 0], rates[0], skip, state)
        torch.testing.assert_close(y, whole[:, t])


def test_mixed_is_x_then_b_then_c():
    x, b, c = split_mixed(torch.arange(12.0)[None], heads=2, state_size=3)
    assert x.tolist() == [[[0, 1, 2], [3, 4, 5]]]
    assert (b.tolist(), c.tolist()) == ([[6, 7, 8]], [[9, 10, 11]])
