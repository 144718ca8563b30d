"""Weights of 8 bits: as near as they can be, and streams of them near the network's frames."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mode_ssm.errors import InputError
from mode_ssm.models.int8 import Int8Linear, pack
from mode_ssm.recognition.stream import EncoderStream
from tests.test_streaming import CAUSAL, encode, make_model


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 5), inputs=st.integers(1, 140), outputs=st.integers(1, 140), bias=st.booleans())
def test_a_product_is_that_of_the_nearest_whole_numbers(rows, inputs, outputs, bias):
    generator = torch.Generator().manual_seed(1000 * inputs + outputs)
    linear = nn.Linear(inputs, outputs, bias=bias)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(outputs, inputs, generator=generator))
    frames = torch.randn(rows, inputs, generator=generator).bfloat16()
    weight = linear.weight.detach().double()
    scale = (weight.abs().amax(1, keepdim=True) / 127).bfloat16().double()
    assert ((weight / scale).round().abs() <= 127).all()
    expected = frames.double() @ ((weight / scale).round() * scale).t()
    if bias:
        expected = expected + linear.bias.detach().double()
    size = (frames.double().abs() @ weight.abs().t()).clamp(min=1e-6)
    out = Int8Linear(linear)(frames.float()).detach().double()
    assert out.shape == (rows, outputs)
    assert ((out - expected).abs() / size).max() < 2**-7  # a bfloat16 has 8 bits


def test_a_row_of_zeros_stays_zero():
    linear = nn.Linear(64, 32, bias=False)
    nn.init.zeros_(linear.weight)
    assert torch.equal(Int8Linear(linear)(torch.randn(2, 64)), torch.zeros(2, 32))


@pytest.mark.parametrize(
    "words",
    [
        ["encoder.width=256", "encoder.layers=2"],
        ["encoder.width=256", "encoder.layers=2", "encoder.attention_every=2", "encoder.attention_window=3"],
        ["encoder=transformer", "encoder.width=256", "encoder.max_distance=3"],
    ],
)
def test_a_stream_of_packed_weights_is_near_the_network(words):
    model, features = make_model(*CAUSAL, *words), torch.randn(60, 8)
    whole = encode(model, features, 1)
    stream = EncoderStream(model, 1, int8=True)
    streamed = torch.cat([stream.extend(piece) for piece in features.split(7)])
    difference = (streamed - whole).norm() / whole.norm()
    assert 0 < difference < 0.03
    assert any(isinstance(module, Int8Linear) for module in stream._encoder.modules())
    assert not any(isinstance(module, Int8Linear) for module in model.modules())


def test_recurrent_weights_are_refused():
    model = make_model(*CAUSAL, "encoder=gru")
    with pytest.raises(InputError, match="int8=true packs linear layers, and ahead.0 of this encoder is a GRU"):
        EncoderStream(model, int8=True)


def test_another_device_is_refused():
    with pytest.raises(InputError, match="int8=true is for a CPU, and this network is on meta; set device=cpu"):
        pack(nn.Sequential(nn.Linear(256, 256, device="meta")))
