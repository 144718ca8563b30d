"""The lexicon as a prefix tree in flat arrays, with the best word below each node known in advance.

Words end at nodes; the word boundary that follows them is no node. A few words can be grafted beside a large tree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mode_ssm.labels import Labels
from mode_ssm.language.model import WordModel
from mode_ssm.language.segments import Floats, Ints, expand

ROOT = 0
Spelling = tuple[int, tuple[int, ...]]  # a word's index, and its label ids with the boundary at the end


@dataclass(frozen=True)
class PrefixTree:
    """Node 0 is the root. What belongs to node n stands at [first[n], first[n] + count[n]) of the arrays of edges."""

    label: Ints  # (nodes,) that leads to it; the boundary at the root
    best: Floats  # (nodes,) highest unigram log-probability of the words at it or below; 0 at the root
    first_child: Ints  # (nodes,)
    child_count: Ints
    children: Ints  # (edges,) nodes
    first_word: Ints  # (nodes,)
    word_count: Ints
    words: Ints  # (spellings,) word indices; any number of homophones at a node
    labels: Labels

    def __len__(self) -> int:
        return len(self.label)


def build_tree(model: WordModel) -> PrefixTree:
    """The tree of a model's whole lexicon."""
    return grow_tree(model.spellings, model.unigrams, model.labels)


def grow_tree(spellings: Sequence[Spelling], unigrams: Floats, labels: Labels) -> PrefixTree:
    """Count the prefixes of all spellings, one depth at a time; memory is about 60 bytes a node.

    unigrams are the natural log-probabilities of the words without context, by word index.
    """
    known = dict.fromkeys((word, ids[:-1]) for word, ids in spellings)
    count, longest = len(known), max((len(ids) for _, ids in known), default=0)
    paths = np.full((count, longest), -1, dtype=np.int64)
    for row, (_, ids) in enumerate(known):
        paths[row, : len(ids)] = ids
    word_of = np.fromiter((word for word, _ in known), dtype=np.int64, count=count)
    node_of = np.zeros(count, dtype=np.int64)  # the node that each spelling has reached
    parents, names, bests, total = [np.zeros(1, np.int64)], [np.full(1, labels.boundary or 0)], [np.zeros(1)], 1
    score_of = np.asarray(unigrams, dtype=np.float64)[word_of]
    for depth in range(longest):
        rows = np.flatnonzero(paths[:, depth] >= 0)
        edges, place = np.unique(node_of[rows] * len(labels) + paths[rows, depth], return_inverse=True)
        best = np.full(len(edges), -np.inf)
        np.maximum.at(best, place, score_of[rows])
        parents.append(edges // len(labels))
        names.append(edges % len(labels))
        bests.append(best)
        node_of[rows] = total + place
        total += len(edges)
    parent = np.concatenate(parents)
    child_count = np.bincount(parent[1:], minlength=total)
    order = np.argsort(node_of, kind="stable")
    word_count = np.bincount(node_of, minlength=total) if count else np.zeros(1, np.int64)
    return PrefixTree(
        label=np.concatenate(names),
        best=np.concatenate(bests),
        first_child=np.cumsum(child_count) - child_count,
        child_count=child_count,
        children=1 + np.argsort(parent[1:], kind="stable"),
        first_word=np.cumsum(word_count) - word_count,
        word_count=word_count,
        words=word_of[order],
        labels=labels,
    )


def graft(tree: PrefixTree, more: PrefixTree) -> PrefixTree:
    """Both trees under one root; where their words begin alike, the branches stand side by side.

    It copies flat arrays, which takes milliseconds, so that words can be added while a search is in use. Nodes keep
    their numbers.
    """
    nodes, edges, words = len(tree) - 1, len(tree.children), len(tree.words)
    shifted = more.children + nodes
    at_root = [tree.children[tree.first_child[ROOT] :][: tree.child_count[ROOT]], shifted[: more.child_count[ROOT]]]
    first_child = np.concatenate([tree.first_child, more.first_child[1:] + edges])
    child_count = np.concatenate([tree.child_count, more.child_count[1:]])
    first_child[ROOT], child_count[ROOT] = edges + len(shifted), sum(map(len, at_root))
    return PrefixTree(
        label=np.concatenate([tree.label, more.label[1:]]),
        best=np.concatenate([tree.best, more.best[1:]]),
        first_child=first_child,
        child_count=child_count,
        children=np.concatenate([tree.children, shifted, *at_root]),
        first_word=np.concatenate([tree.first_word, more.first_word[1:] + words]),
        word_count=np.concatenate([tree.word_count, more.word_count[1:]]),
        words=np.concatenate([tree.words, more.words]),
        labels=tree.labels,
    )


def raise_best(tree: PrefixTree, spellings: Iterable[Spelling], unigrams: Floats) -> PrefixTree:
    """The tree where words of it are worth more than before: their nodes know, so that a search looks ahead to them."""
    best = tree.best.copy()
    for word, ids in spellings:
        nodes = np.zeros(1, np.int64)  # several where grafted branches stand side by side
        for label in ids[:-1]:
            _, places = expand(tree.first_child[nodes], tree.child_count[nodes])
            children = tree.children[places]
            nodes = children[tree.label[children] == label]
            best[nodes] = np.maximum(best[nodes], unigrams[word])
    return replace(tree, best=best)
