"""What a word search finds."""

from collections.abc import Iterable
from typing import NamedTuple


class WordHypothesis(NamedTuple):
    """One reading of a trial; scores are natural logarithms, higher is better."""

    words: tuple[str, ...]
    score: float  # what the search ranks by, all weights applied
    lm: float  # of the n-gram model, sentence end included, without its weight
    labels: tuple[int, ...]  # the phonemes found, with | after each word

    @property
    def text(self) -> str:
        return " ".join(self.words)


def best_per_sentence(found: Iterable[WordHypothesis], nbest: int) -> list[WordHypothesis]:
    """The best `nbest` sentences, each once, best first; equal scores in alphabetical order."""
    ranked = sorted(found, key=lambda hypothesis: (-hypothesis.score, hypothesis.words))
    first: dict[tuple[str, ...], WordHypothesis] = {}
    for hypothesis in ranked:
        first.setdefault(hypothesis.words, hypothesis)
    return list(first.values())[:nbest]
