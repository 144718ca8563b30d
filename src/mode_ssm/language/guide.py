"""Holds a transducer search to the words of a lexicon and adds an n-gram model to it (shallow fusion)."""

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np

from mode_ssm.config import WordSearchConfig
from mode_ssm.decoding.ctc import Floats
from mode_ssm.decoding.guide import Ending
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import ROOT, PrefixTree
from mode_ssm.phonemes import SILENCE


class WordState(NamedTuple):
    node: int  # of the prefix tree
    words: tuple[int, ...]
    lm: Any  # the n-gram model's state after them


class WordGuide:
    """The guide of `decoding.beam` for one lexicon; it keeps nothing of a trial, so all trials can share it.

    Within a word it adds the weighted best unigram score still reachable; at the word's end, the n-gram score instead.
    """

    def __init__(self, model: WordModel, tree: PrefixTree, settings: WordSearchConfig) -> None:
        self._model = model
        self._tree = tree
        self._lm_weight = settings.lm_weight
        self._word_score = settings.word_score

    def start(self) -> WordState:
        return WordState(ROOT, (), self._model.start())

    def scores(self, state: WordState) -> Floats:
        children = self._tree.children[state.node]
        ahead = self._lm_weight * (self._tree.best[children] - self._tree.best[state.node])
        result: Floats = np.where(children >= 0, ahead, -np.inf)
        if children[SILENCE] >= 0:
            result[SILENCE] = max(gain for gain, _ in self._words_ending(state, int(children[SILENCE])))
        return result

    def extend(self, state: WordState, label: int) -> list[tuple[float, WordState]]:
        child = int(self._tree.children[state.node, label])
        if child < 0:
            return []
        if child in self._tree.words:
            return self._words_ending(state, child)
        gain = self._lm_weight * float(self._tree.best[child] - self._tree.best[state.node])
        return [(gain, state._replace(node=child))]

    def _words_ending(self, state: WordState, node: int) -> list[tuple[float, WordState]]:
        readings = []
        for word in self._tree.words[node]:
            lm, score = self._model.score(state.lm, word)
            gain = self._lm_weight * (score - float(self._tree.best[state.node])) + self._word_score
            readings.append((gain, WordState(ROOT, (*state.words, word), lm)))
        return readings

    def end(self, state: WordState) -> Ending:
        gain = self._lm_weight * (self._model.finish(state.lm) - float(self._tree.best[state.node]))
        return Ending(gain, complete=state.node == ROOT)

    def key(self, state: WordState) -> Hashable:
        return state.words
