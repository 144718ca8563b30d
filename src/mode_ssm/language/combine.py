"""Chooses one sentence from those of several systems: the least expected word errors under weighted votes.

Goel and Byrne 2000, Minimum Bayes-risk automatic speech recognition. The probability of a sentence is log-linear in the
votes that its words have, and the weights of the systems are learnt on labelled trials by the word errors expected.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from mode_ssm.errors import InputError
from mode_ssm.language.combine_network import Candidate, Words

Floats = NDArray[np.float64]
_EVEN = 4.0  # the sum of the weights of all systems where nothing is learnt
_PRIOR = 1.0  # how strongly learnt weights are held to it
_LEAST = 1e-4  # sentences less probable than this, beside the best, are left out of the expectation
_SPOILED = torch.finfo(torch.float64).min


@dataclass(frozen=True)
class SystemWeights:
    """Natural logarithms: of one vote for a word of each system, and of all systems giving the whole sentence."""

    votes: tuple[float, ...]  # (K,)
    whole: float = 0.0


def even_weights(systems: int) -> SystemWeights:
    return SystemWeights((_EVEN / systems,) * systems)


def choose(choices: Sequence[Candidate], weights: SystemWeights) -> Words:
    """The sentence with the least expected word errors."""
    scores = _features(choices) @ np.array([*weights.votes, weights.whole])
    shares = np.exp(scores - scores.max())
    order = [int(place) for place in np.argsort(-shares, kind="stable") if shares[place] > _LEAST]
    risks = [
        sum(shares[other] * Levenshtein.distance(choices[other].words, choices[place].words) for other in order)
        for place in order
    ]
    return choices[order[int(np.argmin(risks))]].words


def learn_weights(trials: Sequence[tuple[Words, Sequence[Candidate]]]) -> SystemWeights:
    """Weights with the least expected word errors on trials of (what was said, candidates), held to even ones.

    Raises:
        InputError: where no trial has sentences to choose between.
    """
    open_trials = [(said, choices) for said, choices in trials if len(choices) > 1]
    if not open_trials:
        raise InputError("The systems agree on every labelled trial: there are no weights to learn; give more trials.")
    systems = len(open_trials[0][1][0].agreement)
    prior = torch.tensor([*even_weights(systems).votes, 0.0], dtype=torch.float64)
    features, errors, there = _pad(open_trials, systems)
    weights = prior.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        shares = (features @ weights).masked_fill(~there, _SPOILED).softmax(dim=1)
        total = (shares * errors).sum() + _PRIOR / 2 * (weights - prior).square().sum()
        total.backward()
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    learnt = weights.detach().tolist()
    return SystemWeights(tuple(learnt[:-1]), learnt[-1])


def _pad(
    trials: Sequence[tuple[Words, Sequence[Candidate]]], systems: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    most = max(len(choices) for _, choices in trials)
    features = torch.zeros(len(trials), most, systems + 1, dtype=torch.float64)
    errors = torch.zeros(len(trials), most, dtype=torch.float64)
    there = torch.zeros(len(trials), most, dtype=torch.bool)
    for row, (said, choices) in enumerate(trials):
        features[row, : len(choices)] = torch.from_numpy(_features(choices))
        edits = [float(Levenshtein.distance(said, choice.words)) for choice in choices]
        errors[row, : len(choices)] = torch.tensor(edits, dtype=torch.float64)
        there[row, : len(choices)] = True
    return features, errors, there


def _features(choices: Sequence[Candidate]) -> Floats:
    return np.array([[*choice.agreement, choice.whole] for choice in choices])
