"""Weights of an n-best's scores: recovered where they are known, and beside the least of a fine grid."""

import numpy as np
import pytest

from mode_ssm.errors import InputError
from mode_ssm.language.ranking import RankedList, learn_ranking


def made(count: int, true: np.ndarray, seed: int) -> list[RankedList]:
    """The sentence with the highest true score has no error, each other one as many as it lies below."""
    random = np.random.default_rng(seed)
    lists = []
    for _ in range(count):
        scores = random.normal(size=(int(random.integers(1, 7)), len(true))) * 4
        ranked = scores @ true
        lists.append(RankedList(scores, np.round(ranked.max() - ranked)))
    return lists


def first_errors(lists: list[RankedList], weights: np.ndarray) -> float:
    return float(sum(one.errors[np.argmax(one.scores @ weights)] for one in lists))


def test_weights_that_rank_right_are_found() -> None:
    true = np.array([1.0, 0.7, -0.3])
    learnt = learn_ranking(made(200, true, 0), (1.0, 0.0, 0.0))
    assert learnt / learnt[0] == pytest.approx(true, abs=0.1)
    unseen = made(200, true, 1)
    assert first_errors(unseen, learnt) < first_errors(unseen, np.array([1.0, 0.0, 0.0])) / 5


def test_expected_errors_are_the_least_of_a_grid() -> None:
    """One weight, beside the sum of errors by the softmax and the decay, written anew."""
    lists = [
        RankedList(np.array([[0.0], [1.0]]), np.array([0.0, 2.0])),
        RankedList(np.array([[0.5], [-1.0], [0.0]]), np.array([1.0, 3.0, 0.0])),
    ]

    def risk(weight: float) -> float:
        cost = 0.5 * (weight - 1.0) ** 2
        for scores, errors in lists:
            shares = np.exp(weight * scores[:, 0])
            cost += float(shares @ errors / shares.sum())
        return cost

    grid = np.arange(-3, 3, 0.001)
    best = grid[np.argmin([risk(weight) for weight in grid])]
    assert learn_ranking(lists, (1.0,))[0] == pytest.approx(best, abs=0.002)


def test_lists_of_one_sentence_teach_nothing() -> None:
    with pytest.raises(InputError, match="two sentences to choose between"):
        learn_ranking([RankedList(np.zeros((1, 2)), np.zeros(1))], (1.0, 1.0))
