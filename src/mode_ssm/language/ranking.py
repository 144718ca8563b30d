"""Weights of the scores that an n-best is ranked by, learnt by the word errors to be expected of it.

Och 2003, Minimum error rate training in statistical machine translation, section 4: the errors of each list are
weighted by the softmax of its scores, so that they can be differentiated.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mode_ssm.errors import InputError

Floats = NDArray[np.float64]
_DECAY = 1.0  # how strongly weights are held to where they start
_STEPS = 80  # of L-BFGS
_SPOILED = torch.finfo(torch.float64).min


class RankedList(NamedTuple):
    """The n-best of one sentence."""

    scores: Floats  # (N, F) natural logarithms, higher is better
    errors: Floats  # (N,) word errors of each


def learn_ranking(lists: Sequence[RankedList], start: Sequence[float] | Floats) -> Floats:
    """The F weights, held to `start`, under which the lists have the fewest expected word errors.

    Raises:
        InputError: where no list has sentences to choose between.
    """
    open_lists = [one for one in lists if len(one.errors) > 1]
    if not open_lists:
        raise InputError("No n-best has two sentences to choose between; decode with a larger nbest.")
    most = max(len(one.errors) for one in open_lists)
    scores = torch.zeros(len(open_lists), most, len(start), dtype=torch.float64)
    errors = torch.zeros(len(open_lists), most, dtype=torch.float64)
    there = torch.zeros(len(open_lists), most, dtype=torch.bool)
    for row, one in enumerate(open_lists):
        scores[row, : len(one.errors)] = torch.from_numpy(one.scores - one.scores.max(axis=0))
        errors[row, : len(one.errors)] = torch.from_numpy(one.errors)
        there[row, : len(one.errors)] = True
    held = torch.tensor(np.asarray(start), dtype=torch.float64)
    weights = held.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        shares = (scores @ weights).masked_fill(~there, _SPOILED).softmax(dim=1)
        total: torch.Tensor = (shares * errors).sum() + _DECAY / 2 * (weights - held).square().sum()
        total.backward()
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    learnt: Floats = weights.detach().numpy()
    return learnt
