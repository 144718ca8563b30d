"""The field's baseline encoder: a stack of gated recurrent units, causal or in both directions."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mode_ssm.config import Direction, GRUEncoderConfig
from mode_ssm.models.dropout import Dropout


class GRUEncoder(nn.Module):
    """GRU layers (learnt initial state, orthogonal recurrent and Xavier input weights), a projection and a norm."""

    def __init__(self, config: GRUEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.bidirectional = config.direction is Direction.bidirectional
        directions = 2 if self.bidirectional else 1
        self.gru = nn.GRU(
            config.width,
            config.width,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
            bidirectional=self.bidirectional,
        )
        self.initial = nn.Parameter(torch.zeros(directions * config.layers, 1, config.width))
        self.dropout = Dropout(config.dropout)
        self.projection = nn.Linear(directions * config.width, config.width)
        self.norm = nn.LayerNorm(config.width)
        for name, weight in self.gru.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(weight)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Encode (B, S, D) frames of trials with (B,) lengths; what comes out of padding frames means nothing."""
        if frames.shape[1] == 0:
            return frames
        if not self.bidirectional:
            return self._project(self.gru(frames, self.initial_state(len(frames)))[0])
        packed = pack_padded_sequence(frames, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = self.gru(packed, self.initial_state(len(frames)))
        return self._project(pad_packed_sequence(hidden, batch_first=True, total_length=frames.shape[1])[0])

    def _project(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.norm(self.projection(self.dropout(hidden)))
        return out

    def initial_state(self, trials: int) -> Tensor:
        return self.initial.expand(-1, trials, -1).contiguous()

    def step(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the next frame (B, D) of each trial, for a causal encoder in eval mode."""
        hidden, state = self.gru(frame[:, None], state)
        return self._project(hidden[:, 0]), state
