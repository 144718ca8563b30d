"""Layers of the Mamba-2 class and the encoder made of them, causal with an exact streaming step or bidirectional."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mode_ssm.batch import length_mask
from mode_ssm.config import Direction, SSMEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models.depthwise import depthwise_conv
from mode_ssm.models.ssm import scan, scan_step


class SSMState(NamedTuple):
    """What a causal layer remembers between two frames."""

    conv: Tensor  # (B, conv_frames - 1, E + 2N): the last inputs of the short convolution
    scan: Tensor  # (B, H, P, N)


class SSMLayer(nn.Module):
    """Norm, projection to z, x, B, C and dt, short convolution, scan, gate, projection back; the residual is outside.

    No projection has a bias and the norms keep zero at zero, so a padding frame that enters as zero leaves as zero;
    with dt set to 0 there, no state takes part of it.
    """

    def __init__(self, config: SSMEncoderConfig) -> None:
        super().__init__()
        self.config = config
        width, self.inner, size = config.width, config.expansion * config.width, config.state_size
        if self.inner % config.head_width:
            raise InputError(
                f"encoder.head_width={config.head_width} does not divide the inner width {self.inner} "
                "(encoder.expansion * encoder.width); choose a divisor."
            )
        self.heads = self.inner // config.head_width
        self.directions = 2 if config.direction is Direction.bidirectional else 1
        self.future_frames = (config.conv_frames - 1) // 2 if self.directions == 2 else 0
        self.past_frames = config.conv_frames - 1 - self.future_frames
        mixed = self.inner + 2 * size
        self.norm = nn.LayerNorm(width, bias=False)
        self.in_proj = nn.Linear(width, self.inner + mixed + self.directions * self.heads, bias=False)
        self.conv_weight = nn.Parameter(torch.empty(mixed, config.conv_frames))
        self.conv_bias = nn.Parameter(torch.zeros(mixed))
        self.dt_bias = nn.Parameter(torch.empty(self.directions, self.heads))
        self.log_rate = nn.Parameter(torch.empty(self.directions, self.heads))
        self.skip = nn.Parameter(torch.ones(self.heads))
        self.out_norm = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, width, bias=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start with a short memory: steps of dt_min to dt_max, rates of 1 to 16 (1 / (A dt) encoder frames)."""
        bound = self.config.conv_frames**-0.5
        self.conv_weight.uniform_(-bound, bound)
        low, high = math.log(self.config.dt_min), math.log(self.config.dt_max)
        dt = torch.empty_like(self.dt_bias).uniform_(low, high).exp()
        self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # softplus of this is dt
        self.log_rate.uniform_(1.0, 16.0).log_()

    def rates(self) -> Tensor:
        return -torch.exp(self.log_rate.float() if self.log_rate.dtype is torch.bfloat16 else self.log_rate)

    def _split(self, projected: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mixed = self.conv_weight.shape[0]
        z, u, dt = torch.split(projected, [self.inner, mixed, self.directions * self.heads], dim=-1)
        return z, u, dt

    def _steps(self, dt: Tensor) -> Tensor:
        dt = dt.to(torch.promote_types(dt.dtype, torch.float32)).view(*dt.shape[:-1], self.directions, self.heads)
        return F.softplus(dt + self.dt_bias)

    def _gated(self, y: Tensor, z: Tensor) -> Tensor:
        gated = F.rms_norm(y * F.silu(z), (self.inner,), eps=1e-5) * self.out_norm
        out: Tensor = self.out_proj(gated)
        return out

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        z, u, dt = self._split(self.in_proj(self.norm(frames)))
        dt = self._steps(dt).masked_fill(~mask[..., None, None], 0.0)
        u = F.silu(
            depthwise_conv(u, self.conv_weight, past=self.past_frames, future=self.future_frames, bias=self.conv_bias)
        )
        size = self.config.state_size
        x, b, c = torch.split(u, [self.inner, size, size], dim=-1)
        x = x.view(*x.shape[:-1], self.heads, -1)
        y = scan(x, b, c, dt, self.rates(), self.config.chunk_frames) + self.skip[:, None] * x
        return self._gated(y.flatten(2), z)

    def initial_state(self, trials: int) -> SSMState:
        weight = self.conv_weight
        size = self.config.state_size
        return SSMState(
            conv=weight.new_zeros(trials, self.past_frames, weight.shape[0]),
            scan=weight.new_zeros(trials, self.heads, self.config.head_width, size),
        )

    def step(self, frame: Tensor, state: SSMState) -> tuple[Tensor, SSMState]:
        """One frame (B, D) of a causal layer."""
        z, u, dt = self._split(self.in_proj(self.norm(frame)))
        window = torch.cat([state.conv, u[:, None]], dim=1)
        u = F.silu(torch.einsum("bkc,ck->bc", window, self.conv_weight) + self.conv_bias)
        size = self.config.state_size
        x, b, c = torch.split(u, [self.inner, size, size], dim=-1)
        x = x.view(*x.shape[:-1], self.heads, -1)
        y, memory = scan_step(x, b, c, self._steps(dt)[:, 0], self.rates()[0], state.scan)
        y = y + self.skip[:, None] * x
        return self._gated(y.flatten(1), z), SSMState(window[:, 1:], memory)


class SSMEncoder(nn.Module):
    """Pre-norm residual layers with dropout and, in training, stochastic depth: a layer left out for a whole trial.

    The chance to be left out grows linearly with depth (Huang et al. 2016); kept branches are scaled to the same mean.
    """

    def __init__(self, config: SSMEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(SSMLayer(config) for _ in range(config.layers))
        last = max(config.layers - 1, 1)
        self.skip_chance = [config.stochastic_depth * layer / last for layer in range(config.layers)]
        self.dropout = nn.Dropout(config.dropout)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, S, D) frames of trials with (B,) lengths; what comes out of padding frames means nothing."""
        if frames.shape[1] == 0:
            return frames
        mask = length_mask(lengths, frames.shape[1])
        frames = frames.masked_fill(~mask[..., None], 0.0)
        for layer, chance in zip(self.layers, self.skip_chance, strict=True):
            if self.config.activation_checkpointing and torch.is_grad_enabled():
                branch = checkpoint(layer, frames, mask, use_reentrant=False)
            else:
                branch = layer(frames, mask)
            branch = self.dropout(branch)
            if self.training and chance > 0:
                kept = torch.rand(len(frames), 1, 1, device=frames.device) >= chance
                branch = branch * (kept / (1 - chance)).to(branch.dtype)
            frames = frames + branch
        out: Tensor = self.norm(frames)
        return out

    def initial_state(self, trials: int) -> list[SSMState]:
        return [layer.initial_state(trials) for layer in self.layers]  # type: ignore[operator]

    def step(self, frame: Tensor, states: list[SSMState]) -> tuple[Tensor, list[SSMState]]:
        """Encode the next frame (B, D) of each trial, for a causal encoder in eval mode."""
        after = []
        for layer, state in zip(self.layers, states, strict=True):
            branch, state = layer.step(frame, state)  # type: ignore[operator]
            frame = frame + branch
            after.append(state)
        return self.norm(frame), after
