"""How what a decoder heard came from what was said: a stochastic edit model, learnt without knowing the alignments.

Ristad and Yianilos 1998, Learning string-edit distance; its heard side is a confusion network here. Each phoneme said
is lost, or fills one slot; slots can be added without anything said.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.language.confusion_network import ConfusionNetwork, Floats

_KEPT = 0.9  # the share of a phoneme that is heard as it is, before anything is learnt
_RARE = 0.02  # the share that is lost, or added, before anything is learnt
_PRIOR = 5.0  # phonemes of a coarser model that count beside those heard
_ROUNDS = 4
_SMALL = 1e-6  # added to every share, so that nothing is impossible


class EditModel(NamedTuple):
    """Probabilities; V classes, 0 for nothing."""

    heard: Floats  # (V said, V heard); with lost, each row sums to 1
    lost: Floats  # (V,)
    added: Floats  # (V heard,) for each phoneme said


class Pair(NamedTuple):
    """A labelled line: what was said, and what a decoder made of it."""

    said: Sequence[int]
    network: ConfusionNetwork


class Alignment(NamedTuple):
    """Of one pair: probabilities over all its alignments."""

    said: Floats  # (S, U) that this phoneme fills this slot
    lost: Floats  # (U,)
    added: Floats  # (S,) that nothing was said


def learn_edits(pairs: Sequence[Pair], num_classes: int) -> EditModel:
    """Expectation maximisation. A phoneme's confusions are held to those of all phonemes together."""
    wrong = (1 - _KEPT - _RARE) / num_classes
    heard = np.full((num_classes, num_classes), wrong) + (_KEPT * np.eye(num_classes))
    model = EditModel(heard, np.full(num_classes, _RARE), np.full(num_classes, _RARE / num_classes))
    for _ in range(_ROUNDS):
        counts = EditModel(*(np.zeros_like(part) for part in model))
        for pair in pairs:
            _count(pair, model, counts)
        model = _normalise(counts)
    return model


def align_pair(pair: Pair, model: EditModel) -> Alignment:
    """Forward and backward over all alignments."""
    said = np.asarray(pair.said, dtype=np.int64)
    with np.errstate(divide="ignore"):
        match = np.log(pair.network.shares @ model.heard[said].T)
        added, lost = np.log(pair.network.shares @ model.added), np.log(model.lost[said])
    forward = _forward(match, added, lost)
    backward = _forward(match[::-1, ::-1], added[::-1], lost[::-1])[::-1, ::-1]
    whole = forward[-1, -1]
    return Alignment(
        said=np.exp(forward[:-1, :-1] + match + backward[1:, 1:] - whole),
        lost=np.exp(forward[:, :-1] + lost + backward[:, 1:] - whole).sum(axis=0),
        added=np.exp(forward[:-1] + added[:, None] + backward[1:] - whole).sum(axis=1),
    )


def _count(pair: Pair, model: EditModel, counts: EditModel) -> None:
    """Add how often each event is expected to have happened in a pair."""
    said, shares = np.asarray(pair.said, dtype=np.int64), pair.network.shares
    alignment = align_pair(pair, model)
    mixed = shares @ model.heard[said].T  # (S, U)
    heard = (alignment.said / mixed).T @ shares * model.heard[said]  # (U, V)
    np.add.at(counts.heard, said, heard)
    np.add.at(counts.lost, said, alignment.lost)
    counts.added[:] += (alignment.added / (shares @ model.added)) @ shares * model.added


def _normalise(counts: EditModel) -> EditModel:
    num_classes = len(counts.lost)
    right = np.eye(num_classes, dtype=bool)
    wrong = np.where(right, 0.0, counts.heard).sum(axis=0)
    kept = counts.heard[right].sum() / max(float(counts.heard.sum()), 1.0)
    coarse = np.where(right, kept, 0.0) + (1 - kept) * (wrong + 1.0) / (wrong.sum() + num_classes)
    said = counts.heard.sum(axis=1) + counts.lost
    rate = (counts.lost.sum() + 1.0) / (said.sum() + num_classes)
    lost = (counts.lost + _PRIOR * rate) / (said + _PRIOR)
    heard = counts.heard + _PRIOR * coarse
    heard = heard / heard.sum(axis=1, keepdims=True) + _SMALL
    heard *= ((1 - lost) / heard.sum(axis=1))[:, None]
    added = (counts.added + 1.0 / num_classes) / max(float(said.sum()), 1.0)
    return EditModel(heard, lost, added)


def _forward(match: Floats, added: Floats, lost: Floats) -> Floats:
    """(S + 1, U + 1) log-probability of all alignments of the first slots and the first phonemes."""
    slots, said = match.shape
    table = np.full((slots + 1, said + 1), -np.inf)
    ahead = np.concatenate(([0.0], np.cumsum(lost)))  # of losing the first phonemes
    entered = np.full(said + 1, -np.inf)
    entered[0] = 0.0
    for row in range(slots + 1):
        if row:
            entered = table[row - 1] + added[row - 1]
            entered[1:] = np.logaddexp(entered[1:], table[row - 1, :-1] + match[row - 1])
        table[row] = np.logaddexp.accumulate(entered - ahead) + ahead
    return table
