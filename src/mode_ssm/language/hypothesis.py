"""What a word search finds."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.config import Merge
from mode_ssm.language.history import NO_WORD
from mode_ssm.language.segments import Ints


class WordHypothesis(NamedTuple):
    """One reading of a trial; scores are natural logarithms, higher is better."""

    words: tuple[str, ...]
    score: float  # what the search ranks by, all weights applied
    lm: float  # of the n-gram model, sentence end included, without its weight
    labels: tuple[int, ...]  # the phonemes found, with | after each word
    frames: tuple[tuple[int, int], ...] = ()  # of each word: the encoder frames of its first and last label, | included
    acoustic: float | None = None  # where rescored: the search's score without the n-gram model's weighted part
    neural: float | None = None  # where rescored: of the causal model, without its weight

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read_hypothesis(path: Ints, score: float, lm: float, names: Sequence[str], boundary: int) -> WordHypothesis:
    """A hypothesis from its emissions, (n, 3): label, frame and the word that ends there or NO_WORD."""
    words, spans, start = [], [], None
    for label, frame, word in path.tolist():
        start = frame if start is None else start
        if word != NO_WORD:
            words.append(names[word])
            spans.append((start, frame))
        start = None if label == boundary else start
    return WordHypothesis(tuple(words), float(score), float(lm), tuple(path[:, 0].tolist()), tuple(spans))


def best_per_sentence(found: Iterable[WordHypothesis], nbest: int, merge: Merge = Merge.max) -> list[WordHypothesis]:
    """The best `nbest` sentences, each once, best first; equal scores in alphabetical order.

    What is said alike, by other pronunciations for one, has the score of the best or of all together.
    """
    ranked = sorted(found, key=lambda hypothesis: (-hypothesis.score, hypothesis.words))
    alike: dict[tuple[str, ...], list[WordHypothesis]] = {}
    for hypothesis in ranked:
        alike.setdefault(hypothesis.words, []).append(hypothesis)
    if merge is Merge.max:
        return [best for best, *_ in alike.values()][:nbest]
    summed = [same[0]._replace(score=float(np.logaddexp.reduce([h.score for h in same]))) for same in alike.values()]
    return sorted(summed, key=lambda hypothesis: (-hypothesis.score, hypothesis.words))[:nbest]
