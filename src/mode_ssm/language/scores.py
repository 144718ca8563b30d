"""What the words of a lexicon are worth to a word search: n-grams by the lexicon's own word numbers, and boosts.

A state says both what the n-gram model has seen and how much of a hot phrase was said, so that every search that scores
words here finds hot words.
"""

import numpy as np

from mode_ssm.language.model import WordModel
from mode_ssm.language.segments import Floats, Ints


class WordScores:
    """A word model's scores, for many states and words at once. All natural logarithms."""

    def __init__(self, model: WordModel) -> None:
        self.names = model.words
        self._ngrams = model.ngrams
        self._numbers, self._bonus = model.numbers, model.bonuses
        self._boosts = model.boosts
        self._parts = 1 if model.boosts is None else model.boosts.states  # of a state of the n-gram model
        self.most = model.most  # no word scores higher
        self.start = model.ngrams.start * self._parts

    def score(self, states: Ints, words: Ints) -> tuple[Ints, Floats]:
        """The states after the words, and what the words are worth in the states before; all (N,)."""
        if self._boosts is None:
            after, gained = self._ngrams.score(states, self._numbers[words])
            return after, gained + self._bonus[words]
        contexts, phrases = np.divmod(states, self._parts)
        after, gained = self._ngrams.score(contexts, self._numbers[words])
        begun, boost = self._boosts.score(phrases, words)
        return after * self._parts + begun, gained + self._bonus[words] + boost

    def finish(self, states: Ints) -> Floats:
        """(N,) log-probability that the sentence ends in each state; what a phrase gained that broke off is taken."""
        if self._boosts is None:
            return self._ngrams.finish(states)
        contexts, phrases = np.divmod(states, self._parts)
        return self._ngrams.finish(contexts) + self._boosts.finish(phrases)
