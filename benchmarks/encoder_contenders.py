"""What benchmarks/encoder.py compares: layers and stacks from frames (B, S, D) to frames, and the plain SSM layer."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mode_ssm.config import Direction, GRUEncoderConfig, SSMEncoderConfig
from mode_ssm.models.convolution import depthwise_conv
from mode_ssm.models.kinds import build_encoder
from mode_ssm.models.ssm import split_mixed
from mode_ssm.models.ssm_encoder import SSMEncoder
from mode_ssm.models.ssm_layer import SSMLayer

BI, CAUSAL = Direction.bidirectional, Direction.causal


class Shape(NamedTuple):
    trials: int
    frames: int
    width: int


class Whole(nn.Module):
    """A module of frames and lengths, or of frames alone, called with full lengths."""

    def __init__(self, inner: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.call = inner, call

    def forward(self, frames: Tensor) -> Tensor:
        return self.call(self.inner, frames)


def ssm(direction: Direction, layers: int, dropout: float = 0.0) -> Callable[[int], nn.Module]:
    return lambda width: _encoder(
        SSMEncoderConfig(width=width, layers=layers, direction=direction, dropout=dropout, stochastic_depth=0.0)
    )


def plain_ssm(direction: Direction, layers: int) -> Callable[[int], nn.Module]:
    """The same encoder whose layers leave every step to autograd, which keeps all that it needs."""

    def make(width: int) -> nn.Module:
        whole = ssm(direction, layers)(width)
        encoder = whole.inner
        assert isinstance(encoder, SSMEncoder)
        for layer in encoder.layers:
            layer.__class__ = PlainLayer
        return whole

    return make


def gru_encoder(direction: Direction, layers: int) -> Callable[[int], nn.Module]:
    return lambda width: _encoder(GRUEncoderConfig(width=width, layers=layers, direction=direction, dropout=0.0))


def gru(
    directions: int, layers: int = 1, hidden: int | None = None, dropout: float = 0.0
) -> Callable[[int], nn.Module]:
    return lambda width: Whole(
        nn.GRU(width, hidden or width, layers, batch_first=True, bidirectional=directions == 2, dropout=dropout),
        lambda inner, frames: inner(frames)[0],
    )


def attention(width: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        width, 8, 4 * width, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"
    )
    return Whole(layer, lambda inner, frames: inner(frames))


def mamba2_mixer(width: int) -> nn.Module:
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    ours = SSMEncoderConfig()
    config = Mamba2Config(
        hidden_size=width,
        num_heads=ours.expansion * width // ours.head_width,
        head_dim=ours.head_width,
        state_size=ours.state_size,
        chunk_size=ours.chunk_frames,
        n_groups=1,
    )
    return Whole(Mamba2Mixer(config, layer_idx=0), lambda inner, frames: inner(frames))


def has_transformers() -> bool:
    return find_spec("transformers") is not None


def _encoder(config: SSMEncoderConfig | GRUEncoderConfig) -> Whole:
    def call(inner: nn.Module, frames: Tensor) -> Tensor:
        out: Tensor = inner(frames, torch.full((len(frames),), frames.shape[1], device=frames.device))[0]
        return out

    return Whole(build_encoder(replace(config)), call)


LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "SSM, bidirectional": ssm(BI, 1),
    "SSM, bidirectional, keeping all": plain_ssm(BI, 1),
    "SSM, causal": ssm(CAUSAL, 1),
    "SSM, causal, keeping all": plain_ssm(CAUSAL, 1),
    "torch GRU, bidirectional": gru(2),
    "torch GRU, causal": gru(1),
    "torch TransformerEncoderLayer": attention,
    **({"transformers Mamba2Mixer": mamba2_mixer} if has_transformers() else {}),
}
STACKS: dict[str, Callable[[int], nn.Module]] = {
    "default SSM encoder, bidirectional": ssm(BI, SSMEncoderConfig().layers),
    "default SSM encoder, causal": ssm(CAUSAL, SSMEncoderConfig().layers),
    "default GRU encoder, bidirectional": gru_encoder(BI, GRUEncoderConfig().layers),
}
SMALL: dict[str, Callable[[int], nn.Module]] = {
    "5 SSM layers, bidirectional": ssm(BI, 5),
    "3 torch GRU layers, bidirectional, of equal parameters": gru(2, 3, 160),
    "5 SSM layers, dropout 0.2": ssm(BI, 5, 0.2),
    "3 torch GRU layers, dropout 0.2": gru(2, 3, 160, 0.2),
}
CONTENDERS = LAYERS | STACKS | SMALL


class PlainLayer(SSMLayer):
    """The layer in plain operations; autograd keeps what their gradients need."""

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        frames = self.norm(frames)
        gate, dt = self._gate_and_steps(frames)
        dt = dt.masked_fill(~mask[..., None, None], 0.0)
        future = self.config.conv_frames - 1 - self.past_frames
        mixed = depthwise_conv(
            self.mix_proj(frames), self.conv_weight, past=self.past_frames, future=future, bias=self.conv_bias
        )
        sizes = self.config.state_size, self.config.chunk_frames
        y = plain_scan(F.silu(mixed), dt, self._rates(), self.skip, *sizes).flatten(2)
        return F.linear(F.rms_norm(y * F.silu(gate), (self.inner,), eps=1e-5), self.out_proj.weight * self.out_norm)


def plain_scan(mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, state_size: int, chunk_frames: int) -> Tensor:
    """The chunked scan, both directions in one decay matrix, by einsum."""
    frames = mixed.shape[1]
    count = -(-frames // chunk_frames)
    length = -(-frames // count)
    pad = count * length - frames
    mixed = F.pad(mixed, (0, 0, 0, pad)).view(len(mixed), count, length, -1)
    x, b, c = split_mixed(mixed, dt.shape[-1], state_size)
    dt = F.pad(dt, (0, 0, 0, 0, 0, pad)).view(len(mixed), count, length, *dt.shape[2:]).movedim(2, -1)
    log = dt * rates[..., None]
    sums = log.cumsum(-1)
    row = torch.stack([sums[:, :, 0], *(log - sums)[:, :, 1:].unbind(2)], 2)  # (B, K, R, H, L)
    lower = torch.ones(length, length, dtype=torch.bool, device=mixed.device).tril()
    exponent = row[..., :, None] - row[..., None, :]
    if dt.shape[2] == 2:
        exponent, step = (
            torch.where(lower, tensor[:, :, 0], tensor[:, :, 1]) for tensor in (exponent, dt[..., None, :])
        )
    else:
        exponent, step = exponent[:, :, 0].masked_fill(~lower, -torch.inf), dt[:, :, 0, :, None, :]
    matrices = torch.einsum("bktn,bkjn->bktj", c, b)[:, :, None] * torch.exp(exponent) * step
    y = torch.einsum("bkhtj,bkjhp->bkthp", matrices, x) + skip[:, None] * x
    for direction in range(dt.shape[2] if count > 1 else 0):
        own, total = row[:, :, direction], sums[:, :, direction, :, -1:]
        into, out_of = (total - own, own) if direction == 0 else (-own, total + own)
        flow = x * (torch.exp(into) * dt[:, :, direction]).movedim(-1, 2)[..., None]
        states = torch.einsum("bkjhp,bkjn->bkhpn", flow, b)
        entering = _carried(states, torch.exp(total), direction == 1)
        y = y + torch.einsum("bkhpn,bktn->bkthp", entering, c) * torch.exp(out_of).movedim(-1, 2)[..., None]
    return y.flatten(1, 2)[:, :frames]


def _carried(states: Tensor, decay: Tensor, backward: bool) -> Tensor:
    state, entering = torch.zeros_like(states[:, 0]), []
    for k in range(states.shape[1])[:: -1 if backward else 1]:
        entering.append(state)
        state = state * decay[:, k, :, :, None] + states[:, k]
    return torch.stack(entering[:: -1 if backward else 1], 1)
