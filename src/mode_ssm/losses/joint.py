"""The tanh joiner, one tile of the lattice at a time."""

import torch
from torch import Tensor

from mode_ssm.losses.activation import choose_activation
from mode_ssm.losses.arguments import Trials
from mode_ssm.losses.tiles import BLOCK_FRAMES, Tile, TileSize


class TiledJoint:
    """weight @ tanh(encoder + predictor) + bias, by tiles, in buffers that every tile uses again.

    The classes come first, (V, cells): softmax and product are both faster so.
    """

    def __init__(self, encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor, trials: Trials) -> None:
        self.dtype = torch.float32
        for given in (encoder, predictor, weight, bias):
            self.dtype = torch.promote_types(self.dtype, given.dtype)
        self.encoder, self.predictor, self.trials = encoder, predictor, trials
        self.labels = torch.nn.functional.pad(trials.targets, (0, 1))
        self.activation = choose_activation([self._positions(trial) for trial in range(len(trials.labels))])
        self.weight, bias = weight.to(self.dtype), bias.to(self.dtype)
        self.scaled_weight = self.weight * self.activation.scale
        self.sloped_weight = self.scaled_weight * self.activation.slope
        self.constant = (bias + self.activation.offset * self.weight.sum(1))[:, None]
        self.tile_size = TileSize.on(encoder.device)
        self.cells = max(self.tile_size.cells, BLOCK_FRAMES * predictor.shape[1])
        self._hidden = encoder.new_empty(self.cells * encoder.shape[2], dtype=self.dtype)
        self._scores = encoder.new_empty(self.cells * weight.shape[0], dtype=self.dtype)
        self._back = self._hidden.new_empty(0)

    def _positions(self, trial: int) -> Tensor:
        return self.predictor[trial, : self.trials.labels[trial] + 1].to(self.dtype)

    def columns(self, trial: int) -> Tensor:
        """(U+1, D) of a trial, for `scores`."""
        return self.activation.columns(trial, self._positions(trial))

    def tile_labels(self, trial: int, tile: Tile) -> Tensor:
        """(1, cells) the label that each cell may emit."""
        labels = self.labels[trial, tile.slices[1]]
        return labels.expand(tile.frames, -1).reshape(1, -1)

    def scores(self, trial: int, tile: Tile, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (V, cells), and the t (cells, D) of the activation that they come from."""
        cells, width, classes = tile.cells, columns.shape[1], len(self.constant)
        rows = self.activation.rows(trial, self.encoder[trial, tile.slices[0]].to(self.dtype))
        hidden = self._hidden[: cells * width].view(tile.frames, tile.labels, width)
        self.activation.fill(rows, columns[tile.slices[1]], hidden)
        hidden = hidden.view(cells, width)
        scores = self._scores[: classes * cells].view(classes, cells)
        return torch.addmm(self.constant, self.scaled_weight, hidden.t(), out=scores), hidden

    def back(self, by_logit: Tensor, hidden: Tensor) -> Tensor:
        """(cells, D) gradient by encoder + predictor, from that by logits (V, cells); hidden is used up."""
        if not len(self._back):
            self._back = torch.empty_like(self._hidden)
        inner = torch.mm(by_logit.t(), self.sloped_weight, out=self._back[: hidden.numel()].view_as(hidden))
        return inner.mul_(self.activation.bend_(hidden))
