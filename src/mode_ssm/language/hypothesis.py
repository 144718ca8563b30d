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
    label_frames: tuple[int, ...] = ()  # the encoder frame in which each label was found
    acoustic: float | None = None  # where rescored: the search's score without the n-gram model's weighted part
    neural: float | None = None  # where rescored: of the causal model, without its weight

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read_hypothesis(path: Ints, score: float, lm: float, names: Sequence[str], boundary: int) -> WordHypothesis:
    """A hypothesis from its emissions, (n, 3): label, frame and the word that ends there or NO_WORD."""
    labels, frames, words = (tuple(column) for column in path.T.tolist()) if len(path) else ((), (), ())
    said = tuple(names[word] for word in words if word != NO_WORD)
    return WordHypothesis(said, float(score), float(lm), labels, word_frames(labels, frames, boundary), frames)


def word_frames(labels: Sequence[int], frames: Sequence[int], boundary: int) -> tuple[tuple[int, int], ...]:
    """Of each word that has ended, the frames of its first label and of the boundary after it."""
    ends = [place for place, label in enumerate(labels) if label == boundary]
    starts = [0, *(end + 1 for end in ends)]
    return tuple((frames[start], frames[end]) for start, end in zip(starts, ends, strict=False))


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
