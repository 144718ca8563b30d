"""How well an n-gram model foretells a text."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.language.ngram_scores import NGramScores

_CHUNK = 4096  # sentences that are scored side by side


class Perplexity(NamedTuple):
    """Unknown words are counted and not scored; the end of each sentence is scored as a word is, as SRILM has it."""

    sentences: int
    words: int
    unknown: int
    log_prob: float  # natural logarithm

    @property
    def perplexity(self) -> float:
        return float(np.exp(-self.log_prob / (self.words - self.unknown + self.sentences)))

    @property
    def oov_rate(self) -> float:
        """Share of the words that the model does not know."""
        return self.unknown / self.words

    def __str__(self) -> str:
        return (
            f"perplexity {self.perplexity:.1f}, {100 * self.oov_rate:.2f} % of words unknown "
            f"({self.words} words, {self.sentences} sentences)"
        )


def measure(ngrams: NGramScores, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Score a text; sentences without a word are left out."""
    total = Perplexity(0, 0, 0, 0.0)
    chunk: list[list[int]] = []
    for words in sentences:
        if words:
            chunk.append([ngrams.index(word) for word in words])
        if len(chunk) == _CHUNK:
            total = _add(total, _measure(ngrams, chunk))
            chunk = []
    return _add(total, _measure(ngrams, chunk)) if chunk else total


def _add(one: Perplexity, other: Perplexity) -> Perplexity:
    return Perplexity(*(a + b for a, b in zip(one, other, strict=True)))  # type: ignore[arg-type]


def _measure(ngrams: NGramScores, sentences: list[list[int]]) -> Perplexity:
    lengths = np.array([len(words) for words in sentences])
    padded = np.full((len(sentences), lengths.max()), ngrams.unknown)
    for row, words in zip(padded, sentences, strict=True):
        row[: len(words)] = words
    states = np.full(len(sentences), ngrams.start)
    log_prob = 0.0
    for place, words in enumerate(padded.T):
        going = place < lengths
        states[going], scores = ngrams.score(states[going], words[going])
        log_prob += float(scores[words[going] != ngrams.unknown].sum())
    unknown = sum(words.count(ngrams.unknown) for words in sentences)
    return Perplexity(len(sentences), int(lengths.sum()), unknown, log_prob + float(ngrams.finish(states).sum()))
