"""Every encoder: a trial's output is its own."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mode_ssm.config import (
    Direction,
    EncoderConfig,
    GRUEncoderConfig,
    PreprocessorConfig,
    SessionLayer,
    Smoothing,
    SSMEncoderConfig,
    TransformerEncoderConfig,
)
from mode_ssm.errors import InputError
from mode_ssm.models.kinds import build_encoder
from mode_ssm.models.preprocessor import Preprocessor

SSM = SSMEncoderConfig(
    width=16, layers=3, state_size=8, head_width=8, chunk_frames=5, dropout=0.1, stochastic_depth=0.2
)
GRU = GRUEncoderConfig(width=12, layers=2, dropout=0.1)
HYBRID = replace(SSM, attention_every=2, attention_window=4)
TRANSFORMER = TransformerEncoderConfig(width=16, layers=2, head_width=8, max_distance=4, dropout=0.1)
CONFIGS = [replace(c, direction=d) for c in (SSM, HYBRID, GRU, TRANSFORMER) for d in Direction]


def name(config: EncoderConfig) -> str:
    hybrid = "-hybrid" if getattr(config, "attention_every", 0) else ""
    return f"{config.kind}{hybrid}-{config.direction}"


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_a_trial_depends_neither_on_padding_nor_on_its_neighbours(config: EncoderConfig) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(config).double().eval()
    lengths = [17, 1, 12, 0]
    frames = torch.randn(len(lengths), 17, config.width, dtype=torch.float64)
    together = encoder(frames, torch.tensor(lengths))[0]
    for i, length in enumerate(lengths):
        alone = encoder(frames[i : i + 1, :length], torch.tensor([length]))[0]
        torch.testing.assert_close(together[i : i + 1, :length], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
@pytest.mark.parametrize("smoothing", Smoothing)
@pytest.mark.parametrize("session_layer", SessionLayer)
def test_nothing_leaks_through_the_preprocessor(
    config: EncoderConfig, smoothing: Smoothing, session_layer: SessionLayer
) -> None:
    torch.manual_seed(0)
    settings = PreprocessorConfig(num_channels=3, smoothing=smoothing, session_layer=session_layer, session_rank=2)
    preprocessor = Preprocessor(settings, num_sessions=2, width=config.width).double().eval()
    encoder = build_encoder(config).double().eval()
    lengths = torch.tensor([61, 14, 13, 40])
    sessions = torch.tensor([1, -1, 0, 0])
    features = torch.randn(4, 61, 3, dtype=torch.float64)

    def run(features: Tensor, rows: list[int]) -> tuple[Tensor, Tensor]:
        frames, frame_lengths = preprocessor(features, lengths[rows], sessions[rows])
        return encoder(frames, frame_lengths)

    for i, length in enumerate(lengths.tolist()):
        features[i, length:] = float("nan") if i % 2 else 1e6
    together, frame_lengths = run(features, [0, 1, 2, 3])
    assert frame_lengths.tolist() == [12, 1, 0, 7]
    for i, length in enumerate(lengths.tolist()):
        alone, _ = run(features[i : i + 1, :length], [i])
        assert alone.isfinite().all()
        torch.testing.assert_close(together[i : i + 1, : alone.shape[1]], alone, rtol=0, atol=1e-12)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(InputError, match=r"encoder\.kind=\? is not a kind of encoder; choose encoder=ssm, gru"):
        build_encoder(EncoderConfig())


BARE_GRU = replace(GRU, output_projection=False)
CAUSAL = [replace(c, direction=Direction.causal) for c in (SSM, HYBRID, GRU, BARE_GRU, TRANSFORMER)]


@pytest.mark.parametrize("config", CAUSAL, ids=["ssm", "hybrid", "gru", "bare gru", "transformer"])
def test_steps_equal_the_whole(config: EncoderConfig) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(config).double().eval()
    frames = torch.randn(3, 23, config.width, dtype=torch.float64)
    whole = encoder(frames, torch.tensor([23, 23, 23]))[0]
    state = encoder.initial_state(3)
    for s in range(23):
        out, state = encoder.step(frames[:, s], state)
        torch.testing.assert_close(out, whole[:, s], rtol=0, atol=1e-12)


def gradients(encoder: torch.nn.Module, frames: Tensor, lengths: Tensor) -> list[Tensor]:
    mask = torch.arange(frames.shape[1])[None] < lengths[:, None]
    loss = (encoder(frames, lengths)[0] ** 2)[mask].sum()
    return list(torch.autograd.grad(loss, [p for p in encoder.parameters() if p.requires_grad]))


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_gradients_of_a_batch_are_those_of_its_trials(config: EncoderConfig) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(config).double().eval()
    frames, lengths = torch.randn(2, 14, config.width, dtype=torch.float64), torch.tensor([14, 6])
    together = gradients(encoder, frames, lengths)
    apart = [gradients(encoder, frames[i : i + 1, :n], lengths[i : i + 1]) for i, n in enumerate([14, 6])]
    for whole, first, second in zip(together, *apart, strict=True):
        torch.testing.assert_close(whole, first + second, rtol=1e-10, atol=1e-12)


def test_checkpointed_layers_have_the_same_gradients() -> None:
    config = replace(SSM, dropout=0.3, stochastic_depth=0.0)
    plain, again = (
        build_encoder(config).double(),
        build_encoder(replace(config, activation_checkpointing=True)).double(),
    )
    again.load_state_dict(plain.state_dict())
    frames, lengths = torch.randn(2, 9, 16, dtype=torch.float64), torch.tensor([9, 5])
    found = []
    for encoder in (plain, again):
        torch.manual_seed(1)
        found.append(gradients(encoder, frames, lengths))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_bfloat16_autocast_trains_close_to_float32(config: EncoderConfig) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(config).eval()
    frames, lengths = torch.randn(2, 30, config.width), torch.tensor([30, 20])
    exact = gradients(encoder, frames, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = encoder(frames, lengths)[0]
    (out.float() ** 2)[torch.arange(30)[None] < lengths[:, None]].sum().backward()
    flat = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])
    exact_flat = torch.cat([g.flatten() for g in exact])
    assert torch.cosine_similarity(flat, exact_flat, dim=0) > 0.99


def test_stochastic_depth_grows_with_the_layers() -> None:
    encoder = build_encoder(replace(SSM, layers=4, stochastic_depth=0.3))
    assert [r.depth_chance for r in encoder.residuals] == pytest.approx([0.0, 0.1, 0.2, 0.3])  # type: ignore[union-attr]


def test_every_kth_layer_attends() -> None:
    encoder = build_encoder(replace(SSM, layers=5, attention_every=2))
    kinds = [type(layer).__name__ for layer in encoder.layers]  # type: ignore[union-attr]
    assert kinds == ["SSMLayer", "LocalAttention", "SSMLayer", "LocalAttention", "SSMLayer"]


def test_every_parameter_learns() -> None:
    for config in [*CONFIGS, replace(SSM, attention_every=2)]:
        encoder = build_encoder(config)
        encoder(torch.randn(2, 12, config.width), torch.tensor([12, 9]))[0].pow(3).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
