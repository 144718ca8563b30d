"""The encoder of state-space layers, with layers of local attention between them by choice."""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mode_ssm.batch import length_mask
from mode_ssm.config import SSMEncoderConfig
from mode_ssm.models.attention import AttentionState, LocalAttention
from mode_ssm.models.encoder import Encoder
from mode_ssm.models.pointwise import ResidualDropout
from mode_ssm.models.ssm_layer import SSMLayer, SSMState

State = tuple[SSMState | AttentionState, ...]  # one of each layer


class SSMEncoder(Encoder):
    """Pre-norm residual layers with dropout and with stochastic depth that grows linearly, and a norm."""

    def __init__(self, config: SSMEncoderConfig, input_width: int | None = None) -> None:
        super().__init__(config, input_width)
        every = config.attention_every
        self.layers = nn.ModuleList(
            LocalAttention(config) if every and index % every == 0 else SSMLayer(config)
            for index in range(1, config.layers + 1)
        )
        last = max(config.layers - 1, 1)
        self.residuals = nn.ModuleList(
            ResidualDropout(config.dropout, config.stochastic_depth * index / last, plain=config.plain)
            for index in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if frames.shape[1] == 0:
            return frames, lengths
        mask = length_mask(lengths, frames.shape[1])
        frames = frames.masked_fill(~mask[..., None], 0.0)
        again = self.config.activation_checkpointing and self.training and torch.is_grad_enabled()
        for layer, residual in zip(self.layers, self.residuals, strict=True):
            branch = checkpoint(layer, frames, mask, use_reentrant=False) if again else layer(frames, mask)
            frames = residual(frames, branch)
        return self.norm(frames), lengths

    def initial_state(self, trials: int) -> State:
        return tuple(layer.initial_state(trials) for layer in self.layers)  # type: ignore[operator]

    def step(self, frame: Tensor, state: State) -> tuple[Tensor, State]:
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            branch, memory = layer.step(frame, before)  # type: ignore[operator]
            frame = frame + branch
            after.append(memory)
        return self.norm(frame), tuple(after)
