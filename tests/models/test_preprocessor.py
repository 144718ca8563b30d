"""The preprocessor against plain restatements: SciPy for the smoothing, loops for patches, algebra for sessions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate1d

from mode_ssm.config import PreprocessorConfig, SessionLayer, Smoothing
from mode_ssm.models.patches import project_patches
from mode_ssm.models.preprocessor import Preprocessor, encoder_frames
from mode_ssm.models.session_layer import SessionTransform
from mode_ssm.models.smoothing import GaussianSmoothing


@given(frames=st.integers(0, 200), patch=st.integers(1, 20), stride=st.integers(1, 20))
def test_encoder_frames_counts_the_whole_patches(frames, patch, stride):
    config = PreprocessorConfig(patch_frames=patch, stride_frames=stride)
    counted = sum(1 for start in range(0, frames, stride) if start + patch <= frames)
    assert encoder_frames(config, frames) == counted
    assert encoder_frames(config, torch.tensor([frames])).tolist() == [counted]


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


def test_patches_of_many_trials_are_made_in_parts(monkeypatch):
    inputs = torch.randn(5, 20, 3), torch.randn(4, 12), torch.randn(4)
    whole = project_patches(*inputs, patch=4, stride=2)
    monkeypatch.setattr("mode_ssm.models.parts._CPU_ELEMENTS", 250)
    torch.testing.assert_close(project_patches(*inputs, patch=4, stride=2), whole)


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
        mean = sum(layer(x[:1], torch.tensor([s])) for s in range(3)) / 3
        torch.testing.assert_close(out[:1], mean)
        out.sum().backward()
        assert all(p.grad[0].abs().sum() == 0 for p in layer.parameters())
        assert all(p.grad[1].abs().sum() > 0 for p in layer.parameters())

    def test_every_parameter_learns(self, kind):
        layer, x = self.layer(kind), torch.randn(3, 6, 4, dtype=torch.float64)
        (layer(x, torch.tensor([0, 1, 2])) ** 2).sum().backward()
        learnt = [name for name, p in layer.named_parameters() if p.grad.abs().sum() > 0]
        assert set(learnt) | {"down"} == {name for name, _ in layer.named_parameters()} | {"down"}
