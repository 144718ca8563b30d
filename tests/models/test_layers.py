"""The stretches with a backward of their own, dropout and attention, each against the plain way to write it."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mode_ssm.config import Backend, Direction, GRUEncoderConfig, SSMEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models.attention import LocalAttention
from mode_ssm.models.convolution import depthwise_conv
from mode_ssm.models.folded_layer import FoldedLayer
from mode_ssm.models.gru import GRUEncoder, reverse
from mode_ssm.models.pointwise import Dropout, ResidualDropout, keep_factors
from mode_ssm.models.ssm_layer import WAYS, SSMLayer

CONFIG = SSMEncoderConfig(width=16, layers=2, state_size=8, head_width=8, attention_window=3)


def assert_same(lean: Tensor, plain: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(lean, plain)
    weights = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weights).sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad((lean * weights).sum(), inputs), expected)


WAY = pytest.mark.parametrize("way", [WAYS[Backend.torch], WAYS[Backend.plain]], ids=["fused", "plain"])
PLAIN = pytest.mark.parametrize("plain", [False, True], ids=["own", "plain"])


@WAY
@pytest.mark.parametrize("frames", [1, 2, 9])
@pytest.mark.parametrize("past", [0, 2, 3])
def test_convolution_and_silu_equal_their_loop(way, frames, past):
    torch.manual_seed(0)
    inputs = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in [(2, frames, 5), (5, 4), (5,)]]
    x, weight, bias = inputs
    padded = F.pad(x, (0, 0, past, 3 - past))
    plain = F.silu(sum(padded[:, k : k + frames] * weight[:, k] for k in range(4)) + bias)
    assert_same(way.conv_silu(*inputs, past=past), plain, inputs)
    torch.testing.assert_close(F.silu(depthwise_conv(x, weight, past=past, future=3 - past, bias=bias)), plain)


@WAY
def test_gated_projection_is_a_norm_before_the_product(way):
    torch.manual_seed(0)
    inputs = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in [(2, 3, 6), (2, 3, 6), (4, 6)]]
    y, gate, weight = inputs
    plain = F.linear(F.rms_norm(y * F.silu(gate), (6,), eps=1e-5), weight)
    assert_same(way.gated_projection(*inputs), plain, inputs)


@PLAIN
@pytest.mark.parametrize("chance", [0.0, 0.2, 0.5, 0.95])
def test_dropout_keeps_the_stated_share_and_the_mean(chance, plain):
    torch.manual_seed(0)
    factors = keep_factors(torch.empty(300, 333), chance, plain=plain)
    assert float((factors == 0).float().mean()) == pytest.approx(chance, abs=0.01)
    assert sorted(set(factors.flatten().tolist()) - {0.0}) == [pytest.approx(1 / (1 - chance))]
    shares = factors.gt(0).float().mean(0)  # no pattern along either axis
    assert float(shares.std()) < 1.2 * (chance * (1 - chance) / 300) ** 0.5 + 1e-6


@PLAIN
def test_dropout_sleeps_in_eval_and_follows_the_seed(plain):
    dropout, x = Dropout(0.5, plain=plain), torch.ones(7, 5)
    torch.manual_seed(3)
    first = dropout(x)
    torch.manual_seed(3)
    torch.testing.assert_close(dropout(x), first)
    assert sorted({*first.flatten().tolist()}) == [0.0, 2.0]
    torch.testing.assert_close(dropout.eval()(x), x)


@PLAIN
def test_stochastic_depth_leaves_out_whole_trials(plain):
    torch.manual_seed(0)
    residual = ResidualDropout(0.0, 0.25, plain=plain)
    frames, branch = torch.zeros(2000, 3, 4), torch.ones(2000, 3, 4)
    out = residual(frames, branch)
    assert torch.equal(out.amin((1, 2)), out.amax((1, 2)))
    assert float((out[:, 0, 0] == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(residual.eval()(frames, branch), branch)


def dense_attention(layer: LocalAttention, frames: Tensor, length: int) -> Tensor:
    """Attention of one trial by a full matrix."""
    q, k, v = layer.in_proj(layer.norm(frames[:length])).view(length, 3, layer.heads, -1).unbind(1)
    offset = torch.arange(length)[None] - torch.arange(length)[:, None] + layer.window
    allowed = (offset >= 0) & (offset < layer.offset_embedding.shape[1])
    bias = layer.offset_embedding[:, offset.clamp(0, layer.offset_embedding.shape[1] - 1)]
    logits = torch.einsum("ihd,jhd->hij", q, k) / q.shape[-1] ** 0.5 + bias
    weights = logits.masked_fill(~allowed, float("-inf")).softmax(-1)
    return layer.out_proj(torch.einsum("hij,jhd->ihd", weights, v).flatten(1))


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("size", [1, 3, 11])
def test_local_attention_equals_a_full_matrix(direction, size):
    torch.manual_seed(0)
    layer = LocalAttention(replace(CONFIG, direction=direction)).double()
    torch.nn.init.normal_(layer.offset_embedding)
    lengths = [size, max(size - 2, 1), 0]
    mask = torch.arange(size)[None] < torch.tensor(lengths)[:, None]
    frames = torch.randn(3, size, 16, dtype=torch.float64).masked_fill(~mask[..., None], 0.0)
    out = layer(frames, mask)
    for row, length in enumerate(lengths):
        if length:
            torch.testing.assert_close(out[row, :length], dense_attention(layer, frames[row], length))
        assert out[row, length:].abs().sum() == 0


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("direction", Direction)
def test_the_plain_way_agrees_with_the_fused(direction, autocast):
    torch.manual_seed(0)
    config = replace(CONFIG, direction=direction, chunk_frames=16)
    fused, plain = SSMLayer(config), SSMLayer(replace(config, backend=Backend.plain))
    plain.load_state_dict(fused.state_dict())
    mask = torch.arange(70)[None] < torch.tensor([70, 41])[:, None]
    frames = torch.randn(2, 70, 16).masked_fill(~mask[..., None], 0.0).requires_grad_()
    weights = torch.randn(2, 70, 16)
    found = []
    for layer in (fused, plain):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            out = layer(frames, mask)
        found.append([out, *torch.autograd.grad((out * weights).sum(), [frames, *layer.parameters()])])
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype is theirs.dtype
        assert (ours - theirs).detach().norm() < (6e-2 if autocast else 1e-5) * theirs.detach().norm()


@torch.no_grad()
def test_a_folded_step_is_that_of_the_layer():
    config = SSMEncoderConfig(
        direction=Direction.causal, width=16, expansion=2, head_width=8, state_size=4, conv_frames=3
    )
    layer = SSMLayer(config)
    for name in ("norm.weight", "out_norm", "skip", "conv_bias"):
        torch.nn.init.normal_(layer.get_parameter(name))
    folded = FoldedLayer(layer)
    plain = state = layer.initial_state(3)
    for frame in torch.randn(12, 3, 16):
        expected, plain = layer.step(frame, plain)
        found, state = folded.step(frame, state)
        torch.testing.assert_close((found, *state), (expected, *plain), rtol=1e-5, atol=1e-6)


def test_heads_that_do_not_fit_are_errors():
    with pytest.raises(InputError, match=r"head_width=24 does not divide the inner width 32 .* choose a divisor"):
        SSMLayer(replace(CONFIG, head_width=24))
    with pytest.raises(InputError, match=r"encoder\.dt_min=0\.9 is above encoder\.dt_max=0\.5"):
        SSMLayer(replace(CONFIG, dt_min=0.9))
    with pytest.raises(InputError, match=r"head_width=32 does not divide encoder\.width=16, .*attention_every=0"):
        LocalAttention(replace(CONFIG, head_width=32))


def test_layers_start_with_a_short_memory():
    layer = SSMLayer(replace(CONFIG, head_width=1, dt_min=0.05, dt_max=0.2))
    dt, rates = F.softplus(layer.dt_bias), torch.exp(layer.log_rate)
    assert (dt.min() > 0.0499, dt.max() < 0.2001, rates.min() >= 1, rates.max() <= 16) == (True,) * 4
    memory = 1 / (dt * rates)
    assert memory.max() < 20 + 1e-3


def test_padding_stays_zero_through_a_layer():
    frames = torch.randn(2, 9, 16)
    mask = torch.arange(9)[None] < torch.tensor([9, 4])[:, None]
    out = SSMLayer(CONFIG)(frames.masked_fill(~mask[..., None], 0.0), mask)
    assert out[1, 4:].abs().sum() == 0


def test_the_kernel_back_end_is_asked_for_by_name_or_not_used():
    try:
        import mamba_ssm  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match=r"pip install mamba-ssm .* or set encoder\.backend=torch"):
            SSMLayer(replace(CONFIG, backend=Backend.mamba_ssm))
    else:
        layer = SSMLayer(replace(CONFIG, backend=Backend.mamba_ssm))
        with pytest.raises(InputError, match="runs on a CUDA GPU but the frames are on cpu"):
            layer(torch.zeros(1, 4, 16), torch.ones(1, 4, dtype=torch.bool))


@pytest.mark.parametrize("direction", Direction)
def test_the_kernel_back_end_agrees(direction):
    pytest.importorskip("mamba_ssm", reason="the mamba-ssm package is not installed")
    if not torch.cuda.is_available():
        pytest.skip("the kernels of mamba-ssm need a CUDA GPU")
    torch.manual_seed(0)
    config = replace(CONFIG, width=64, head_width=32, state_size=32, direction=direction)
    plain, kernels = SSMLayer(config).cuda(), SSMLayer(replace(config, backend=Backend.mamba_ssm)).cuda()
    kernels.load_state_dict(plain.state_dict())
    mask = torch.arange(150, device="cuda")[None] < torch.tensor([150, 90], device="cuda")[:, None]
    frames = torch.randn(2, 150, 64, device="cuda").masked_fill(~mask[..., None], 0.0)
    torch.testing.assert_close(kernels(frames, mask), plain(frames, mask), rtol=1e-2, atol=1e-2)


def test_reversal_is_by_length_and_its_own_gradient():
    frames = torch.arange(8.0).view(2, 4, 1).requires_grad_()
    out = reverse(frames, torch.tensor([4, 2]))
    assert out[..., 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]
    out.backward(torch.arange(8.0).view(2, 4, 1))
    assert frames.grad[..., 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]


def test_the_bidirectional_gru_equals_torch_on_packed_trials():
    torch.manual_seed(0)
    encoder = GRUEncoder(GRUEncoderConfig(width=6, layers=2)).double().eval()
    plain = torch.nn.GRU(6, 6, 2, batch_first=True, bidirectional=True).double()
    for suffix, direction in (("", encoder.ahead), ("_reverse", encoder.back)):
        for index, gru in enumerate(direction):
            for name, weight in gru.named_parameters():
                getattr(plain, name.replace("l0", f"l{index}{suffix}")).data = weight.data
    frames, lengths = torch.randn(3, 9, 6, dtype=torch.float64), torch.tensor([9, 4, 1])
    packed = pack_padded_sequence(frames, lengths, batch_first=True, enforce_sorted=False)
    hidden, _ = pad_packed_sequence(plain(packed)[0], batch_first=True)
    expected = encoder.norm(encoder.projection(hidden))
    for found, exact, length in zip(encoder(frames, lengths)[0], expected, lengths, strict=True):
        torch.testing.assert_close(found[:length], exact[:length])
