"""The ways on from hypotheses within a lexicon, for every head: a sound more of a word, or the end of one."""

from typing import NamedTuple, Protocol

import numpy as np

from mode_ssm.config import WordSearchConfig
from mode_ssm.labels import Labels
from mode_ssm.language.model import WordModel
from mode_ssm.language.scores import WordScores
from mode_ssm.language.segments import Flags, Floats, Ints, expand
from mode_ssm.language.trie import ROOT, PrefixTree


class Scores(Protocol):
    """What words are worth; `WordScores` of a model, or `NoWords` where there are none."""

    names: tuple[str, ...]
    start: int  # the state before the first word
    most: float  # no word scores higher

    def score(self, states: Ints, words: Ints) -> tuple[Ints, Floats]:
        """The states after the words, and what the words are worth in the states before; all (N,)."""

    def finish(self, states: Ints) -> Floats:
        """(N,) what the end of the sentence is worth."""


class Sounds(NamedTuple):
    """N ways on by a sound within a word."""

    parent: Ints  # the place of the hypothesis that it goes on from
    node: Ints
    label: Ints
    gain: Floats  # by what the best word ahead is now worth, weighted


class Ends(NamedTuple):
    """N ways on by the boundary that ends a word; each homophone is one of its own."""

    parent: Ints
    word: Ints
    lm: Ints  # the words' state after it
    lm_score: Floats  # of the word, without weight
    gain: Floats  # weighted, what was looked ahead taken back, with the word's own score


class WordGraph:
    """A prefix tree with weighted scores.

    The best unigram score that a node can still reach is gained as soon as the node is (look-ahead), and replaced by
    the word's own at its end.
    """

    def __init__(self, tree: PrefixTree, scores: Scores, lm_weight: float, word_score: float) -> None:
        self.tree, self.scores, self.lm_weight, self._word_score = tree, scores, lm_weight, word_score

    def ahead(self, nodes: Ints) -> Floats:
        """(N,) what look-ahead has given, weighted."""
        return self.lm_weight * self.tree.best[nodes]

    def sounds(self, nodes: Ints) -> Sounds:
        """Every sound that may come next in each of the nodes' words."""
        tree = self.tree
        parent, edge = expand(tree.first_child[nodes], tree.child_count[nodes])
        child = tree.children[edge]
        gain = self.lm_weight * (tree.best[child] - tree.best[nodes[parent]])
        return Sounds(parent, child, tree.label[child], gain)

    def ends(self, nodes: Ints, lm: Ints) -> Ends:
        """Every word that ends at each of the nodes, after the words of the states lm."""
        tree = self.tree
        parent, place = expand(tree.first_word[nodes], tree.word_count[nodes])
        word = tree.words[place]
        after, score = self.scores.score(lm[parent], word)
        gain = self.lm_weight * (score - tree.best[nodes[parent]]) + self._word_score
        return Ends(parent, word, after, score, gain)

    def may_end(self, nodes: Ints) -> Flags:
        """(N,) whether a sentence may stop there: between words."""
        return np.asarray(nodes == ROOT)

    def finish(self, lm: Ints, nodes: Ints) -> tuple[Floats, Floats]:
        """(N,) what the sentence's end is worth, without weight; and weighted, what was looked ahead taken back."""
        finished = self.scores.finish(lm)
        return finished, self.lm_weight * (finished - self.tree.best[nodes])


def word_graph(model: WordModel, tree: PrefixTree, settings: WordSearchConfig) -> WordGraph:
    """A model's lexicon with the weights of a search."""
    return WordGraph(tree, WordScores(model), settings.lm_weight, settings.word_score)


class NoWords:
    """Labels without words are worth nothing."""

    names: tuple[str, ...] = ()
    start = 0
    most = 0.0

    def score(self, states: Ints, words: Ints) -> tuple[Ints, Floats]:
        return states, np.zeros(len(words))

    def finish(self, states: Ints) -> Floats:
        return np.zeros(len(states))


class LabelGraph(WordGraph):
    """Any label may follow any: a search without a lexicon."""

    def __init__(self, labels: Labels) -> None:
        sounds = np.setdiff1d(np.arange(len(labels)), [labels.blank])
        nodes = np.arange(1 + len(sounds))
        nothing = np.zeros(len(nodes), np.int64)
        tree = PrefixTree(
            label=np.concatenate([[labels.blank], sounds]),  # the root's is never said
            best=np.zeros(len(nodes)),
            first_child=nothing,
            child_count=nothing + len(sounds),
            children=nodes[1:],
            first_word=nothing,
            word_count=nothing,
            words=nothing[:0],
            labels=labels,
        )
        super().__init__(tree, NoWords(), lm_weight=0.0, word_score=0.0)

    def may_end(self, nodes: Ints) -> Flags:
        return np.ones(len(nodes), np.bool_)
