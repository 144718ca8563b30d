"""Several n-gram models as one, by static linear interpolation, and the shares that suit a held-out text.

p(w | h) = sum_k share_k p_k(w | h) for every n-gram that any of the models has; back-off weights are computed anew, so
that each history's probabilities sum to 1. Stolcke 2002, SRILM - an extensible language modeling toolkit.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import BackoffModel, NGrams
from mode_ssm.language.ngram_store import NGramStore

Floats = NDArray[np.float64]
_LEAST = 1e-12  # of a probability or of what is left for backing off


def mix_models(models: Sequence[BackoffModel], shares: Sequence[float]) -> BackoffModel:
    """Mix models of the same words in the same order.

    Raises:
        InputError: for models of other words, or shares that are not positive.
    """
    words = models[0].words
    if any(model.words != words for model in models):
        raise InputError("The models to mix know different words; build each with the same vocabulary.")
    if len(shares) != len(models) or min(shares) <= 0:
        raise InputError(f"{len(models)} models need as many positive shares, not {list(shares)}.")
    stores = [NGramStore.of(model) for model in models]
    orders = max(len(model.orders) for model in models)
    weights = np.log(np.asarray(shares) / sum(shares))
    mixed: list[NGrams] = []
    for order in range(orders):
        grams = _union([model.orders[order].words for model in models if len(model.orders) > order], len(words))
        scores = [_score(store, grams) + weight for store, weight in zip(stores, weights, strict=True)]
        log_probs = np.logaddexp.reduce(scores)
        mixed.append(NGrams(grams, log_probs.astype(np.float32), np.zeros(len(grams), np.float32)))
        if order:
            below = NGramStore.of(BackoffModel(words, tuple(mixed[:-1])))
            mixed[-2] = mixed[-2]._replace(backoffs=_backoffs(mixed[-2].words, mixed[-1], below))
    return BackoffModel(words, tuple(mixed))


def even_model(words: tuple[str, ...], among: Collection[str]) -> BackoffModel:
    """Each of some words as probable as the next, wherever: for words that no text has. Sentences never end in it."""
    numbers = np.arange(len(words), dtype=np.int32)
    inside = np.array([word in among for word in words])
    log_probs = np.where(inside, -np.log(max(int(inside.sum()), 1)), np.log(_LEAST)).astype(np.float32)
    return BackoffModel(words, (NGrams(numbers[:, None], log_probs, np.zeros(len(words), np.float32)),))


def fit_shares(models: Sequence[NGramStore], sentences: Sequence[Sequence[int]], rounds: int = 50) -> list[float]:
    """The shares under which held-out sentences (word numbers of the models) are most probable, by EM."""
    if not sentences:
        raise InputError("There is no sentence to fit the shares of the models to; give some held-out text.")
    log_probs = np.array([_score_text(model, sentences) for model in models])
    shares = np.full(len(models), 1 / len(models))
    for _ in range(rounds):
        joint = log_probs + np.log(np.maximum(shares, _LEAST))[:, None]
        shares = np.exp(joint - np.logaddexp.reduce(joint)).mean(axis=1)
    return [float(share) for share in shares]


def _score_text(model: NGramStore, sentences: Sequence[Sequence[int]]) -> Floats:
    """Log-probability of every word and sentence end, all sentences side by side."""
    lengths = np.array([len(sentence) for sentence in sentences])
    states, found = np.full(len(sentences), model.start), []
    for place in range(int(lengths.max()) + 1):
        going_on = np.flatnonzero(lengths > place)
        ending = np.flatnonzero(lengths == place)
        found.append(model.finish(states[ending]))
        after, gained = model.score(states[going_on], [sentences[row][place] for row in going_on.tolist()])
        states[going_on] = after
        found.append(gained)
    return np.concatenate(found)


def _union(tables: Sequence[NDArray[np.int32]], width: int) -> NDArray[np.int32]:
    """The rows of all tables, each once, sorted."""
    together = np.concatenate(tables)
    return together[np.unique(_keys(together, width), return_index=True)[1]]


def _keys(grams: NDArray[np.int32], width: int) -> NDArray[np.uint64]:
    """A number a row, in the order of the rows; equal for equal rows of this table alone."""
    keys, above = np.zeros(len(grams), np.uint64), 1  # every key is below
    for column in grams.T:
        if above * width > 2**64:
            keys = np.unique(keys, return_inverse=True)[1].astype(np.uint64)
            above = len(keys)
        keys, above = keys * np.uint64(width) + column.astype(np.uint64), above * width
    return keys


def _score(store: NGramStore, grams: NDArray[np.int32]) -> Floats:
    """log p(last word | the others) of each row."""
    states = np.full(len(grams), store.empty, np.int64)
    for column in grams.T[:-1]:
        states = store.score(states, column).states
    return store.score(states, grams[:, -1]).log_probs


def _backoffs(contexts: NDArray[np.int32], longer: NGrams, below: NGramStore) -> NDArray[np.float32]:
    """What the n-grams of each context leave for other words, beside what those have one order down.

    Raises:
        InputError: where an n-gram's first words are no n-gram.
    """
    width = len(below.words)
    keys, sought = np.split(_keys(np.concatenate((contexts, longer.words[:, :-1])), width), [len(contexts)])
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    if (keys[place] != sought).any():
        raise InputError("A model to mix has an n-gram whose first words are no n-gram of it; build it anew.")
    shorter = _score(below, longer.words[:, 1:])
    used = np.bincount(place, np.exp(longer.log_probs.astype(np.float64)), minlength=len(contexts))
    used_below = np.bincount(place, np.exp(shorter), minlength=len(contexts))
    left = np.maximum(1 - used, _LEAST) / np.maximum(1 - used_below, _LEAST)
    return np.where(used > 0, np.log(left), 0.0).astype(np.float32)
