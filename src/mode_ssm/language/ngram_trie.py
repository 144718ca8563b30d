"""Lays a back-off model out as a tree of sorted arrays, in which one binary search finds an n-gram.

Every n-gram is a node: node 0 is the empty one, nodes 1..W the words, and the nodes of an order follow those of the
order below, sorted by the node of their first words and then by their last word. So `parent * W + word` rises from node
to node.
"""

from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import BackoffModel, NGrams

Ints = NDArray[np.int64]


class TrieArrays(NamedTuple):
    """N nodes beside node 0; C of them can be contexts: all but those of the highest order."""

    keys: Ints  # (N,) parent * W + word, of nodes 1, 2, ...
    log_probs: NDArray[np.float32]  # (N,) natural logarithms, of nodes 1, 2, ...
    after: NDArray[np.int32]  # (N,) the state after the n-gram: its longest ending that matters as a context
    suffixes: NDArray[np.int32]  # (1 + C,) of nodes 0, 1, ...: the longest true ending, to which a context backs off
    backoffs: NDArray[np.float32]  # (1 + C,) natural logarithms, of nodes 0, 1, ...


def find(keys: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """The node of each wanted key, and whether there is one."""
    places = np.searchsorted(keys, wanted)
    return places + 1, keys.take(places, mode="clip") == wanted


def longest(
    keys: Ints, width: int, suffixes: NDArray[np.int32], backoffs: NDArray[np.float32], contexts: Ints, words: Ints
) -> tuple[Ints, NDArray[np.float64]]:
    """The longest n-gram of each word after a context, or after an ending of it, and the back-off weights passed.

    Every word is an n-gram by itself, so that there always is one.
    """
    nodes, found = contexts.copy(), np.empty_like(contexts)
    passed = np.zeros(len(nodes))
    left = np.arange(len(nodes))
    while len(left):
        nodes_found, hit = find(keys, nodes[left] * width + words[left])
        found[left] = nodes_found
        left = left[~hit]
        passed[left] += backoffs[nodes[left]]
        nodes[left] = suffixes[nodes[left]]
    return found, passed


def build_trie(model: BackoffModel) -> TrieArrays:
    """Sort a model's n-grams into the tree.

    A context that the model lacks is added with the probability that backing off gives and without a back-off weight of
    its own, which changes no score.

    Raises:
        InputError: on an n-gram that the model has twice.
    """
    width = len(model.words)
    orders = list(model.orders)
    keys = [orders[0].words[:, 0].astype(np.int64)]
    while len(keys) < len(orders):
        order = orders[len(keys)]
        parents, known = _contexts(np.concatenate(keys), order.words, width)
        if not known.all():
            keys.pop()
            orders[len(keys)] = _add_blanks(orders[len(keys)], order.words[~known, :-1])
            continue
        unsorted = parents * width + order.words[:, -1]
        ranks = np.argsort(unsorted, kind="stable")
        orders[len(keys)] = order = NGrams(order.words[ranks], order.log_probs[ranks], order.backoffs[ranks])
        keys.append(unsorted[ranks])
        _check_once(keys[-1], order, model.words)
    return _link(np.concatenate(keys), orders, width)


def _contexts(keys: Ints, words: NDArray[np.int32], width: int) -> tuple[Ints, NDArray[np.bool_]]:
    """The node of all words but the last of each n-gram, and whether there is one."""
    nodes, known = words[:, 0].astype(np.int64) + 1, np.ones(len(words), np.bool_)
    for column in range(1, words.shape[1] - 1):
        nodes, found = find(keys, nodes * width + words[:, column])
        known &= found
    return nodes, known


def _add_blanks(order: NGrams, contexts: NDArray[np.int32]) -> NGrams:
    """Add n-grams whose log-probability, NaN here, is still to be found."""
    new = np.unique(contexts, axis=0)
    blank = np.full(len(new), np.nan, np.float32)
    return NGrams(
        np.concatenate((order.words, new)),
        np.concatenate((order.log_probs, blank)),
        np.concatenate((order.backoffs, np.zeros_like(blank))),
    )


def _check_once(keys: Ints, order: NGrams, words: tuple[str, ...]) -> None:
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if len(twice):
        text = " ".join(words[word] for word in order.words[twice[0]])
        raise InputError(f"The n-gram model has '{text}' twice; write each n-gram once.")


def _link(keys: Ints, orders: list[NGrams], width: int) -> TrieArrays:
    ends = list(accumulate((len(order.log_probs) for order in orders), initial=0))
    log_probs = np.concatenate([order.log_probs for order in orders])
    backoffs = np.concatenate([np.zeros(1, np.float32), *(order.backoffs for order in orders[:-1])])
    useful = backoffs != 0.0
    useful[keys[width:] // width] = True  # a word follows
    suffixes, after = np.zeros(1, np.int32), np.zeros(1, np.int32)  # both from node 0 until the end
    for start, end in pairwise(ends):
        endings = np.zeros(end - start, np.int64)
        if start:
            parents, words = np.divmod(keys[start:end], width)
            endings, passed = longest(keys, width, suffixes, backoffs, suffixes[parents].astype(np.int64), words)
            blank = np.isnan(log_probs[start:end])
            log_probs[start:end][blank] = (backoffs[parents] + passed + log_probs[endings - 1])[blank]
        states = after[endings]
        if end < len(backoffs):
            suffixes = np.concatenate((suffixes, endings.astype(np.int32)))
            nodes = np.arange(start + 1, end + 1, dtype=np.int32)
            states = np.where(useful[nodes], nodes, states)
        after = np.concatenate((after, states))
    return TrieArrays(keys, log_probs, after[1:], suffixes, backoffs)
