"""One layer of the Mamba-2 class, causal with an exact streaming step or bidirectional."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mode_ssm.config import Backend, Direction, SSMEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models import plain
from mode_ssm.models.mamba_kernels import kernel_scan, require_mamba_ssm
from mode_ssm.models.recompute import EPS, conv_silu, gated_projection
from mode_ssm.models.ssm import scan, scan_step


class SSMState(NamedTuple):
    """What a causal layer remembers between two frames."""

    conv: Tensor  # (B, conv_frames - 1, E + 2N): the last inputs of the short convolution
    scan: Tensor  # (B, H, P, N)


class Way(NamedTuple):
    """How a layer computes its three large stretches."""

    conv_silu: Callable[..., Tensor]
    scan: Callable[..., Tensor]
    gated_projection: Callable[..., Tensor]


WAYS = {
    Backend.torch: Way(conv_silu, scan, gated_projection),
    Backend.plain: Way(plain.conv_silu, plain.scan, plain.gated_projection),
    Backend.mamba_ssm: Way(conv_silu, kernel_scan, gated_projection),
}


class SSMLayer(nn.Module):
    """Norm; projections to the gate, dt, x, B and C; short convolution; scan; gate; projection back to D.

    E = expansion * D is the inner width, in H heads. The bidirectional layer shares x, B, C and all projections between
    the directions and has a dt and a rate A of each. The residual connection is outside.

    No projection has a bias and the norms keep zero at zero, so a padding frame that enters as zero leaves as zero.
    """

    no_decay = ("log_rate", "dt_bias")

    def __init__(self, config: SSMEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.inner = config.expansion * config.width
        if self.inner % config.head_width:
            raise InputError(
                f"encoder.head_width={config.head_width} does not divide the inner width {self.inner} "
                "(encoder.expansion * encoder.width); choose a divisor of it."
            )
        if config.dt_min > config.dt_max:
            raise InputError(
                f"encoder.dt_min={config.dt_min} is above encoder.dt_max={config.dt_max}; steps start between the two."
            )
        if config.backend is Backend.mamba_ssm:
            require_mamba_ssm()
        self.heads = self.inner // config.head_width
        self.directions = 2 if config.direction is Direction.bidirectional else 1
        future_frames = (config.conv_frames - 1) // 2 if self.directions == 2 else 0
        self.past_frames = config.conv_frames - 1 - future_frames
        mixed = self.inner + 2 * config.state_size
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.mix_proj = nn.Linear(config.width, mixed, bias=False)  # x, B, C
        self.gate_proj = nn.Linear(config.width, self.inner + self.directions * self.heads, bias=False)  # gate, dt
        self.conv_weight = nn.Parameter(torch.empty(mixed, config.conv_frames))
        self.conv_bias = nn.Parameter(torch.zeros(mixed))
        self.dt_bias = nn.Parameter(torch.empty(self.directions, self.heads))
        self.log_rate = nn.Parameter(torch.empty(self.directions, self.heads))
        self.skip = nn.Parameter(torch.ones(self.heads))
        self.out_norm = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, config.width, bias=False)
        self._reset_parameters()

    @torch.no_grad()
    def _reset_parameters(self) -> None:
        """Start with a short memory: steps from dt_min to dt_max and rates from 1 to 16, 1 / (A dt) encoder frames."""
        bound = self.config.conv_frames**-0.5
        self.conv_weight.uniform_(-bound, bound)
        dt = torch.empty_like(self.dt_bias).uniform_(math.log(self.config.dt_min), math.log(self.config.dt_max)).exp_()
        self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus of it is dt
        self.log_rate.uniform_(1.0, 16.0).log_()

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """The branch for (B, S, D) frames, zero where the (B, S) mask is false."""
        frames = self.norm(frames)
        gate, dt = self._gate_and_steps(frames)
        dt = dt.masked_fill(~mask[..., None, None], 0.0)
        way = WAYS[self.config.backend]
        mixed = way.conv_silu(self.mix_proj(frames), self.conv_weight, self.conv_bias, past=self.past_frames)
        y = way.scan(
            mixed,
            dt,
            self._rates(),
            self.skip,
            state_size=self.config.state_size,
            chunk_frames=self.config.chunk_frames,
        )
        return way.gated_projection(y.flatten(2), gate, self.out_proj.weight * self.out_norm)

    def _gate_and_steps(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        gate, dt = torch.split(self.gate_proj(frames), [self.inner, self.directions * self.heads], dim=-1)
        dt = dt.to(torch.promote_types(dt.dtype, torch.float32)).view(*dt.shape[:-1], *self.dt_bias.shape)
        return gate, F.softplus(dt + self.dt_bias)

    def _rates(self) -> Tensor:
        return -torch.exp(self.log_rate)

    def initial_state(self, trials: int) -> SSMState:
        weight, config = self.conv_weight, self.config
        return SSMState(
            conv=weight.new_zeros(trials, self.past_frames, len(weight)),
            scan=weight.new_zeros(trials, self.heads, config.head_width, config.state_size),
        )

    def step(self, frame: Tensor, state: SSMState) -> tuple[Tensor, SSMState]:
        """The branch for the next frame (B, D) of each trial; for causal layers."""
        frame = self.norm(frame)
        gate, dt = self._gate_and_steps(frame)
        window = torch.cat([state.conv, self.mix_proj(frame)[:, None]], dim=1)
        mixed = F.silu((window * self.conv_weight.t()).sum(1) + self.conv_bias)
        y, memory = scan_step(mixed, dt[:, 0], self._rates()[0], self.skip, state.scan)
        gated = F.rms_norm(y.flatten(1) * F.silu(gate), (self.inner,), self.out_norm, EPS)
        return self.out_proj(gated), SSMState(window[:, 1:], memory)
