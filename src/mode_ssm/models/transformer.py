"""A transformer over all frames of a trial, with one bias per distance, as the causal time-masked transformer has."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mode_ssm.batch import length_mask
from mode_ssm.config import Direction, TransformerEncoderConfig
from mode_ssm.models.attention import minus_infinity, number_of_heads
from mode_ssm.models.encoder import Encoder
from mode_ssm.models.pointwise import Dropout, ResidualDropout

EXPANSION = 4  # of the feed-forward network

Cache = tuple[Tensor, Tensor]  # keys and values (B, heads, frames so far, head width) of one layer


class TransformerEncoder(Encoder):
    """Pre-norm layers of attention and feed-forward networks (Feghhi et al. 2025), and a norm.

    A causal encoder attends to a frame and all before it, a bidirectional one to all of the trial.

    Raises:
        InputError: when the heads do not divide the width.
    """

    def __init__(self, config: TransformerEncoderConfig, input_width: int | None = None) -> None:
        super().__init__(config, input_width)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if frames.shape[1] == 0:
            return frames, lengths
        padding = None
        if self.config.direction is Direction.bidirectional:  # a causal layer looks at no padding from a real frame
            padding = ~length_mask(lengths, frames.shape[1])
        for layer in self.layers:
            frames = layer(frames, padding)
        return self.norm(frames), lengths

    def initial_state(self, trials: int) -> tuple[Cache, ...]:
        width = self.config.head_width
        empty = self.norm.weight.new_zeros(trials, number_of_heads(self.config.width, width), 0, width)
        return ((empty, empty),) * len(self.layers)

    def step(self, frame: Tensor, state: tuple[Cache, ...]) -> tuple[Tensor, tuple[Cache, ...]]:
        """The state grows with each frame."""
        after = []
        for layer, before in zip(self.layers, state, strict=True):
            assert isinstance(layer, TransformerLayer)
            frame, cache = layer.step(frame, before)
            after.append(cache)
        return self.norm(frame), tuple(after)


class TransformerLayer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)).

    A learnt number for each distance between two frames, the same in all heads, is added to their attention's logit;
    frames farther apart than `max_distance` share that of `max_distance`.
    """

    no_decay = ("distance_embedding",)

    def __init__(self, config: TransformerEncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = number_of_heads(width, config.head_width)
        self.causal = config.direction is Direction.causal
        self.max_distance, self.chance = config.max_distance, config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.in_proj = nn.Linear(width, 3 * width, bias=False)
        self.distance_embedding = nn.Parameter(torch.zeros(config.max_distance * (1 if self.causal else 2) + 1))
        self.out_proj = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, EXPANSION * width)
        self.feed_out = nn.Linear(EXPANSION * width, width)
        self.dropout = Dropout(config.dropout)
        self.residual = ResidualDropout(config.dropout, 0.0)

    def forward(self, frames: Tensor, padding: Tensor | None) -> Tensor:
        """(B, S, D) to (B, S, D); nothing is seen of frames where the (B, S) `padding` is true."""
        queries, keys, values = self._project(frames)
        bias = self._bias(frames.shape[1]).to(queries.dtype)
        if padding is not None:
            bias = bias + minus_infinity(padding[:, None, None], queries.dtype)
        chance = self.chance if self.training else 0.0
        seen = F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, dropout_p=chance)
        return self._feed(self.residual(frames, self.out_proj(seen.transpose(1, 2).flatten(2))))

    def step(self, frame: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """The next frame (B, D) of a causal layer, and the cache with it."""
        query, key, value = self._project(frame[:, None])
        keys, values = (torch.cat(pair, dim=2) for pair in zip(cache, (key, value), strict=True))
        bias = self._by_distance(torch.arange(keys.shape[2] - 1, -1, -1, device=frame.device)).to(query.dtype)
        seen = F.scaled_dot_product_attention(query, keys, values, attn_mask=bias[None])
        out = self._feed(frame[:, None] + self.out_proj(seen.transpose(1, 2).flatten(2)))
        return out[:, 0], (keys, values)

    def _project(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, S, D) to queries, keys and values, each (B, heads, S, head width)."""
        projected = self.in_proj(self.attention_norm(frames)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)
        return queries, keys, values

    def _feed(self, frames: Tensor) -> Tensor:
        hidden = self.dropout(F.gelu(self.feed_in(self.feed_norm(frames))))
        out: Tensor = self.residual(frames, self.feed_out(hidden))
        return out

    def _bias(self, size: int) -> Tensor:
        """(S, S): what is added to the logit of frame i looking at frame j."""
        distances = torch.arange(size - 1, -size, -1, device=self.distance_embedding.device)
        values = self._by_distance(distances)
        if self.causal:
            values = values + minus_infinity(distances < 0, values.dtype)
        return values.unfold(0, size, 1).flip(0)

    def _by_distance(self, distances: Tensor) -> Tensor:
        """The bias of frames so many frames back; ahead, of negative distances, in a causal layer anything."""
        nearest = 0 if self.causal else -self.max_distance
        return self.distance_embedding[distances.clamp(nearest, self.max_distance) - nearest]
