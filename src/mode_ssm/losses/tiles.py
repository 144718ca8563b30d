"""Rectangles of the lattice, small enough that what is computed for their cells stays in the cache."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK_FRAMES = 4  # the grain in which occupied cells are boxed
CELLS = 256, 512  # bounds of a thread's tile: of width 512, two small or one large fill a second-level cache
TILES = 160  # into so many at least a lattice is cut within these bounds, lest a tile be most of the memory
BAND_SCORES = 1 << 16


class Tile(NamedTuple):
    """Cells (s, u) of one trial with s and u in a range each."""

    first_frame: int
    end_frame: int
    first_label: int
    end_label: int

    @property
    def frames(self) -> int:
        return self.end_frame - self.first_frame

    @property
    def labels(self) -> int:
        return self.end_label - self.first_label

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.first_frame, self.end_frame), slice(self.first_label, self.end_label)

    @property
    def cells(self) -> int:
        return self.frames * self.labels

    def joined(self, later: "Tile") -> "Tile":
        """The box of both."""
        low, high = min(self.first_label, later.first_label), max(self.end_label, later.end_label)
        return Tile(self.first_frame, later.end_frame, low, high)


class TileSize(NamedTuple):
    cells: int  # at most, unless BLOCK_FRAMES frames hold more
    dispatch: int  # the cost of a tile beside that of its cells, in cells
    band: int = 1  # tiles whose softmax is taken at once in forward

    @classmethod
    def of(cls, lattice: int, classes: int) -> "TileSize":
        """For a lattice of so many cells."""
        low, high = CELLS
        cells = min(max(low, lattice // TILES), high * torch.get_num_threads())
        return cls(cells, 64, min(4, max(1, BAND_SCORES // (cells * classes))))


def bands(frames: int, positions: int, size: TileSize) -> Iterator[tuple[Tile, list[Tile]]]:
    """Every cell of a trial once: runs of frames, and the tiles that each is made of."""
    step = max(1, size.cells // positions)
    for first in range(0, frames, step * size.band):
        end = min(first + step * size.band, frames)
        starts = range(first, end, step)
        yield Tile(first, end, 0, positions), [Tile(s, min(s + step, end), 0, positions) for s in starts]


def occupied_tiles(occupied: Tensor, frames: tuple[int, ...], size: TileSize) -> list[list[Tile]]:
    """Tiles for each trial that cover the true cells of a (B, S, U+1) mask.

    None is true beyond a trial's frames, and no tile reaches there.
    """
    trials, padded_frames, positions = occupied.shape
    blocks = torch.nn.functional.pad(occupied, (0, 0, 0, -padded_frames % BLOCK_FRAMES))
    blocks = blocks.view(trials, -1, BLOCK_FRAMES, positions).any(2)
    label = torch.arange(positions, device=occupied.device)
    first = torch.where(blocks, label, positions).amin(2)
    end = torch.where(blocks, label + 1, 0).amax(2)
    bounds: list[list[list[int]]] = torch.stack((first, end), 2).tolist()
    return [_merged(trial, count, size) for trial, count in zip(bounds, frames, strict=True)]


def _merged(bounds: list[list[int]], frames: int, size: TileSize) -> list[Tile]:
    tiles: list[Tile] = []
    for block, (low, high) in enumerate(bounds):
        if low >= high:
            continue
        first = block * BLOCK_FRAMES
        tile = Tile(first, min(first + BLOCK_FRAMES, frames), low, high)
        if tiles:
            box = tiles[-1].joined(tile)
            if box.cells <= min(size.cells, tiles[-1].cells + tile.cells + size.dispatch):
                tiles[-1] = box
                continue
        tiles.append(tile)
    return tiles
