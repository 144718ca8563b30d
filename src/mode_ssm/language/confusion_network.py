"""The n-best strings of a decoder as one confusion network: slots, each with the shares of what was heard there.

Mangu, Brill and Stolcke 2000, Finding consensus in speech recognition, here from strings instead of a lattice: every
string is aligned with the best one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

Floats = NDArray[np.float64]
Place = tuple[int, int]  # (gap, 0) is a label of the best string, (gap, k) the k-th that others put before it
NOTHING = 0  # the class, a blank elsewhere, that says a string has no label in a slot


class ScoredString(NamedTuple):
    """One string of an n-best, as its decoder scored it: a natural logarithm, up to a constant."""

    score: float
    labels: tuple[int, ...]


class ConfusionNetwork(NamedTuple):
    """S slots; each row of shares sums to 1."""

    shares: Floats  # (S, V), class 0 for nothing
    disputed: NDArray[np.int64]  # (S,) 0 where all strings agree, 1 where they do not
    score: float = 0.0  # of the best string


def confusion_network(nbest: Sequence[ScoredString], num_classes: int, temperature: float) -> ConfusionNetwork:
    """Align an n-best, weighted by softmax(score / temperature); the order of the strings does not matter.

    >>> network = confusion_network([ScoredString(0.0, (1, 2)), ScoredString(0.0, (1, 3, 2))], 4, 1.0)
    >>> network.shares.tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0]]
    >>> network.disputed.tolist()
    [0, 1, 0]
    """
    ranked = sorted(nbest, key=lambda string: (-string.score, string.labels))
    scores = np.array([string.score for string in ranked]) / temperature
    weights = np.exp(scores - np.logaddexp.reduce(scores))
    aligned = [_align(ranked[0].labels, string.labels) for string in ranked]
    places = sorted({place for found in aligned for place in found}, key=lambda p: (p[0], p[1] == 0, p[1]))
    shares = np.zeros((len(places), num_classes))
    for found, weight in zip(aligned, weights, strict=True):
        for row, place in enumerate(places):
            shares[row, found.get(place, NOTHING)] += weight
    heard = [{found.get(place, NOTHING) for found in aligned} for place in places]
    disputed = np.array([int(len(labels) > 1) for labels in heard], dtype=np.int64)
    return ConfusionNetwork(shares, disputed, ranked[0].score)


def _align(best: Sequence[int], other: Sequence[int]) -> dict[Place, int]:
    """What another string has at each place of the best one, and what it puts between them."""
    found: dict[Place, int] = {(at, 0): label for at, label in enumerate(best)}
    added: dict[int, int] = {}
    for step in Levenshtein.editops(best, other):
        if step.tag == "delete":
            found[step.src_pos, 0] = NOTHING
        elif step.tag == "replace":
            found[step.src_pos, 0] = other[step.dest_pos]
        else:
            added[step.src_pos] = added.get(step.src_pos, 0) + 1
            found[step.src_pos, added[step.src_pos]] = other[step.dest_pos]
    return found
