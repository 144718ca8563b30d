"""What the words of a lexicon are worth to a word search: the n-gram model by the lexicon's own word numbers."""

from mode_ssm.language.model import WordModel
from mode_ssm.language.segments import Floats, Ints


class WordScores:
    """A word model's n-gram scores, for many states and words at once. All natural logarithms."""

    def __init__(self, model: WordModel) -> None:
        self.names = model.words
        self._ngrams = model.ngrams
        self._numbers, self._bonus = model.numbers, model.bonuses
        self.most = model.most  # no word scores higher
        self.start = model.ngrams.start

    def score(self, states: Ints, words: Ints) -> tuple[Ints, Floats]:
        """The states after the words, and what the words are worth in the states before; all (N,)."""
        after, gained = self._ngrams.score(states, self._numbers[words])
        return after, gained + self._bonus[words]

    def finish(self, states: Ints) -> Floats:
        """Log-probability (N,) that the sentence ends in each state."""
        return self._ngrams.finish(states)
