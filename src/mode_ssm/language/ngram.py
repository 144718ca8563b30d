"""Estimates n-gram models: interpolated Kneser-Ney with a discount for each order.

Chen and Goodman 1998, An empirical study of smoothing techniques for language modeling, section 2.8. An n-gram below
the highest order counts as often as different words stand before it; one that begins with <s>, before which nothing
stands, as often as it was seen.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import LN10, BackoffModel, NGrams
from mode_ssm.language.arpa_writing import save_arpa
from mode_ssm.language.corpus import FIRST, Corpus
from mode_ssm.language.counting import Counted, Ints, count_longer, count_words

MIN_ORDER, MAX_ORDER = 2, 5
_LOWEST, _HIGHEST = 0.1, 0.9  # discounts of a corpus whose n-grams were all seen often, or all once
_LEAST_LEFT = 1e-9  # so that its logarithm can be written
_LOG_ZERO = -99 * LN10  # what ARPA files write for the logarithm of 0

Floats = NDArray[np.float64]


def estimate(tokens: NDArray[np.int32], words: tuple[str, ...], order: int) -> BackoffModel:
    """Estimate a model of sentences: word numbers, each sentence between <s> (word 0) and </s> (word 1).

    Raises:
        InputError: without any sentence, or where every sentence is shorter than an n-gram.
    """
    if not len(tokens):
        raise InputError("There is no sentence to make a language model of; give text=FILE or transcripts=true.")
    longest = int(np.diff(np.flatnonzero(tokens == 0), append=len(tokens)).max())
    if longest < order:
        raise InputError(f"order={order} is longer than every sentence; set order={longest} or lower.")
    width = len(words)
    orders: list[NGrams] = []
    below, counted = None, count_words(tokens, width)
    probs: Floats = np.zeros(0)
    for size in range(1, order + 1):
        longer = count_longer(counted, tokens, width, size + 1) if size < order else None
        parents = counted.keys // width  # of order 1: the empty history
        shares = _discounted(_effective_counts(counted, longer, tokens), parents, _discount(counted) if below else 0.0)
        left = np.maximum(1.0 - np.bincount(parents, shares), _LEAST_LEFT)
        if below is not None:
            shares += left[parents] * probs[below.at[counted.places + 1]]
            orders[-1].backoffs[np.unique(parents)] = np.log(left[np.unique(parents)])
        orders.append(_ngrams(counted, tokens, size, shares))
        if longer is not None:
            below, counted, probs = counted, longer, shares
    return BackoffModel(words, tuple(orders))


def _discount(counted: Counted) -> float:
    """n1 / (n1 + 2 n2), of the numbers of n-grams that were seen once and twice."""
    once, twice = (int(np.count_nonzero(counted.counts == times)) for times in (1, 2))
    if once + twice == 0:
        return _LOWEST
    return min(max(_LOWEST, once) / (once + 2 * twice), _HIGHEST)


def _effective_counts(counted: Counted, longer: Counted | None, tokens: NDArray[np.int32]) -> Ints:
    """How many different words stand before each n-gram; of the highest order and after <s>, how often it was seen."""
    if longer is None:
        return counted.counts
    before = np.bincount(counted.at[longer.places + 1], minlength=len(counted.keys))
    if counted.at is tokens:
        return before
    return np.where(tokens[counted.places] == 0, counted.counts, before)


def _discounted(counts: Ints, parents: Ints, discount: float) -> Floats:
    """Each n-gram's share of what followed its first words, less the discount."""
    totals = np.bincount(parents, counts)
    shares: Floats = np.maximum(counts - discount, 0.0) / totals[parents]
    return shares


def _ngrams(counted: Counted, tokens: NDArray[np.int32], size: int, probs: Floats) -> NGrams:
    words = tokens[counted.places[:, None] + np.arange(size)] if size > 1 else counted.keys[:, None].astype(np.int32)
    with np.errstate(divide="ignore"):
        log_probs = np.maximum(np.log(probs), _LOG_ZERO).astype(np.float32)
    return NGrams(words, log_probs, np.zeros(len(probs), np.float32))


def write_arpa(sentences: Iterable[Sequence[str]], vocabulary: frozenset[str], order: int, path: Path) -> None:
    """Estimate a model of sentences and write it as an ARPA file; words outside the vocabulary count as <unk>.

    Raises:
        InputError: on an order outside 2 to 5, and as `estimate`.
    """
    if not MIN_ORDER <= order <= MAX_ORDER:
        raise InputError(f"order={order} is not possible; an n-gram has {MIN_ORDER} to {MAX_ORDER} words.")
    corpus, words = Corpus(), sorted(vocabulary)
    for sentence in sentences:
        corpus.add(sentence)
    save_arpa(estimate(corpus.tokens(words), (*FIRST, *words), order), path)
