"""The field's baseline encoder: a stack of gated recurrent units, causal or in both directions."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mode_ssm.config import Direction, GRUEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models.encoder import Encoder
from mode_ssm.models.pointwise import Dropout


class GRUEncoder(Encoder):
    """GRU layers (learnt initial state, orthogonal recurrent and Xavier input weights), a projection and a norm.

    The backward direction of a bidirectional layer reads each trial in reverse from its own last frame.

    Args:
        config: sizes; the projection and norm can be left out, as in the NEJM baseline (Card et al. 2024).
        input_width: of the frames that come in; None = as wide as the encoder.

    Raises:
        InputError: for two directions without the projection that brings them to one width.
    """

    reads_any_width = True

    def __init__(self, config: GRUEncoderConfig, input_width: int | None = None) -> None:
        super().__init__(config, input_width)
        width = config.width
        directions = 2 if config.direction is Direction.bidirectional else 1
        if directions == 2 and not config.output_projection:
            raise InputError(
                "encoder.output_projection=false leaves a bidirectional encoder twice as wide as encoder.width; set "
                "encoder.direction=causal, or encoder.output_projection=true."
            )
        sizes = [input_width or width] + [directions * width] * (config.layers - 1)
        self.ahead = nn.ModuleList(nn.GRU(size, width, batch_first=True) for size in sizes)
        self.back = nn.ModuleList(
            nn.GRU(size, width, batch_first=True) for size in sizes[: (directions - 1) * len(sizes)]
        )
        self.initial = nn.Parameter(torch.zeros(config.layers, directions, width))
        self.dropout = Dropout(config.dropout)
        self.projection = nn.Linear(directions * width, width) if config.output_projection else None
        self.norm = nn.LayerNorm(width) if config.output_projection else None
        for name, weight in self.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(weight)
            elif "weight_ih" in name:
                nn.init.xavier_uniform_(weight)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if frames.shape[1] == 0:
            return frames.new_zeros(len(frames), 0, self.config.width), lengths
        for index, ahead in enumerate(self.ahead):
            state = self.initial[index, :, None, None].expand(-1, 1, len(frames), -1).contiguous()
            hidden = [ahead(frames, state[0])[0]]
            if self.back:
                hidden.append(reverse(self.back[index](reverse(frames, lengths), state[1])[0], lengths))
            frames = torch.cat(hidden, dim=-1) if self.back else hidden[0]
            if self.projection is not None or index + 1 < len(self.ahead):
                frames = self.dropout(frames)
        return self._output(frames), lengths

    def _output(self, frames: Tensor) -> Tensor:
        if self.projection is None or self.norm is None:
            return frames
        out: Tensor = self.norm(self.projection(frames))
        return out

    def initial_state(self, trials: int) -> Tensor:
        return self.initial[:, :1].expand(-1, trials, -1)

    def step(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The state is the layers' own, (layers, B, D)."""
        after = []
        for layer, before in zip(self.ahead, state, strict=True):
            frame = layer(frame[:, None], before[None].contiguous())[0][:, 0]
            after.append(frame)
        return self._output(frame), torch.stack(after)


def reverse(frames: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each trial of (B, S, D) frames within its own length; padding stays where it is."""
    out: Tensor = _Reverse.apply(frames, lengths)  # type: ignore[no-untyped-call]
    return out


class _Reverse(torch.autograd.Function):
    """Its own inverse, and so its own gradient: cheaper than that of indexing, which adds where it could move."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, lengths: Tensor) -> Tensor:
        ctx.save_for_backward(lengths)
        frame = torch.arange(frames.shape[1], device=frames.device)[None]
        index = torch.where(frame < lengths[:, None], lengths[:, None] - 1 - frame, frame)
        return frames[torch.arange(len(frames), device=frames.device)[:, None], index]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (lengths,) = ctx.saved_tensors
        return reverse(grad, lengths), None
