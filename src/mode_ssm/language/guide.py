"""Holds a transducer search to the words of a lexicon and adds an n-gram model to it (shallow fusion)."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from mode_ssm.config import WordSearchConfig
from mode_ssm.decoding.ctc import Floats
from mode_ssm.decoding.guide import Ending
from mode_ssm.language.model import WordModel
from mode_ssm.language.scores import WordScores
from mode_ssm.language.trie import ROOT, PrefixTree


class WordState(NamedTuple):
    node: int  # of the prefix tree
    words: tuple[int, ...]
    lm: int  # the state of their scores


class WordGuide:
    """The guide of `decoding.beam` for one lexicon; it keeps nothing of a trial, so all trials can share it.

    Within a word it adds the weighted best unigram score still reachable; at the word's end, the n-gram score instead.
    """

    def __init__(self, model: WordModel, tree: PrefixTree, settings: WordSearchConfig) -> None:
        self._lm = WordScores(model)
        self._tree = tree
        self._lm_weight = settings.lm_weight
        self._word_score = settings.word_score

    def start(self) -> WordState:
        return WordState(ROOT, (), self._lm.start)

    def scores(self, state: WordState) -> Floats:
        tree = self._tree
        children = tree.children[tree.first_child[state.node] :][: tree.child_count[state.node]]
        result: Floats = np.full(len(tree.labels), -np.inf)
        ahead = self._lm_weight * (tree.best[children] - tree.best[state.node])
        np.maximum.at(result, tree.label[children], ahead)
        if tree.word_count[state.node]:
            result[tree.labels.boundary] = max(gain for gain, _ in self._words_ending(state))
        return result

    def extend(self, state: WordState, label: int) -> list[tuple[float, WordState]]:
        if label == self._tree.labels.boundary:
            return self._words_ending(state)
        children = self._tree.children[self._tree.first_child[state.node] :][: self._tree.child_count[state.node]]
        here = children[self._tree.label[children] == label]
        gains = self._lm_weight * (self._tree.best[here] - self._tree.best[state.node])
        nodes = zip(gains.tolist(), here.tolist(), strict=True)
        return [(gain, state._replace(node=node)) for gain, node in nodes]

    def _words_ending(self, state: WordState) -> list[tuple[float, WordState]]:
        readings = []
        tree = self._tree
        words = tree.words[tree.first_word[state.node] :][: tree.word_count[state.node]]
        after, scores = self._lm.score(np.full(len(words), state.lm), words)
        for word, lm, score in zip(words.tolist(), after.tolist(), scores.tolist(), strict=True):
            gain = self._lm_weight * (score - float(self._tree.best[state.node])) + self._word_score
            readings.append((gain, WordState(ROOT, (*state.words, word), lm)))
        return readings

    def end(self, state: WordState) -> Ending:
        finished = float(self._lm.finish(np.array([state.lm]))[0])
        gain = self._lm_weight * (finished - float(self._tree.best[state.node]))
        return Ending(gain, complete=state.node == ROOT)

    def key(self, state: WordState) -> Hashable:
        return state.words, state.node
