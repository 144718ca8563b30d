"""A tiny transducer whose predictor depends on the whole label history, and its exhaustive search."""

from collections.abc import Iterator
from copy import copy
from itertools import product

import numpy as np
import torch
from torch import Tensor

from mode_ssm.decoding.transducer import State, TransducerCallables

WIDTH = 5


class TinyTransducer:
    def __init__(self, classes: int, seed: int, sharpness: float = 1.5) -> None:
        random = torch.Generator().manual_seed(seed)
        self.classes = classes
        self.embedding = torch.randn(classes, WIDTH, generator=random, dtype=torch.float64)
        self.recurrent = torch.randn(WIDTH, WIDTH, generator=random, dtype=torch.float64) / 2
        self.output = sharpness * torch.randn(WIDTH, classes, generator=random, dtype=torch.float64)
        self.random = random
        self.blank = 0
        self.predicted = 0  # rows that predict was asked for

    def callables(self) -> TransducerCallables:
        return TransducerCallables(self.initial, self.predict, self.join, self.blank)

    def renumbered(self, order: list[int]) -> "TinyTransducer":
        """The same transducer, whose class c has the number order[c]."""
        other, back = copy(self), torch.tensor(order).argsort()
        other.embedding, other.output, other.blank = self.embedding[back], self.output[:, back], order[0]
        return other

    def encoded(self, *shape: int) -> Tensor:
        return torch.randn(*shape, WIDTH, generator=self.random, dtype=torch.float64)

    def initial(self, size: int) -> State:
        return (torch.zeros(size, WIDTH, dtype=torch.float64),)

    def predict(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        self.predicted += len(labels)
        hidden = torch.tanh(self.embedding[labels] + state[0] @ self.recurrent)
        return hidden, (hidden,)

    def join(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        return (torch.tanh(encoded + predicted) @ self.output).log_softmax(-1)

    def table(self, encoded: Tensor, labels: tuple[int, ...]) -> np.ndarray:
        """(S, U + 1, V) log-probabilities along one label sequence; encoded (S, J)."""
        out, state = self.predict(torch.tensor([0]), self.initial(1))
        rows = [self.join(encoded, out)]
        for label in labels:
            out, state = self.predict(torch.tensor([label]), state)
            rows.append(self.join(encoded, out))
        return torch.stack(rows, dim=1).numpy()

    def internal_lm(self, labels: tuple[int, ...]) -> float:
        table = self.table(torch.zeros(1, WIDTH, dtype=torch.float64), labels)[0]
        return sum(table[u, label] - np.logaddexp.reduce(table[u, 1:]) for u, label in enumerate(labels))


def alignments(table: np.ndarray, labels: tuple[int, ...], bound: int) -> list[float]:
    """The score of each alignment with at most `bound` labels a frame, each enumerated as counts per frame."""
    frames = len(table)
    scores = []
    for counts in product(range(bound + 1), repeat=frames):
        if sum(counts) != len(labels):
            continue
        score, u = 0.0, 0
        for frame, count in enumerate(counts):
            for _ in range(count):
                score += table[frame, u, labels[u]]
                u += 1
            score += table[frame, u, 0]
        scores.append(score)
    return scores


def alignment_sum(table: np.ndarray, labels: tuple[int, ...], bound: int) -> float:
    return float(np.logaddexp.reduce(alignments(table, labels, bound) or [-np.inf]))


def alignment_best(table: np.ndarray, labels: tuple[int, ...], bound: int) -> float:
    return max(alignments(table, labels, bound), default=-np.inf)


def label_sequences(classes: int, longest: int) -> Iterator[tuple[int, ...]]:
    for size in range(longest + 1):
        yield from product(range(1, classes), repeat=size)


def exhaustive(tiny: TinyTransducer, encoded: Tensor, bound: int) -> dict[tuple[int, ...], float]:
    """Every label sequence that fits into the frames, with its summed score."""
    longest = bound * len(encoded)
    return {y: alignment_sum(tiny.table(encoded, y), y, bound) for y in label_sequences(tiny.classes, longest)}
