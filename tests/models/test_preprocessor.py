"""The preprocessor against plain restatements: SciPy for the smoothing, loops for patches, algebra for sessions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d

from mode_ssm.config import PreprocessorConfig, SessionLayer, Smoothing
from mode_ssm.models.convolution import cut_patches, project_patches
from mode_ssm.models.masking import random_runs
from mode_ssm.models.preprocessor import Preprocessor, count_patches
from mode_ssm.models.session_layer import SessionTransform
from mode_ssm.models.smoothing import GaussianSmoothing


@given(frames=st.integers(0, 200), patch=st.integers(1, 20), stride=st.integers(1, 20))
def test_encoder_frames_counts_the_whole_patches(frames, patch, stride):
    config = PreprocessorConfig(patch_frames=patch, stride_frames=stride)
    counted = sum(1 for start in range(0, frames, stride) if start + patch <= frames)
    assert count_patches(config, frames) == counted
    assert count_patches(config, torch.tensor([frames])).tolist() == [counted]


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 40), patch=st.integers(1, 12), stride=st.integers(1, 12), trials=st.integers(1, 3))
def test_patches_equal_a_linear_layer_over_unfolded_frames(frames, patch, stride, trials):
    frames = max(frames, patch)
    torch.manual_seed(frames)
    x, weight = torch.randn(trials, frames, 3, dtype=torch.float64), torch.randn(5, patch * 3, dtype=torch.float64)
    inputs = [tensor.requires_grad_() for tensor in (x, weight, torch.randn(5, dtype=torch.float64))]
    plain = F.linear(x.unfold(1, patch, stride).transpose(2, 3).flatten(2), *inputs[1:])
    lean = project_patches(*inputs, patch=patch, stride=stride)
    torch.testing.assert_close(lean, plain)
    weights = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weights).sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad((lean * weights).sum(), inputs), expected)


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 40), patch=st.integers(1, 12), stride=st.integers(1, 12), trials=st.integers(1, 3))
def test_patches_equal_unfolded_frames(frames, patch, stride, trials):
    torch.manual_seed(frames)
    x = torch.randn(trials, max(frames, patch), 3, dtype=torch.float64, requires_grad=True)
    plain, cut = x.unfold(1, patch, stride).transpose(2, 3).flatten(2), cut_patches(x, patch=patch, stride=stride)
    assert torch.equal(cut, plain)
    weights = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weights).sum(), x)
    torch.testing.assert_close(torch.autograd.grad((cut * weights).sum(), x), expected)


@pytest.mark.parametrize("kind", Smoothing)
@pytest.mark.parametrize("sd", [0.4, 2.0, 3.7])
def test_smoothing_is_a_gaussian_average_of_what_is_there(kind, sd):
    smoothing = GaussianSmoothing(kind, sd)
    features = np.random.default_rng(0).normal(size=(30, 2))
    offsets = np.arange(-smoothing.past, smoothing.past + 1)
    weights = np.exp(-0.5 * (offsets / sd) ** 2) * (offsets <= smoothing.future)
    sums, present = (correlate1d(v, weights, axis=0, mode="constant") for v in (features, np.ones_like(features)))
    mask = torch.ones(1, 30, dtype=torch.bool)
    found = smoothing(torch.tensor(features, dtype=torch.float32)[None], mask)[0]
    torch.testing.assert_close(found, torch.tensor(sums / present, dtype=torch.float32))
    for count in (1, 4, 30):  # the last ones of a few or of many frames
        start = max(0, 30 - count - smoothing.past)
        last = smoothing.last(torch.tensor(features[start:], dtype=torch.float32), count)
        torch.testing.assert_close(last, found[-count:])


def test_the_default_smoothing_has_nine_taps_and_its_causal_half_the_stated_delay():
    assert len(GaussianSmoothing(Smoothing.centered, 2.0).weights) == 9
    assert GaussianSmoothing(Smoothing.centered, 2.0).delay_ms == pytest.approx(0)
    causal = GaussianSmoothing(Smoothing.causal, 2.0)
    assert causal.delay_ms == pytest.approx(24.5, abs=0.1)
    ramp = torch.arange(40.0)[None, :, None]
    late = (ramp - causal(ramp, torch.ones(1, 40, dtype=torch.bool)))[0, -1, 0]
    assert float(late) * 20 == pytest.approx(causal.delay_ms, rel=1e-4)


@pytest.mark.parametrize("kind", Smoothing)
def test_a_level_stays_level_up_to_both_ends(kind):
    smoothing = GaussianSmoothing(kind, 2.0)
    mask = torch.arange(25)[None] < 19
    smooth = smoothing(mask[..., None].float(), mask)
    torch.testing.assert_close(smooth[0, :19, 0], torch.ones(19))


def test_no_smoothing_and_no_session_layer_leave_only_the_projection():
    config = PreprocessorConfig(
        num_channels=3, smoothing_sd_frames=0.0, session_layer=SessionLayer.none, softsign=False, patch_frames=2
    )
    preprocessor = Preprocessor(config, num_sessions=1, width=4).eval()
    features = torch.randn(1, 6, 3)
    frames, lengths = preprocessor(features, torch.tensor([6]), torch.tensor([0]))
    patches = torch.stack([features[0, 0:2].flatten(), features[0, 4:6].flatten()])
    torch.testing.assert_close(frames[0], preprocessor.norm(preprocessor.patches(patches)))
    assert lengths.tolist() == [2]


@pytest.mark.parametrize("kind", [kind for kind in SessionLayer if kind is not SessionLayer.none])
class TestSessions:
    def layer(self, kind: SessionLayer, sessions: int = 3) -> SessionTransform:
        torch.manual_seed(0)
        return SessionTransform(kind, num_sessions=sessions, channels=4, rank=2).double()

    def trained(self, kind: SessionLayer, sessions: int = 3) -> SessionTransform:
        layer = self.layer(kind, sessions)
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        return layer

    def test_it_starts_as_the_identity(self, kind):
        x = torch.randn(4, 6, 4, dtype=torch.float64)
        torch.testing.assert_close(self.layer(kind)(x, torch.tensor([0, 1, 2, -1])), x, rtol=0, atol=0)

    def test_each_trial_gets_its_own_session(self, kind):
        layer, x = self.trained(kind), torch.randn(3, 6, 4, dtype=torch.float64)
        together = layer(x, torch.tensor([2, 0, 2]))
        torch.testing.assert_close(together[:1], layer(x[:1], torch.tensor([2])))
        torch.testing.assert_close(together[1:2], layer(x[1:2], torch.tensor([0])))
        assert not torch.allclose(layer(x[:1], torch.tensor([0])), layer(x[:1], torch.tensor([1])))

    def test_an_unseen_session_gets_the_mean_of_the_others_without_gradient(self, kind):
        layer, x = self.trained(kind), torch.randn(2, 6, 4, dtype=torch.float64)
        out = layer(x, torch.tensor([-1, 1]))
        mean = sum(layer(x[:1], torch.tensor([s]), new_sessions=False) for s in range(3)) / 3
        torch.testing.assert_close(out[:1], mean)
        out.sum().backward()
        assert all(p.grad[0].abs().sum() == p.grad[2].abs().sum() == 0 for p in layer.parameters())
        assert all(p.grad[1].abs().sum() > 0 for p in layer.parameters())

    def test_every_parameter_learns(self, kind):
        layer, x = self.layer(kind), torch.randn(3, 6, 4, dtype=torch.float64)
        (layer(x, torch.tensor([0, 1, 2])) ** 2).sum().backward()
        learnt = [name for name, p in layer.named_parameters() if p.grad.abs().sum() > 0]
        assert set(learnt) | {"down"} == {name for name, _ in layer.named_parameters()} | {"down"}


BARE = PreprocessorConfig(
    num_channels=3,
    smoothing_sd_frames=0.0,
    session_layer=SessionLayer.none,
    softsign=False,
    patch_frames=2,
    dropout=0.0,
)


def test_without_a_projection_the_encoder_reads_the_patches():
    preprocessor = Preprocessor(replace(BARE, projection=False, dropout=0.5), num_sessions=1, width=4)
    assert preprocessor.width == 6
    assert not list(preprocessor.parameters())
    features = torch.randn(1, 60, 3)
    frames, lengths = preprocessor.eval()(features, torch.tensor([60]), torch.tensor([0]))
    torch.testing.assert_close(frames[0], torch.stack([features[0, s : s + 2].flatten() for s in range(0, 59, 4)]))
    assert lengths.tolist() == [15]
    overlapping = Preprocessor(
        replace(BARE, projection=False, dropout=0.5, stride_frames=1), num_sessions=1, width=4
    ).train()
    dropped, _ = overlapping(features, torch.tensor([60]), torch.tensor([0]))
    assert (dropped == 0).any()
    torch.testing.assert_close(dropped[0, :-1, 3:], dropped[0, 1:, :3])  # a feature is gone from every patch


def test_a_patch_norm_stands_before_the_projection():
    torch.manual_seed(0)
    preprocessor = Preprocessor(replace(BARE, patch_norm=True), num_sessions=1, width=4)
    features = torch.randn(1, 6, 3)
    frames, _ = preprocessor(features, torch.tensor([6]), torch.tensor([0]))
    patch = F.layer_norm(features[0, 4:6].flatten(), (6,))
    torch.testing.assert_close(frames[0, 1], preprocessor.norm(preprocessor.patches(patch)))


@pytest.mark.parametrize("patch_norm", [False, True])
@pytest.mark.parametrize("projection", [False, True])
def test_hidden_patches_are_patches_of_zeros(patch_norm, projection):
    torch.manual_seed(0)
    config = replace(
        BARE, patch_norm=patch_norm, projection=projection, stride_frames=2, patch_masks=3, patch_mask_max_fraction=0.3
    )
    preprocessor = Preprocessor(config, num_sessions=1, width=6).train()
    features, lengths = torch.randn(2, 60, 3), torch.tensor([60, 32])
    index = torch.tensor([0, 0])
    masked, sizes = preprocessor(features, lengths, index)
    plain, _ = preprocessor.eval()(features, lengths, index)
    zero, _ = preprocessor(torch.zeros(1, 2, 3), torch.tensor([2]), index[:1])
    assert sizes.tolist() == [30, 16]
    for row, size in enumerate(sizes.tolist()):
        changed = (masked[row, :size] != plain[row, :size]).any(dim=1)
        assert 0 < int(changed.sum()) <= 3 * math.floor(0.3 * size + 1e-4)
        torch.testing.assert_close(masked[row, :size][changed], zero[0].expand(int(changed.sum()), -1))


def test_random_runs_cover_what_they_should():
    torch.manual_seed(0)
    hidden = random_runs(torch.full((4000,), 100), 130, count=20, max_fraction=0.05)
    assert not hidden[:, 100:].any()
    expected = 1 - np.prod([1 - np.mean([width / (100 - width + 1) for width in range(6)])] * 20)
    assert hidden[:, 30:70].float().mean().item() == pytest.approx(expected, abs=0.01)  # far from the ends


@pytest.mark.parametrize("kind", [kind for kind in SessionLayer if kind is not SessionLayer.none])
def test_bfloat16_rounds_no_identity(kind):
    transform = SessionTransform(kind, num_sessions=2, channels=16, rank=3)
    features = torch.randn(3, 20, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert torch.equal(transform(features, torch.tensor([0, 1, -1])), features)
