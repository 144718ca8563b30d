"""The input transform of each recording session: electrodes drift and die, so each day gets its own correction."""

import torch
from torch import Tensor, nn

from mode_ssm.config import SessionLayer


class SessionTransform(nn.Module):
    """A linear map over the channels, one for each session, that starts as the identity.

    Every parameter is a difference from the identity, so weight decay pulls a session towards the shared input.

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
        mean = self._mean(features).to(out.dtype)
        return torch.where(session_index[:, None, None] < 0, mean, out)

    def _known(self, x: Tensor, index: Tensor) -> Tensor:
        bias = self.bias[index, None]
        if self.kind is SessionLayer.full:
            return x + torch.baddbmm(bias.to(x.dtype), x, self.matrix[index].to(x.dtype))
        out = torch.addcmul(bias, x, 1 + self.gain[index, None])
        if self.kind is SessionLayer.low_rank:
            out = torch.baddbmm(out, torch.bmm(x, self.down[index]), self.up[index])
        return out

    def _mean(self, x: Tensor) -> Tensor:
        bias = self.bias.detach().mean(0)
        if self.kind is SessionLayer.full:
            return x + x @ self.matrix.detach().mean(0) + bias
        out = torch.addcmul(bias, x, 1 + self.gain.detach().mean(0))
        if self.kind is SessionLayer.low_rank:
            down, up = self.down.detach().transpose(0, 1).flatten(1), self.up.detach().flatten(0, 1)
            out = out + (x @ down) @ up / len(self.bias)
        return out
