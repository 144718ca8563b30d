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
    return -_Lattices(blank, label, trials, directions=1).reached()[:, -1, -1]


def lattice_flows(blank: Tensor, label: Tensor, trials: Trials) -> tuple[Tensor, Flows]:
    """The costs of `lattice_costs`, and the flows. A trial with no possible path has cost inf and flows 0."""
    alpha, backwards = _Lattices(blank, label, trials, directions=2).reached().chunk(2)
    beta = backwards.flip(1, 2)
    total = alpha[:, -1, -1].clone()
    origin = torch.where(total.isneginf(), 0.0, total)[:, None, None]
    by_label = blank.new_full(blank.shape, -torch.inf, dtype=torch.float64)
    torch.add(alpha[:, :-1, :-1], beta[:, :-1, 1:], out=by_label[:, :, :-1])
    by_label[:, :, :-1] += label
    by_blank = beta[:, 1:].add_(alpha[:, :-1]).add_(blank)
    padding = ~trials.real_cells(blank.shape[1])
    return -total, Flows(*(flow.sub_(origin).exp_().masked_fill_(padding, 0.0) for flow in (by_blank, by_label)))


class _Lattices:
    """Log-weights of the arcs of lattices one row taller, in which every trial ends in the last cell.

    From a trial's own end a path of weight one leads through the padding: up the labels, then along the frames. So no
    trial needs a step of its own, and the backward direction is the forward one on the flipped lattice. Storage is by
    diagonals s + u, so that a step reads and writes whole rows.
    """

    def __init__(self, blank: Tensor, label: Tensor, trials: Trials, directions: int) -> None:
        size, frames, positions = blank.shape
        self.count, self.positions = directions * size, positions
        steps = frames + positions - 1
        self.steps = blank.new_full((steps, 2, self.count, positions), -torch.inf, dtype=torch.float64)
        stride = self.steps.stride(0)
        skew = positions, stride, stride + 1
        self.blank = self.steps.as_strided((self.count, frames, positions), skew)  # (s, u) -> (s+1, u)
        self.label = self.steps[:, 1].as_strided((self.count, frames + 1, positions - 1), skew)  # (s, u) -> (s, u+1)
        self._set(blank, label, trials)
        for arcs in (self.blank, self.label):
            if directions == 2:
                arcs[size:] = arcs[:size].flip(1, 2)

    def _set(self, blank: Tensor, label: Tensor, trials: Trials) -> None:
        trial = slice(len(blank))
        s = torch.arange(self.label.shape[1], device=blank.device)[:, None]
        u = torch.arange(self.positions, device=blank.device)
        end_s, end_u = trials.frame_lengths[:, None, None], trials.label_lengths[:, None, None]
        leaves = (s < end_s - 1) & (u <= end_u) | (s == end_s - 1) & (u == end_u)
        passes = (s >= end_s) & (u == self.positions - 1)
        arcs = self.blank[trial].copy_(blank)
        arcs.masked_fill_(~(leaves | passes)[:, :-1], -torch.inf).masked_fill_(passes[:, :-1], 0.0)
        emits, climbs = (s < end_s) & (u < end_u), (s == end_s) & (u >= end_u)
        arcs = self.label[trial]
        arcs[:, :-1] = label
        arcs.masked_fill_(~(emits | climbs)[:, :, :-1], -torch.inf).masked_fill_(climbs[:, :, :-1], 0.0)

    def reached(self) -> Tensor:
        """(K, S+1, U+1) log-probabilities of reaching each cell."""
        steps, _, count, positions = self.steps.shape
        reached = self.steps.new_full((steps + 1, count, positions), -torch.inf)
        reached[0, :, 0] = 0.0
        moved = self.steps.new_full((2, count, positions + 1), -torch.inf)
        after, by_blank, by_label = moved[:, :, 1:], moved[0, :, 1:], moved[1, :, :-1]
        rows = reached.unbind(0)
        for row, following, weights in zip(rows, rows[1:], self.steps.unbind(0), strict=False):
            torch.add(row, weights, out=after)
            torch.logaddexp(by_blank, by_label, out=following)
        stride = reached.stride(0)
        return reached.as_strided((count, steps - positions + 2, positions), (positions, stride, stride + 1))
