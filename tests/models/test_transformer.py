"""The transformer layer against a plain loop over heads and frames."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mode_ssm.config import Direction, TransformerEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models.transformer import TransformerEncoder, TransformerLayer

MAX_DISTANCE = 3


def make_layer(direction: Direction) -> TransformerLayer:
    torch.manual_seed(0)
    config = TransformerEncoderConfig(
        width=6, head_width=2, max_distance=MAX_DISTANCE, direction=direction, dropout=0.0
    )
    layer = TransformerLayer(config).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def in_a_loop(layer: TransformerLayer, frames: Tensor, direction: Direction) -> Tensor:
    """One trial (S, D), a head and a frame at a time."""
    size, first = len(frames), 0 if direction is Direction.causal else -MAX_DISTANCE
    normal = F.layer_norm(frames, (6,), layer.attention_norm.weight, layer.attention_norm.bias)
    queries, keys, values = (normal @ layer.in_proj.weight[6 * n : 6 * n + 6].T for n in range(3))
    seen = torch.zeros_like(frames)
    for head in (slice(0, 2), slice(2, 4), slice(4, 6)):
        for i in range(size):
            visible = range(i + 1 if direction is Direction.causal else size)
            biases = [layer.distance_embedding[min(max(i - j, first), MAX_DISTANCE) - first] for j in visible]
            logits = [queries[i, head] @ keys[j, head] / math.sqrt(2) + b for j, b in zip(visible, biases, strict=True)]
            for j, weight in zip(visible, torch.stack(logits).softmax(0), strict=True):
                seen[i, head] = seen[i, head] + weight * values[j, head]
    attended = frames + layer.out_proj(seen)
    normal = F.layer_norm(attended, (6,), layer.feed_norm.weight, layer.feed_norm.bias)
    return attended + layer.feed_out(F.gelu(layer.feed_in(normal)))


@pytest.mark.parametrize("direction", Direction)
def test_a_layer_is_its_definition(direction: Direction) -> None:
    layer = make_layer(direction)
    frames = torch.randn(1, 8, 6, dtype=torch.float64)
    found, expected = layer(frames, None)[0], in_a_loop(layer, frames[0], direction)
    torch.testing.assert_close(found, expected)
    parameters, weights = list(layer.parameters()), torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), parameters),
        torch.autograd.grad((expected * weights).sum(), parameters),
    )


def test_a_causal_encoder_does_not_see_ahead() -> None:
    config = TransformerEncoderConfig(width=6, head_width=2, layers=2, direction=Direction.causal)
    encoder = TransformerEncoder(config).double().eval()
    frames = torch.randn(1, 9, 6, dtype=torch.float64, requires_grad=True)
    encoder(frames, torch.tensor([9]))[0][0, 4].sum().backward()
    assert frames.grad is not None
    assert (frames.grad[0, 5:] == 0).all()
    assert (frames.grad[0, :5] != 0).any(dim=1).all()


def test_attention_is_dropped_in_training_alone() -> None:
    config = TransformerEncoderConfig(width=6, head_width=2, layers=1, dropout=0.5)
    encoder, frames = TransformerEncoder(config), torch.randn(1, 9, 6)
    lengths = torch.tensor([9])
    assert not torch.equal(encoder.train()(frames, lengths)[0], encoder(frames, lengths)[0])
    assert torch.equal(encoder.eval()(frames, lengths)[0], encoder(frames, lengths)[0])


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(InputError, match=r"encoder\.head_width=64 does not divide encoder\.width=96"):
        TransformerEncoder(TransformerEncoderConfig(width=96))
