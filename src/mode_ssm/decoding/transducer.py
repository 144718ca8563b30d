"""What a transducer search needs of a model, and the greedy search.

The predictor moves on labels only: its state after a frame without a label is the state before it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

State = tuple[Tensor, ...]  # each with the hypotheses N as its first dimension


@dataclass(frozen=True)
class TransducerCallables:
    """A trained predictor and joiner, in evaluation mode. J is the width in which they meet."""

    initial: Callable[[int], State]  # N -> the state before the first label
    predict: Callable[[Tensor, State], tuple[Tensor, State]]  # labels (N,), state -> (N, J), the state after them
    join: Callable[[Tensor, Tensor], Tensor]  # encoder (N, J), predictor (N, J) -> log-probabilities (N, V)
    blank: int  # class of the blank, which also stands before the first label


class Hypothesis(NamedTuple):
    """A label sequence with its score; better is higher."""

    labels: tuple[int, ...]
    score: float  # natural log
    frames: tuple[int, ...]  # the encoder frame that emitted each label


@dataclass
class _Path:
    """A greedy path under construction."""

    labels: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    score: float = 0.0
    frame: int = 0
    labels_here: int = 0  # emitted in this frame so far

    def take(self, label: int, log_prob: float, *, blank: int, max_labels_per_frame: int) -> None:
        self.score += log_prob
        if label != blank:
            self.labels.append(label)
            self.frames.append(self.frame)
            self.labels_here += 1
        if label == blank or self.labels_here == max_labels_per_frame:
            self.frame += 1
            self.labels_here = 0


@torch.no_grad()
def transducer_greedy(
    encoded: Tensor, lengths: Tensor, model: TransducerCallables, max_labels_per_frame: int
) -> list[Hypothesis]:
    """Take the best symbol at each step, for all trials at once, each at its own frame.

    encoded (B, S, J) are encoder projections. A blank moves a trial to its next frame, as do max_labels_per_frame
    labels in one frame; a score sums the log-probabilities of the symbols taken.
    """
    sizes = lengths.tolist()
    paths = [_Path() for _ in sizes]
    blanks = torch.full((len(paths),), model.blank, device=encoded.device)
    predicted, state = model.predict(blanks, model.initial(len(paths)))
    active = [row for row, size in enumerate(sizes) if size > 0]
    while active:
        rows = torch.tensor(active, device=encoded.device)
        frames = torch.tensor([paths[row].frame for row in active], device=encoded.device)
        best = model.join(encoded[rows, frames], predicted[rows]).max(dim=-1)
        for row, label, log_prob in zip(active, best.indices.tolist(), best.values.tolist(), strict=True):
            paths[row].take(label, log_prob, blank=model.blank, max_labels_per_frame=max_labels_per_frame)
        moved = best.indices != model.blank
        predicted, state = _advance(model, predicted, state, rows[moved], best.indices[moved])
        active = [row for row in active if paths[row].frame < sizes[row]]
    return [Hypothesis(tuple(path.labels), path.score, tuple(path.frames)) for path in paths]


def _advance(
    model: TransducerCallables, predicted: Tensor, state: State, rows: Tensor, labels: Tensor
) -> tuple[Tensor, State]:
    """Move the predictor of the rows that emitted a label; the others keep theirs."""
    if not len(rows):
        return predicted, state
    new_predicted, new_state = model.predict(labels, tuple(part[rows] for part in state))
    moved = tuple(part.index_copy(0, rows, new) for part, new in zip(state, new_state, strict=True))
    return predicted.index_copy(0, rows, new_predicted), moved
