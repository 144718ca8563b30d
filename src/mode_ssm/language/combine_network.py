"""The hypotheses of several systems for one trial as slots of words with votes, and the sentences to choose from.

Fiscus 1997, A post-processing system to yield reduced word error rates: recognizer output voting error reduction
(ROVER). Hypotheses are aligned one after another, the one nearest to all others first.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

Floats = NDArray[np.float64]
Words = tuple[str, ...]
NOTHING = ""  # stands in a slot for: no word here
_UNLIKE = 0.1  # what a substitution costs beyond 1 where the words share no letter, so that like words are aligned


class Vote(NamedTuple):
    """A sentence and how much of each of K systems' votes it has."""

    words: Words
    shares: Floats  # (K,)


class Candidate(NamedTuple):
    """A sentence that could be chosen: one given, or one put together from several."""

    words: Words
    agreement: Floats  # (K,) the votes of each system for its words, summed over slots
    whole: float  # the mean share of a system's votes that the very same sentence has


Slot = dict[str, Floats]  # word -> (K,) votes


def word_network(votes: Sequence[Vote]) -> list[Slot]:
    """Align all sentences; each slot has all votes, those for no word included."""
    distances = np.array([[Levenshtein.distance(a.words, b.words) for b in votes] for a in votes])
    weights = np.array([vote.shares.sum() for vote in votes])
    order = np.argsort(distances @ weights - weights * 1e-9, kind="stable")
    return align_in_order([votes[place] for place in order])


def align_in_order(votes: Sequence[Vote]) -> list[Slot]:
    """Align sentences one after another, in the order given, to the slots of those before."""
    slots: list[Slot] = []
    before = np.zeros_like(votes[0].shares)
    for words, shares in votes:
        aligned: list[Slot] = []
        for slot, word in align(slots, words):
            entry = slots[slot] if slot is not None else {NOTHING: before} if before.any() else {}
            entry[word] = entry.get(word, 0.0) + shares
            aligned.append(entry)
        slots, before = aligned, before + shares
    return slots


def align(slots: Sequence[Slot], words: Sequence[str]) -> list[tuple[int | None, str]]:
    """A shortest path of a sentence through slots: (slot or None for a new one, word or nothing)."""
    skip = [0.0 if NOTHING in slot else 1.0 for slot in slots]
    cost = [[float(column) for column in range(len(words) + 1)]]
    change = [[_substitution(slot, word) for word in words] for slot in slots]
    for row, slot_skip in enumerate(skip):
        line = [cost[-1][0] + slot_skip]
        for column in range(len(words)):
            paths = (cost[-1][column] + change[row][column], cost[-1][column + 1] + slot_skip, line[-1] + 1.0)
            line.append(min(paths))
        cost.append(line)
    path: list[tuple[int | None, str]] = []
    row, column = len(slots), len(words)
    while row or column:
        here = cost[row][column]
        if row and column and here == cost[row - 1][column - 1] + change[row - 1][column - 1]:
            row, column = row - 1, column - 1
            path.append((row, words[column]))
        elif row and here == cost[row - 1][column] + skip[row - 1]:
            row -= 1
            path.append((row, NOTHING))
        else:
            column -= 1
            path.append((None, words[column]))
    return path[::-1]


def _substitution(slot: Slot, word: str) -> float:
    if word in slot:
        return 0.0
    return 1.0 + _UNLIKE * min(Levenshtein.normalized_distance(word, other) if other else 1.0 for other in slot)


def candidates(votes: Sequence[Vote], limit: int) -> list[Candidate]:
    """All sentences given, and the `limit` best paths through their network by the product of votes."""
    slots = word_network(votes)
    systems = len(votes[0].shares)
    beam: list[tuple[float, Words]] = [(0.0, ())]
    for slot in slots:
        longer = [
            (score + float(np.log(shares.sum() / systems)), (*path, word))
            for score, path in beam
            for word, shares in slot.items()
        ]
        beam = sorted(longer, key=lambda found: -found[0])[:limit]
    paths = [path for _, path in beam]
    for vote in votes:
        aligned = align(slots, vote.words)
        if all(slot is not None for slot, _ in aligned):
            paths.append(tuple(word for _, word in aligned))
    given = {vote.words: float(vote.shares.sum()) / systems for vote in votes}
    found: dict[Words, Candidate] = {}
    for path in paths:
        words = tuple(word for word in path if word != NOTHING)
        agreement = np.sum([slot[word] for slot, word in zip(slots, path, strict=True)], axis=0)
        if words not in found or agreement.sum() > found[words].agreement.sum():
            found[words] = Candidate(words, np.asarray(agreement + np.zeros(systems)), given.get(words, 0.0))
    return list(found.values())
