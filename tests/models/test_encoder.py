"""Both encoders: a trial's output is its own."""

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
)
from mode_ssm.errors import InputError
from mode_ssm.models.encoder import build_encoder
from mode_ssm.models.preprocessor import Preprocessor

SSM = SSMEncoderConfig(
    width=16, layers=3, state_size=8, head_width=8, chunk_frames=5, dropout=0.1, stochastic_depth=0.2
)
GRU = GRUEncoderConfig(width=12, layers=2, dropout=0.1)
CONFIGS = [replace(c, direction=d) for c in (SSM, GRU) for d in Direction]


def name(config: EncoderConfig) -> str:
    return f"{config.kind}-{config.direction}"


@pytest.mark.parametrize("config", CONFIGS, ids=name)
def test_a_trial_depends_neither_on_padding_nor_on_its_neighbours(config: EncoderConfig) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(config).double().eval()
    lengths = [17, 1, 12, 0]
    frames = torch.randn(len(lengths), 17, config.width, dtype=torch.float64)
    together = encoder(frames, torch.tensor(lengths))
    for i, length in enumerate(lengths):
        alone = encoder(frames[i : i + 1, :length], torch.tensor([length]))
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
        return encoder(frames, frame_lengths), frame_lengths

    for i, length in enumerate(lengths.tolist()):
        features[i, length:] = float("nan") if i % 2 else 1e6
    together, frame_lengths = run(features, [0, 1, 2, 3])
    assert frame_lengths.tolist() == [12, 1, 0, 7]
    for i, length in enumerate(lengths.tolist()):
        alone, _ = run(features[i : i + 1, :length], [i])
        assert alone.isfinite().all()
        torch.testing.assert_close(together[i : i + 1, : alone.shape[1]], alone, rtol=0, atol=1e-12)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(InputError, match=r"encoder\.kind=\? is not an encoder"):
        build_encoder(EncoderConfig())
