"""The tanh joiner walked in tiles of the lattice: for CPUs, where what a tile needs stays in the cache."""

import torch
from torch import Tensor

from mode_ssm.losses.activation import choose_activation
from mode_ssm.losses.arguments import Options, Trials
from mode_ssm.losses.tiles import BLOCK_FRAMES, Tile, TileSize, bands, occupied_tiles

ROWS_AHEAD = 64


class TiledJoint:
    """weight @ tanh(encoder + predictor) + bias and what follows from it, in buffers that every tile uses again.

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
        weight, bias = weight.to(self.dtype), bias.to(self.dtype)
        self.scaled_weight = weight * self.activation.scale
        self.sloped_weight = self.scaled_weight * self.activation.slope
        self.constant = (bias + self.activation.offset * weight.sum(1))[:, None]
        lattice = encoder.shape[0] * encoder.shape[1] * predictor.shape[1]
        self.tile_size = TileSize.of(lattice, len(weight))

    def arc_log_probs(self) -> Tensor:
        """(2, B, S, U+1): log-probabilities of blank and of label; unset in padding and, for labels, at u = U."""
        arcs = self.encoder.new_empty((2, *self.encoder.shape[:2], self.predictor.shape[1]), dtype=self.dtype)
        self._make_room(self.tile_size.band)
        for trial, (frames, labels) in enumerate(zip(self.trials.frames, self.trials.labels, strict=True)):
            self._begin(trial)
            for band, tiles in bands(frames, labels + 1, self.tile_size):
                scores = self._room_for_scores(band)
                for tile, part in zip(tiles, torch.split(scores, tiles[0].cells, 1), strict=True):
                    self._fill(tile, part)
                found = scores.log_softmax(0).gather(0, self._classes(band))
                arcs[(slice(None), trial, *band.slices)] = found.view(2, band.frames, band.labels)
        return arcs

    def gradients(self, arcs: Tensor, grad_costs: Tensor, options: Options) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of encoder, predictor, weight and bias, from the arcs' flows (2, B, S, U+1).

        What all trials share is summed over them in double precision.
        """
        encoder, predictor = (torch.zeros_like(out, dtype=self.dtype) for out in (self.encoder, self.predictor))
        by_hidden, by_bias = (torch.zeros_like(w, dtype=torch.float64) for w in (self.scaled_weight, self.constant))
        shares = torch.empty_like(self.scaled_weight), torch.empty_like(self.constant)
        occupied = ~(arcs.sum(0) <= options.occupancy_threshold)  # what is not a number counts, and so shows
        self._make_room(band=1)
        self._back = torch.empty_like(self._hidden)
        for trial, tiles in enumerate(occupied_tiles(occupied, self.trials.frames, self.tile_size)):
            self._begin(trial)
            for share in shares:
                share.zero_()
            flows = _signed(arcs[:, trial], grad_costs[trial])
            bound = options.clamp * grad_costs[trial].abs() if options.clamp > 0 else None
            for tile in tiles:
                self._add_tile(tile, flows, bound, (encoder[trial], predictor[trial], *shares))
            by_hidden += shares[0]
            by_bias += shares[1]
        weight = by_hidden.mul_(self.activation.scale).add_(by_bias, alpha=self.activation.offset)
        return encoder, predictor, weight, by_bias[:, 0]

    def _add_tile(
        self, tile: Tile, flows: Tensor, bound: Tensor | None, into: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> None:
        """A tile's part of the trial's gradients, by encoder, predictor, t and constant."""
        encoder, predictor, by_hidden, by_bias = into
        scores = self._room_for_scores(tile)
        hidden = self._fill(tile, scores)
        occupancy_and_arcs = flows[(slice(None), *tile.slices)].reshape(3, -1)
        grad = scores.softmax(0).mul_(occupancy_and_arcs[:1])
        grad.scatter_add_(0, self._classes(tile), occupancy_and_arcs[1:])
        if bound is not None:
            grad.clamp_(-bound, bound)
        by_bias.add_(grad.sum(1, keepdim=True))
        by_hidden.addmm_(grad, hidden)
        inner = torch.mm(grad.t(), self.sloped_weight, out=self._back[: hidden.numel()].view_as(hidden))
        inner = self.activation.back_(inner, hidden).view(tile.frames, tile.labels, -1)
        torch.sum(inner, 1, out=encoder[tile.slices[0]])
        predictor[tile.slices[1]].add_(inner.sum(0))

    def _make_room(self, band: int) -> None:
        cells = max(self.tile_size.cells, BLOCK_FRAMES * self.predictor.shape[1])
        self._hidden = self.encoder.new_empty(cells * self.encoder.shape[2], dtype=self.dtype)
        self._scores = self.encoder.new_empty(cells * band * len(self.constant), dtype=self.dtype)

    def _positions(self, trial: int) -> Tensor:
        return self.predictor[trial, : self.trials.labels[trial] + 1].to(self.dtype)

    def _begin(self, trial: int) -> None:
        """Turn to a trial: what follows is about its cells."""
        self._trial = trial
        self._columns = self.activation.columns(trial, self._positions(trial))
        self._frames = self.encoder[trial, : self.trials.frames[trial]]
        self._rows, self._first, self._end = self._frames, 0, 0

    def _classes(self, tile: Tile) -> Tensor:
        """(2, cells) the classes that lead out of each cell: the blank and its next label."""
        classes = self.arc_classes[self._trial, :, None, tile.first_label : tile.end_label]
        return classes.expand(-1, tile.frames, -1).reshape(2, -1)

    def _room_for_scores(self, tile: Tile) -> Tensor:
        classes = len(self.constant)
        return self._scores[: classes * tile.cells].view(classes, tile.cells)

    def _fill(self, tile: Tile, scores: Tensor) -> Tensor:
        """Logits (V, cells) into scores; returns the t (cells, D) of the activation that they come from."""
        columns = self._columns[tile.slices[1]]
        hidden = self._hidden[: tile.cells * columns.shape[1]]
        self.activation.fill(self._ready_rows(tile), columns, hidden.view(tile.frames, *columns.shape))
        hidden = hidden.view(tile.cells, -1)
        torch.addmm(self.constant, self.scaled_weight, hidden.t(), out=scores)
        return hidden

    def _ready_rows(self, tile: Tile) -> Tensor:
        """(frames, D) encoder outputs made ready, some frames ahead at once."""
        if not self._first <= tile.first_frame <= tile.end_frame <= self._end:
            self._first, self._end = tile.first_frame, max(tile.end_frame, tile.first_frame + ROWS_AHEAD)
            self._rows = self.activation.rows(self._trial, self._frames[self._first : self._end].to(self.dtype))
        return self._rows[tile.first_frame - self._first : tile.end_frame - self._first]


def _signed(flows: Tensor, grad_cost: Tensor) -> Tensor:
    """(3, S, U+1): occupancy, and the arcs' flows taken negative, all times the gradient of the cost."""
    signed = flows.new_empty((3, *flows.shape[1:]))
    torch.mul(flows, -grad_cost, out=signed[1:])
    torch.sum(signed[1:], 0, out=signed[0]).neg_()
    return signed
