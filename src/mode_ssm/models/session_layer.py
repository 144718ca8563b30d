"""The input transform of each recording session: electrodes drift and die, so each day gets its own correction."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mode_ssm.config import SessionLayer


@dataclass(frozen=True)
class SessionMap:
    """The map of one session, or the mean of all, as SessionTransform has it; None where its kind has no such part."""

    bias: Tensor  # (C,)
    gain: Tensor | None  # (C,), 1 where nothing changes
    matrix: Tensor | None  # (C, C)
    down: Tensor | None  # (C, R)
    up: Tensor | None  # (R, C)

    def __call__(self, x: Tensor) -> Tensor:
        """Transform (..., C) features."""
        if self.matrix is not None:
            return x + x @ self.matrix + self.bias
        assert self.gain is not None, "a map has a matrix or a gain"
        out = torch.addcmul(self.bias, x, self.gain)
        return out if self.down is None or self.up is None else out + (x @ self.down) @ self.up


class SessionTransform(nn.Module):
    """A linear map over the channels, one for each session, that starts as the identity.

    Every parameter is a difference from the identity, and none has weight decay, which would pull a session towards the
    shared input whatever its electrodes have become. In bfloat16 only the difference is rounded, never the identity.

    - affine: x * (1 + gain) + bias
    - low_rank: affine + (x U) V with r columns in U
    - full: x + x W + bias

    A session that the model has not seen (index -1) gets the mean of the learnt maps, which is exactly the mean of
    their outputs; no map learns from it.
    """

    no_decay = ("bias", "gain", "matrix", "down", "up")

    def __init__(self, kind: SessionLayer, *, num_sessions: int, channels: int, rank: int) -> None:
        super().__init__()
        self.kind = kind
        self.bias = nn.Parameter(torch.zeros(num_sessions, channels))
        if kind is SessionLayer.full:
            self.matrix = nn.Parameter(torch.zeros(num_sessions, channels, channels))
        else:
            self.gain = nn.Parameter(torch.zeros(num_sessions, channels))
        if kind is SessionLayer.low_rank:
            self.down = nn.Parameter(torch.randn(num_sessions, channels, rank) / channels**0.5)
            self.up = nn.Parameter(torch.zeros(num_sessions, rank, channels))

    def forward(self, features: Tensor, session_index: Tensor, *, new_sessions: bool = True) -> Tensor:
        """Transform (B, T, C) features by the maps of their (B,) sessions.

        Where no index is -1, `new_sessions=False` spares the mean: the indices themselves are never looked at, which
        would make the host wait for its device.
        """
        if not new_sessions:
            return self._known(features, session_index)
        out = self._known(features, session_index.clamp(min=0))
        mean = self.map_of(-1)(features).to(out.dtype)
        return torch.where(session_index[:, None, None] < 0, mean, out)

    def _known(self, x: Tensor, index: Tensor) -> Tensor:
        bias = self.bias[index, None]
        if self.kind is SessionLayer.full:
            return x + torch.baddbmm(bias.to(x.dtype), x, self.matrix[index].to(x.dtype))
        out = torch.addcmul(bias, x, 1 + self.gain[index, None])
        if self.kind is SessionLayer.low_rank:
            low, up = torch.bmm(x, self.down[index]), self.up[index]
            rounded = torch.is_autocast_enabled(x.device.type)  # where baddbmm would round `out` too
            out = out + torch.bmm(low, up) if rounded else torch.baddbmm(out, low, up)
        return out

    def map_of(self, session: int) -> SessionMap:
        """That of one session; of one that the model has not seen (-1) the mean of all."""
        parts = {name: parameter.detach() for name, parameter in self.named_parameters()}
        low = {name: parts.pop(name) for name in ("down", "up") if name in parts}
        one = {name: part.mean(0) if session < 0 else part[session] for name, part in parts.items()}
        if low and session < 0:
            low = {"down": low["down"].transpose(0, 1).flatten(1), "up": low["up"].flatten(0, 1) / len(low["up"])}
        elif low:
            low = {name: part[session] for name, part in low.items()}
        gain = 1 + one["gain"] if "gain" in one else None
        return SessionMap(one["bias"], gain, one.get("matrix"), low.get("down"), low.get("up"))
