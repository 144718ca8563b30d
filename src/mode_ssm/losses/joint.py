"""The tanh joiner, one tile of the lattice at a time."""

import torch
from torch import Tensor

from mode_ssm.losses.activation import choose_activation
from mode_ssm.losses.arguments import Trials
from mode_ssm.losses.tiles import BLOCK_FRAMES, Tile, TileSize

ROWS_AHEAD = 64


class TiledJoint:
    """weight @ tanh(encoder + predictor) + bias, by tiles, in buffers that every tile uses again.

    The classes come first, (V, cells): softmax and product are both faster so.
    """

    def __init__(
        self, encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor, trials: Trials, blank: int
    ) -> None:
        self.dtype = torch.float32
        for given in (encoder, predictor, weight, bias):
            self.dtype = torch.promote_types(self.dtype, given.dtype)
        self.encoder, self.predictor, self.trials = encoder, predictor, trials
        labels = torch.nn.functional.pad(trials.targets, (0, 1))
        self.arc_classes = torch.stack((torch.full_like(labels, blank), labels), 1)  # (B, 2, U+1)
        self.activation = choose_activation([self._positions(trial) for trial in range(len(trials.labels))])
        self.weight, bias = weight.to(self.dtype), bias.to(self.dtype)
        self.scaled_weight = self.weight * self.activation.scale
        self.sloped_weight = self.scaled_weight * self.activation.slope
        self.constant = (bias + self.activation.offset * self.weight.sum(1))[:, None]
        size = encoder.shape[0] * encoder.shape[1] * predictor.shape[1]
        self.tile_size = TileSize.on(encoder.device, size, len(weight))
        cells = max(self.tile_size.cells, BLOCK_FRAMES * predictor.shape[1])
        self._hidden = encoder.new_empty(cells * encoder.shape[2], dtype=self.dtype)
        self._scores = encoder.new_empty(cells * self.tile_size.band * len(weight), dtype=self.dtype)
        self._back = self._hidden.new_empty(0)
        self.begin(0)

    def _positions(self, trial: int) -> Tensor:
        return self.predictor[trial, : self.trials.labels[trial] + 1].to(self.dtype)

    def begin(self, trial: int) -> None:
        """Turn to a trial: what follows is about its cells."""
        self.trial = trial
        self.columns = self.activation.columns(trial, self._positions(trial))
        self._arc_classes = self.arc_classes[trial, :, None]
        self._frames = self.encoder[trial, : self.trials.frames[trial]]
        self._rows, self._first, self._end = self._frames, 0, 0

    def tile_arcs(self, tile: Tile) -> Tensor:
        """(2, cells) the classes that lead out of each cell: the blank and its next label."""
        return self._arc_classes[:, :, tile.slices[1]].expand(-1, tile.frames, -1).reshape(2, -1)

    def scores(self, tile: Tile) -> Tensor:
        """Room for the logits (V, cells) of a tile or of a band of tiles; the next tile uses it again."""
        classes = len(self.constant)
        return self._scores[: classes * tile.cells].view(classes, tile.cells)

    def fill(self, tile: Tile, scores: Tensor) -> Tensor:
        """Logits (V, cells) into scores; returns the t (cells, D) of the activation that they come from."""
        columns = self.columns[tile.slices[1]]
        hidden = self._hidden[: tile.cells * columns.shape[1]]
        self.activation.fill(self._ready_rows(tile), columns, hidden.view(tile.frames, *columns.shape))
        hidden = hidden.view(tile.cells, -1)
        torch.addmm(self.constant, self.scaled_weight, hidden.t(), out=scores)
        return hidden

    def _ready_rows(self, tile: Tile) -> Tensor:
        """(frames, D) encoder outputs made ready, some frames ahead at once."""
        if not self._first <= tile.first_frame <= tile.end_frame <= self._end:
            self._first, self._end = tile.first_frame, max(tile.end_frame, tile.first_frame + ROWS_AHEAD)
            self._rows = self.activation.rows(self.trial, self._frames[self._first : self._end].to(self.dtype))
        return self._rows[tile.first_frame - self._first : tile.end_frame - self._first]

    def back(self, by_logit: Tensor, hidden: Tensor) -> Tensor:
        """(cells, D) gradient by encoder + predictor, from that by logits (V, cells)."""
        if not len(self._back):
            self._back = torch.empty_like(self._hidden)
        inner = torch.mm(by_logit.t(), self.sloped_weight, out=self._back[: hidden.numel()].view_as(hidden))
        return self.activation.back_(inner, hidden)
