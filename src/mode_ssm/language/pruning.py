"""Makes an n-gram model smaller at the least cost (Stolcke 1998, Entropy-based pruning of backoff language models).

An n-gram goes where the perplexity of the model would rise by less than a threshold, relatively, if it alone were left
out (section 3); what it said is then said by backing off.
"""

import numpy as np
from numpy.typing import NDArray

from mode_ssm.language.arpa import END, START, BackoffModel, NGrams
from mode_ssm.language.ngram_store import NGramStore

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LEAST = 1e-12  # probability that is left to other words, so that its logarithm is finite


def prune(ngrams: NGramStore, threshold: float) -> BackoffModel:
    """Leave out n-grams of two words and more; words stay, and so does what a longer n-gram that stays begins with.

    Back-off weights are found anew, so that probabilities sum to one as before.
    """
    model = ngrams.model()
    kept = _kept(ngrams, model, threshold)
    orders = [
        NGrams(order.words[rows], order.log_probs[rows], order.backoffs[rows])
        for order, rows in zip(model.orders, kept, strict=True)
    ]
    for size in range(2, len(orders) + 1):
        below = np.cumsum(kept[size - 2]) - 1  # new rows of the order below
        contexts, count = below[ngrams.context_rows(size)[kept[size - 1]]], len(orders[size - 2].words)
        shorter = NGramStore.of(BackoffModel(model.words, tuple(orders[: size - 1])))
        said, instead = np.exp(orders[size - 1].log_probs.astype(np.float64)), _backed_off(shorter, orders[size - 1])
        backoffs = _log_left(contexts, said, count) - _log_left(contexts, instead, count)
        orders[size - 2] = orders[size - 2]._replace(backoffs=backoffs.astype(np.float32))
    while len(orders) > 1 and not len(orders[-1].log_probs):
        orders.pop()
    return BackoffModel(model.words, tuple(orders))


def _kept(ngrams: NGramStore, model: BackoffModel, threshold: float) -> list[NDArray[np.bool_]]:
    """By order, which n-grams stay."""
    kept = [np.ones(len(order.log_probs), np.bool_) for order in model.orders]
    joint = _log_joint(ngrams, model)
    for size in range(len(model.orders), 1, -1):
        contexts = ngrams.context_rows(size)
        backoffs = model.orders[size - 2].backoffs.astype(np.float64)[contexts]
        rises = _rises(ngrams, model.orders[size - 1], contexts, np.exp(joint[size - 2])[contexts], backoffs)
        kept[size - 1] = rises >= threshold
        if size < len(model.orders):
            kept[size - 1][ngrams.context_rows(size + 1)[kept[size]]] = True
    return kept


def _rises(ngrams: NGramStore, order: NGrams, contexts: Ints, weights: Floats, backoffs: Floats) -> Floats:
    """The relative rise of perplexity without each n-gram; weights are the probabilities of their contexts."""
    said, instead = np.exp(order.log_probs.astype(np.float64)), _backed_off(ngrams, order)
    count = int(contexts.max(initial=-1)) + 1
    left, left_below = (np.exp(_log_left(contexts, probs, count))[contexts] for probs in (said, instead))
    new = np.log(left + said) - np.log(left_below + instead)  # the context's back-off weight without the n-gram
    change = said * (np.log(instead) + new - np.log(said)) + left * (new - backoffs)
    rises: Floats = np.expm1(-weights * change)
    return rises


def _log_joint(ngrams: NGramStore, model: BackoffModel) -> list[Floats]:
    """Log-probability of the words of each n-gram, by order; <s> is as frequent as </s>, which ends its sentence."""
    joint = [model.orders[0].log_probs.astype(np.float64)]
    joint[0][ngrams.index(START)] = joint[0][ngrams.index(END)]
    for size, order in enumerate(model.orders[1:], start=2):
        joint.append(joint[-1][ngrams.context_rows(size)] + order.log_probs)
    return joint


def _backed_off(ngrams: NGramStore, order: NGrams) -> Floats:
    """Probability of each n-gram's last word after the others without the first."""
    states = np.full(len(order.words), ngrams.empty)
    for column in order.words[:, 1:-1].T:
        states = ngrams.score(states, column).states
    return np.maximum(np.exp(ngrams.score(states, order.words[:, -1]).log_probs), _LEAST)


def _log_left(contexts: Ints, probs: Floats, count: int) -> Floats:
    """Log of what each context's n-grams leave to other words."""
    left: Floats = np.log(np.maximum(1.0 - np.bincount(contexts, probs, minlength=count), _LEAST))
    return left
