"""The step of a causal state-space layer in fewer and larger operations, for streams: there each waits for the last."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mode_ssm.models.recompute import EPS
from mode_ssm.models.ssm_layer import SSMLayer, SSMState


class FoldedLayer(nn.Module):
    """A copy of an SSMLayer as it is now, whose step is the same but for rounding: `SSMLayer.step` says what it does.

    Both projections of a frame are one product, and what is constant between frames (the norm of the output, the
    rates, the skip of each channel) is computed once. A step of one trial in three quarters of the time.
    """

    def __init__(self, layer: SSMLayer) -> None:
        super().__init__()
        self.config, self.inner = layer.config, layer.inner
        self._start = layer.initial_state(1)
        with torch.no_grad():
            self.in_proj = _linear(torch.cat([layer.mix_proj.weight, layer.gate_proj.weight]))
            self.out_proj = _linear(layer.out_proj.weight * layer.out_norm)
            self.norm = layer.norm.weight.clone()
            self.conv_weight, self.conv_bias = layer.conv_weight.t().contiguous(), layer.conv_bias.clone()
            self.dt_bias, self.rates = layer.dt_bias[0].clone(), -torch.exp(layer.log_rate[0])
            self.skip = layer.skip.repeat_interleave(layer.config.head_width)
        self._parts = [len(layer.mix_proj.weight), layer.inner, layer.heads]

    def initial_state(self, trials: int) -> SSMState:
        return SSMState(*(part.expand(trials, *part.shape[1:]) for part in self._start))

    def step(self, frame: Tensor, state: SSMState) -> tuple[Tensor, SSMState]:
        """The branch for the next frame (B, D) of each trial."""
        heads, width, size = self._parts[2], self.config.head_width, self.config.state_size
        mixed, gate, dt = self.in_proj(F.layer_norm(frame, self.norm.shape, self.norm)).split(self._parts, dim=-1)
        dt = F.softplus(dt + self.dt_bias)
        window = torch.cat([state.conv, mixed[:, None]], dim=1)
        mixed = F.silu((window * self.conv_weight).sum(1).add_(self.conv_bias))
        x, b, c = mixed.split([self.inner, size, size], dim=-1)
        memory = state.scan * torch.exp(dt * self.rates)[..., None, None]
        rows = memory.view(-1, self.inner, size)
        rows.addcmul_((dt[..., None] * x.view(-1, heads, width)).view(-1, self.inner, 1), b[:, None])
        y = torch.addcmul(torch.bmm(rows, c[..., None])[..., 0], self.skip, x).mul_(F.silu(gate))
        scale = torch.rsqrt(torch.linalg.vecdot(y, y) / self.inner + EPS)
        return self.out_proj(y) * scale[:, None], SSMState(window[:, 1:], memory)


def _linear(weight: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(weight.detach().clone())
    return linear
