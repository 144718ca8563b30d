"""What the words of a lexicon are worth to a word search: the n-gram model by the lexicon's own word numbers."""

from mode_ssm.language.model import WordModel
from mode_ssm.language.segments import Floats, Ints


class WordScores:
    """A word model's n-gram scores, for many states and words at once. All natural logarithms."""

    most = 0.0  # no word scores higher

    def __init__(self, model: WordModel) -> None:
        self.names = model.words
        self._ngrams = model.ngrams
        self._numbers = model.numbers
        self.start = model.ngrams.start

    def score(self, states: Ints, words: Ints) -> tuple[Ints, Floats]:
        """The states after the words, and the log-probabilities of the words in the states before; all (N,)."""
        return self._ngrams.score(states, self._numbers[words])

    def finish(self, states: Ints) -> Floats:
        """Log-probability (N,) that the sentence ends in each state."""
        return self._ngrams.finish(states)
