"""A language model and a lexicon in memory: what every word search needs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels
from mode_ssm.language.arpa import LN10
from mode_ssm.language.folder import LEXICON, open_model
from mode_ssm.language.lexicon import Pronunciation, read_lexicon
from mode_ssm.language.ngram_scores import NGramScores
from mode_ssm.language.phrase_boosts import PhraseBoosts

_log = logging.getLogger(__name__)
SHOWN = 5  # unknown words that are named


@dataclass(frozen=True)
class Additions:
    """What is added to the model of a folder."""

    words: Mapping[str, tuple[Pronunciation, ...]] = field(default_factory=dict)  # each with its pronunciations
    phrases: Mapping[tuple[str, ...], float] = field(default_factory=dict)  # hot ones, with a boost in nats each


@dataclass(frozen=True)
class WordModel:
    """Words by index, their spellings in labels with the boundary at the end, and an n-gram model of them."""

    words: tuple[str, ...]
    spellings: tuple[tuple[int, tuple[int, ...]], ...]  # (word index, label ids); any number of words may share one
    ngrams: NGramScores
    numbers: NDArray[np.int64]  # (W,) each word's number in the n-gram model, which may be that of <unk>
    labels: Labels = T15
    bonus: NDArray[np.float64] | None = None  # (W,) nats on each n-gram score; None = 0
    boosts: PhraseBoosts | None = None  # of hot words and phrases
    additions: Additions | None = None  # what it has besides its folder

    @cached_property
    def bonuses(self) -> NDArray[np.float64]:
        """(W,) nats on each n-gram score."""
        return np.zeros(len(self.words)) if self.bonus is None else self.bonus

    @cached_property
    def unigrams(self) -> NDArray[np.float64]:
        """(W,) score of each word without context: its natural log-probability, its bonus and what it is boosted."""
        scores = self.ngrams.unigrams[self.numbers] + self.bonuses
        return scores if self.boosts is None else scores + self.boosts.first()

    @property
    def most(self) -> float:
        """No word scores higher."""
        return 0.0 if self.boosts is None else max(0.0, self.boosts.most)

    @cached_property
    def places(self) -> dict[str, int]:
        """The index of each word."""
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def _spelt(self) -> NDArray[np.int64]:
        """(spellings,) the word of each."""
        return np.fromiter((word for word, _ in self.spellings), np.int64, len(self.spellings))

    def spellings_of(self, words: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
        """The spellings of some words."""
        return [self.spellings[row] for row in np.flatnonzero(np.isin(self._spelt, words)).tolist()]

    def start(self) -> int:
        """State of the n-gram model at the start of a sentence."""
        return self.ngrams.start

    def score(self, state: int, word: int) -> tuple[int, float]:
        """State of the n-gram model after a word, and the word's natural log-probability."""
        after, scores = self.ngrams.score([state], self.numbers[[word]])
        return int(after[0]), float(scores[0])

    def finish(self, state: int) -> float:
        """Natural log-probability that the sentence ends here."""
        return float(self.ngrams.finish([state])[0])

    def sentence_score(self, words: Sequence[int]) -> float:
        """Natural log-probability of a whole sentence, its end included."""
        return self.ngrams.sentence_score(self.numbers[list(words)].tolist())


def load_word_model(folder: str | Path, labels: Labels = T15) -> WordModel:
    """Load a language model's folder: an n-gram model (lm.ngram, lm.arpa to make it from, or lm.bin) and lexicon.txt.

    Raises:
        InputError: when a file is absent or is not what it should be, or the labels have no word boundary.
    """
    if labels.boundary is None:
        raise InputError("Words are found by the boundary between them, which this network's labels do not have.")
    if not (Path(folder) / LEXICON).is_file():
        raise InputError(f"lm={folder} has no {LEXICON}; give a folder that mode-ssm lm build wrote.")
    lexicon = read_lexicon(Path(folder) / LEXICON, labels)
    ngrams = open_model(Path(folder))
    numbers = np.array([ngrams.index(word) for word in lexicon])
    _tell_unknown(tuple(lexicon), numbers, ngrams, Path(folder) / LEXICON)
    spellings = tuple(
        (index, (*ids, labels.boundary)) for index, variants in enumerate(lexicon.values()) for ids in variants
    )
    return WordModel(tuple(lexicon), spellings, ngrams, numbers, labels)


def _tell_unknown(words: Sequence[str], numbers: NDArray[np.int64], ngrams: NGramScores, path: Path) -> None:
    """Name the words of a lexicon that the n-gram model lacks.

    Raises:
        InputError: where it lacks them all.
    """
    unknown = [word for word, number in zip(words, numbers, strict=True) if number == ngrams.unknown]
    if len(unknown) == len(words):
        there = ", ".join(word for word in ngrams.words[:8] if not word.startswith("<"))
        raise InputError(
            f"None of the {len(words)} words of {path} ({', '.join(words[:3])}) is in the n-gram model beside it, "
            f"which has words such as {there}; make one folder of the two with mode-ssm lm import."
        )
    if unknown and parent_process() is None:
        score = ngrams.unigrams[ngrams.unknown] / LN10
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        _log.warning(
            "%d of the %d words of %s are not in the n-gram model and score as <unk> (log10 %.1f), so that they are "
            "hardly ever found: %s%s. Build the model again from text that holds them.",
            *(len(unknown), len(words), path, score, ", ".join(unknown[:SHOWN]), more),
        )
