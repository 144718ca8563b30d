"""The plain way through a state-space layer: autograd throughout, for torch.compile and as the measure of the others.

Each function takes and gives what its namesake does, `ssm.scan` and those of `recompute`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mode_ssm.models.convolution import depthwise_conv
from mode_ssm.models.recompute import EPS
from mode_ssm.models.ssm import Mixed, split_mixed


def conv_silu(frames: Tensor, weight: Tensor, bias: Tensor, *, past: int) -> Tensor:
    weight, bias = weight.to(frames.dtype), bias.to(frames.dtype)
    return F.silu(depthwise_conv(frames, weight, past=past, future=weight.shape[1] - 1 - past, bias=bias))


def gated_projection(y: Tensor, gate: Tensor, weight: Tensor) -> Tensor:
    normed = F.rms_norm(y * F.silu(gate.to(y.dtype)), y.shape[-1:], eps=EPS)
    return F.linear(normed, weight.to(normed.dtype))


def scan(mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, *, state_size: int, chunk_frames: int) -> Tensor:
    with torch.autocast(mixed.device.type, enabled=False):
        parts = split_mixed(mixed, dt.shape[-1], state_size)
        y = skip.to(mixed.dtype)[:, None] * parts.x + _one_way(parts, dt[:, :, 0], rates[0], chunk_frames, last=0)
        if dt.shape[2] == 2:
            flipped = Mixed(*(part.flip(1) for part in parts))
            y = y + _one_way(flipped, dt[:, :, 1].flip(1), rates[1], chunk_frames, last=-1).flip(1)
        return y


def _one_way(parts: Mixed, dt: Tensor, rates: Tensor, chunk_frames: int, *, last: int) -> Tensor:
    """The scan of one direction, (B, S, H, P), without the skip; frame i sees those up to i + last."""
    frames = dt.shape[1]
    count = -(-frames // chunk_frames)
    length = -(-frames // count)
    x, b, c, dt = (_chunks(tensor, count, length) for tensor in (*parts, dt))
    dt = dt.transpose(2, 3)  # (B, K, H, L), K chunks of L frames
    exponent = (dt * rates[:, None]).cumsum(-1)
    outside = torch.ones(length, length, dtype=torch.bool, device=dt.device).triu(1 + last)
    decays = (exponent[..., :, None] - exponent[..., None, :]).masked_fill(outside, -torch.inf).exp()
    matrices = decays * dt[..., None, :] * (c @ b.transpose(2, 3))[:, :, None]
    y = (matrices.to(x.dtype) @ x.transpose(2, 3)).transpose(2, 3)
    if count > 1:
        gain = dt * (exponent[..., -1:] - exponent).exp()
        leaving = torch.einsum("bklhp,bkln->bkhpn", x * gain.to(x.dtype).transpose(2, 3)[..., None], b)
        entering = _carry(leaving.to(dt.dtype), exponent[..., -1].exp()).to(x.dtype)
        reach = exponent.exp().to(x.dtype).transpose(2, 3)
        y = y + torch.einsum("bkln,bkhpn->bklhp", c, entering) * reach[..., None]
    return y.flatten(1, 2)[:, :frames]


def _chunks(tensor: Tensor, count: int, length: int) -> Tensor:
    """(B, S, ...) to (B, K, L, ...), with zeros behind."""
    padding = count * length - tensor.shape[1]
    padded = F.pad(tensor, (0, 0) * (tensor.dim() - 2) + (0, padding))
    return padded.view(len(tensor), count, length, *tensor.shape[2:])


def _carry(leaving: Tensor, decay: Tensor) -> Tensor:
    """What each chunk adds to the state, (B, K, H, P, N), and its decay, (B, K, H), to the states that enter chunks."""
    state = torch.zeros_like(leaving[:, 0])
    entering = []
    for added, kept in zip(leaving.unbind(1), decay.unbind(1), strict=True):
        entering.append(state)
        state = state * kept[..., None, None] + added
    return torch.stack(entering, 1)
