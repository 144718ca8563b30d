"""Attention to the frames nearby, for a hybrid of state-space and attention layers."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mode_ssm.config import Direction, SSMEncoderConfig
from mode_ssm.errors import InputError


class AttentionState(NamedTuple):
    """Keys and values of the last frames, (B, W, heads, head width) each, and how many frames have been, at most W."""

    keys: Tensor
    values: Tensor
    seen: int


class LocalAttention(nn.Module):
    """Multi-head attention over W frames to each side, of a causal layer to the past only, with a bias per offset.

    Frames are taken in blocks of W that look at themselves and the blocks beside them, so time and memory grow linearly
    with the length. As in the state-space layer, padding that enters as zero leaves as zero.
    """

    no_decay = ("offset_embedding",)

    def __init__(self, config: SSMEncoderConfig) -> None:
        super().__init__()
        self.window = config.attention_window
        self.heads = number_of_heads(config.width, config.head_width, ", or set encoder.attention_every=0")
        self.future = self.window if config.direction is Direction.bidirectional else 0
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.in_proj = nn.Linear(config.width, 3 * config.width, bias=False)
        self.offset_embedding = nn.Parameter(torch.zeros(self.heads, self.window + 1 + self.future))
        self.out_proj = nn.Linear(config.width, config.width, bias=False)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """The branch for (B, S, D) frames, zero where the (B, S) mask is false."""
        size, window = frames.shape[1], self.window
        blocks = -(-size // window)
        queries, keys, values = self._project(F.pad(self.norm(frames), (0, 0, 0, blocks * window - size)))
        queries = queries.view(len(frames), blocks, window, self.heads, -1).transpose(2, 3)
        keys, values = (self._neighbourhoods(tensor) for tensor in (keys, values))
        known = self._neighbourhoods(F.pad(mask, (0, blocks * window - size)))
        bias = self._bias(queries.dtype) + minus_infinity(~known[:, :, None, None, :], queries.dtype)
        seen = F.scaled_dot_product_attention(queries, keys.transpose(2, 3), values.transpose(2, 3), attn_mask=bias)
        out: Tensor = self.out_proj(seen.transpose(2, 3).flatten(3).flatten(1, 2)[:, :size])
        return out.masked_fill(~mask[..., None], 0.0)

    def _project(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, keys, values = self.in_proj(frames).view(*frames.shape[:-1], 3, self.heads, -1).unbind(-3)
        return queries, keys, values

    def _neighbourhoods(self, frames: Tensor) -> Tensor:
        """(B, blocks * W, ...) to (B, blocks, 2 W or 3 W, ...): each block with the frames around it."""
        sides = (0, 0) * (frames.dim() - 2) + (self.window, self.future)
        blocks = F.pad(frames, sides).unfold(1, 2 * self.window + self.future, self.window)
        return blocks.movedim(-1, 2)

    def _bias(self, dtype: torch.dtype) -> Tensor:
        """(heads, W, 2 W or 3 W): the learnt bias where a frame may look, far below zero elsewhere."""
        frame = torch.arange(self.window, device=self.offset_embedding.device)
        other = torch.arange(2 * self.window + self.future, device=frame.device)
        offset = other[None] - frame[:, None]  # 0 is W frames back
        last = self.offset_embedding.shape[1] - 1
        outside = (offset < 0) | (offset > last)
        return self.offset_embedding.to(dtype)[:, offset.clamp(0, last)] + minus_infinity(outside, dtype)

    def initial_state(self, trials: int) -> AttentionState:
        width = self.norm.normalized_shape[0]
        empty = self.offset_embedding.new_zeros(trials, self.window, self.heads, width // self.heads)
        return AttentionState(empty, empty, 0)

    def step(self, frame: Tensor, state: AttentionState) -> tuple[Tensor, AttentionState]:
        """The branch for the next frame (B, D) of each trial; for causal layers."""
        query, key, value = self._project(self.norm(frame))
        keys, values = (torch.cat([old, new[:, None]], 1) for old, new in ((state.keys, key), (state.values, value)))
        first = self.window - state.seen
        seen = F.scaled_dot_product_attention(
            query[:, :, None],
            keys[:, first:].transpose(1, 2),
            values[:, first:].transpose(1, 2),
            attn_mask=self.offset_embedding[:, None, first:].to(query.dtype),
        )
        out: Tensor = self.out_proj(seen.flatten(1))
        return out, AttentionState(keys[:, 1:], values[:, 1:], min(state.seen + 1, self.window))


def number_of_heads(width: int, head_width: int, way_out: str = "") -> int:
    """How many heads share an attention layer.

    Raises:
        InputError: when they do not divide its width; it ends with a second way out of that, where there is one.
    """
    if width % head_width:
        raise InputError(
            f"encoder.head_width={head_width} does not divide encoder.width={width}, as the heads of attention need; "
            f"choose a divisor of it{way_out}."
        )
    return width // head_width


def minus_infinity(where: Tensor, dtype: torch.dtype) -> Tensor:
    """So far below zero that a softmax gives exactly zero, yet finite: a frame that may look nowhere gets no NaN."""
    return where.to(dtype) * -1e4 if dtype is torch.float16 else where.to(dtype) * -1e30
