"""A language model and a lexicon in memory: what every word search needs."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

from mode_ssm.errors import InputError
from mode_ssm.language.lexicon import Lexicon, read_lexicon
from mode_ssm.phonemes import SILENCE

ARPA, LEXICON = "lm.arpa", "lexicon.txt"  # the files of a language model's folder
LN10 = log(10.0)  # KenLM speaks in base 10
MAX_HOMOPHONES = 6  # of one pronunciation: the limit of the CTC search's prefix tree

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WordModel:
    """Words by index, their spellings in phonemes with | at the end, and an n-gram model of them."""

    words: tuple[str, ...]
    spellings: tuple[tuple[int, tuple[int, ...]], ...]  # (word index, label ids)
    unigrams: tuple[float, ...]  # natural log-probability of each word without context
    lm: Any  # flashlight's KenLM

    def start(self) -> Any:
        """State of the language model at the start of a sentence."""
        return self.lm.start(False)

    def score(self, state: Any, word: int) -> tuple[Any, float]:
        """State after a word, and the word's natural log-probability."""
        after, score = self.lm.score(state, word)
        return after, score * LN10

    def finish(self, state: Any) -> float:
        """Natural log-probability that the sentence ends here."""
        return float(self.lm.finish(state)[1]) * LN10

    def sentence_score(self, words: Sequence[int]) -> float:
        """Natural log-probability of a whole sentence, its end included."""
        state, total = self.start(), 0.0
        for word in words:
            state, score = self.score(state, word)
            total += score
        return total + self.finish(state)


def load_word_model(folder: str | Path) -> WordModel:
    """Load what `mode-ssm lm build` wrote; of more than six homophones, the rarest are left out and named.

    Raises:
        InputError: when a file is absent or is not what it should be.
    """
    if not (Path(folder) / LEXICON).is_file():
        raise InputError(f"lm={folder} has no {LEXICON}; give a folder that mode-ssm lm build wrote.")
    lexicon = read_lexicon(Path(folder) / LEXICON)
    words = tuple(lexicon)
    lm = _load_lm(Path(folder) / ARPA, words)
    empty = lm.start(True)
    unigrams = tuple(lm.score(empty, index)[1] * LN10 for index in range(len(words)))
    return WordModel(words, tuple(_spell(lexicon, words, unigrams)), unigrams, lm)


def _load_lm(path: Path, words: tuple[str, ...]) -> Any:
    if not path.is_file():
        raise InputError(f"There is no {path}; build a language model with mode-ssm lm build out={path.parent}.")
    try:
        with _silent_stderr():
            return KenLM(str(path), Dictionary(list(words)))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} is not a language model that KenLM reads ({reason}); build it again.") from None


def _spell(
    lexicon: Lexicon, words: tuple[str, ...], unigrams: tuple[float, ...]
) -> Iterator[tuple[int, tuple[int, ...]]]:
    homophones: dict[tuple[int, ...], list[int]] = {}
    for index, word in enumerate(words):
        for ids in lexicon[word]:
            homophones.setdefault((*ids, SILENCE), []).append(index)
    for spelling, found in homophones.items():
        found.sort(key=lambda index: -unigrams[index])
        if len(found) > MAX_HOMOPHONES:
            dropped = ", ".join(words[index] for index in found[MAX_HOMOPHONES:])
            _log.warning("Of %d words that sound alike, these are left out: %s.", len(found), dropped)
        for index in found[:MAX_HOMOPHONES]:
            yield index, spelling


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep KenLM's progress bar, which is written below Python, off the screen; its errors are exceptions."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
