"""The transducer's lattice: total probability and expected use of every arc, in double precision.

Cell (s, u) stands for "u labels are out, frame s is being read". A blank moves to (s+1, u), a label to (s, u+1); a
trial with S frames and U labels ends by the blank out of (S-1, U) (Graves 2012, Sequence Transduction with Recurrent
Neural Networks, section 2.4). All trials and both directions advance together, one anti-diagonal s + u at a time:
S + U steps of two operations, on the CPU and on a GPU alike.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mode_ssm.losses.arguments import Trials


class Flows(NamedTuple):
    """Posterior probability of each arc; the two sum to a cell's occupancy. Zero in padding."""

    blank: Tensor  # (B, S, U+1) float64
    label: Tensor  # (B, S, U+1) float64, zero at u = U


def lattice_costs(blank: Tensor, label: Tensor, trials: Trials) -> Tensor:
    """(B,) negative log-likelihoods in nats, from log-probabilities blank (B, S, U+1) and label (B, S, U)."""
    return -_forward(_Arcs.of(blank, label, trials).stacked(both_directions=False))[:, -1, -1]


def lattice_flows(blank: Tensor, label: Tensor, trials: Trials) -> tuple[Tensor, Flows]:
    """The costs of `lattice_costs`, and the flows. A trial with no possible path has cost inf and flows 0."""
    arcs = _Arcs.of(blank, label, trials)
    alpha, backwards = _forward(arcs.stacked(both_directions=True)).chunk(2)
    beta = backwards.flip(1, 2)
    total = alpha[:, -1, -1]
    origin = torch.where(total.isneginf(), 0.0, total)[:, None, None]
    by_blank = (alpha[:, :-1] + arcs.blank).add_(beta[:, 1:]).sub_(origin).exp_()
    by_label = torch.zeros_like(by_blank)
    out = by_label[:, :, :-1]
    torch.add(alpha[:, :-1, :-1], arcs.label[:, :-1], out=out)
    out.add_(beta[:, :-1, 1:]).sub_(origin).exp_()
    padding = ~trials.real_cells(blank.shape[1])
    return -total, Flows(by_blank.masked_fill_(padding, 0.0), by_label.masked_fill_(padding, 0.0))


class _Arcs(NamedTuple):
    """Log-weights of the arcs of a lattice one row taller, in which every trial ends in the last cell.

    From a trial's own end a path of weight one leads through the padding: up the labels, then along the frames. So no
    trial needs a step of its own, and the backward direction is the forward one on the flipped lattice.
    """

    blank: Tensor  # (B, S, U+1): (s, u) -> (s+1, u)
    label: Tensor  # (B, S+1, U): (s, u) -> (s, u+1)

    @classmethod
    def of(cls, blank: Tensor, label: Tensor, trials: Trials) -> "_Arcs":
        frames, positions = blank.shape[1:]
        s = torch.arange(frames + 1, device=blank.device)[None, :, None]
        u = torch.arange(positions, device=blank.device)
        end_s, end_u = trials.frame_lengths[:, None, None], trials.label_lengths[:, None, None]
        leaves = (s[:, :-1] < end_s - 1) & (u <= end_u) | (s[:, :-1] == end_s - 1) & (u == end_u)
        passes = (s[:, :-1] >= end_s) & (u == positions - 1)
        emits = (s < end_s) & (u[:-1] < end_u)
        climbs = (s == end_s) & (u[:-1] >= end_u)
        label = torch.nn.functional.pad(label.double(), (0, 0, 0, 1))
        return cls(
            torch.where(leaves, blank.double(), torch.where(passes, 0.0, -torch.inf)),
            torch.where(emits, label, torch.where(climbs, 0.0, -torch.inf)),
        )

    def stacked(self, both_directions: bool) -> Tensor:
        """(S+U, 2, K, U+1): the arcs of diagonal s + u that leave position u; K = B forward [+ B flipped] lattices."""
        trials, frames, positions = self.blank.shape
        lattices = 2 * trials if both_directions else trials
        skewed = self.blank.new_full((frames + positions - 1, 2, lattices, positions), -torch.inf)
        row = 2 * lattices * positions
        for kind, arc in enumerate((self.blank, self.label)):
            strides = (positions, row, row + 1)
            view = skewed.as_strided((lattices, *arc.shape[1:]), strides, kind * lattices * positions)
            view[:trials] = arc
            if both_directions:
                view[trials:] = arc.flip(1, 2)
        return skewed


def _forward(arcs: Tensor) -> Tensor:
    """(K, S+1, U+1) log-probabilities of reaching each cell, a view of storage kept by diagonals."""
    steps, _, lattices, positions = arcs.shape
    reached = arcs.new_full((steps + 1, lattices, positions), -torch.inf)
    reached[0, :, 0] = 0.0
    moved = arcs.new_full((2, lattices, positions + 1), -torch.inf)
    after, by_blank, by_label = moved[:, :, 1:], moved[0, :, 1:], moved[1, :, :-1]
    rows = reached.unbind(0)
    for row, following, weights in zip(rows, rows[1:], arcs.unbind(0), strict=False):
        torch.add(row, weights, out=after)
        torch.logaddexp(by_blank, by_label, out=following)
    stride = lattices * positions
    return reached.as_strided((lattices, steps - positions + 2, positions), (positions, stride, stride + 1))
