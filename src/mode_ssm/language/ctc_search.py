"""Words from CTC posteriors: a beam search over the lexicon's prefix tree with the n-gram model at each word's end.

The search is flashlight-text's lexicon decoder: the score of a sentence is that of its best path. A word's best
reachable unigram score is applied as soon as its first phoneme is (look-ahead), and replaced at its end.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np
from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from numpy.typing import NDArray

from mode_ssm.config import WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.language.arpa import LN10
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence
from mode_ssm.language.model import WordModel
from mode_ssm.phonemes import BLANK, NUM_CLASSES, SILENCE

MAX_HOMOPHONES = 6  # of one pronunciation: the limit of flashlight's prefix tree
_LEAST = -1e4  # stands for the logarithm of 0, so that sums stay finite

_log = logging.getLogger(__name__)


class CTCTree(NamedTuple):
    """The lexicon as flashlight's prefix tree, each node with the best word below it, and the model as KenLM's."""

    trie: Any
    lm: Any


def build_ctc_tree(model: WordModel) -> CTCTree:
    """Insert every spelling; of more than six homophones, the rarest are left out and named."""
    tree = Trie(NUM_CLASSES, SILENCE)
    homophones: dict[tuple[int, ...], list[int]] = {}
    for word, spelling in model.spellings:
        homophones.setdefault(spelling, []).append(word)
    for spelling, found in homophones.items():
        found.sort(key=lambda word: -model.unigrams[word])
        if len(found) > MAX_HOMOPHONES:
            dropped = ", ".join(model.words[word] for word in found[MAX_HOMOPHONES:])
            _log.warning("Of %d words that sound alike, these are left out: %s.", len(found), dropped)
        for word in found[:MAX_HOMOPHONES]:
            tree.insert(list(spelling), word, model.unigrams[word] / LN10)
    tree.smear(SmearingMode.MAX)
    return CTCTree(tree, _load_kenlm(model))


def _load_kenlm(model: WordModel) -> Any:
    try:
        with _silent_stderr():
            return KenLM(str(model.arpa), Dictionary(list(model.words)))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{model.arpa} is not a language model that KenLM reads ({reason}); build it again.") from None


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


class CTCWordSearch:
    """Searches one trial at a time, with one lexicon and one choice of weights."""

    def __init__(self, model: WordModel, tree: CTCTree, settings: WordSearchConfig, nbest: int) -> None:
        self._model = model
        self._settings = settings
        self._nbest = nbest
        options = LexiconDecoderOptions(
            beam_size=settings.ctc_beam_size,
            beam_size_token=NUM_CLASSES,
            beam_threshold=settings.beam_threshold,
            lm_weight=settings.lm_weight * LN10,
            word_score=settings.word_score,
            unk_score=-np.inf,
            sil_score=settings.silence_score,
            log_add=False,
            criterion_type=CriterionType.CTC,
        )
        no_unknown = -1
        self._decoder = LexiconDecoder(options, tree.trie, tree.lm, SILENCE, BLANK, no_unknown, [], False)

    def __call__(self, log_probs: NDArray[np.floating]) -> list[WordHypothesis]:
        """Search one trial, log_probs (S, V); an empty list where no path through the lexicon fits into S frames."""
        emissions = ctc_emissions(log_probs, self._settings)
        found = self._decoder.decode(emissions.ctypes.data, *emissions.shape)
        return best_per_sentence((self._read(result) for result in found), self._nbest)

    def _read(self, result: Any) -> WordHypothesis:
        path, words = result.tokens[1:-1], [word for word in result.words if word >= 0]
        emitted = [label for label, _ in groupby(path) if label != BLANK]
        # Between words the decoder may emit the silence again, after a blank or before the first word.
        labels = tuple(b for a, b in pairwise([SILENCE, *emitted]) if (a, b) != (SILENCE, SILENCE))
        names = tuple(self._model.words[word] for word in words)
        return WordHypothesis(names, float(result.score), self._model.sentence_score(words), labels)


def ctc_emissions(log_probs: NDArray[np.floating], settings: WordSearchConfig) -> NDArray[np.float32]:
    """Flatten posteriors by the temperature, then take the penalty from blank; (S, V) float32, contiguous."""
    scaled = np.asarray(log_probs, dtype=np.float64) / settings.temperature
    scaled -= np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    scaled[:, BLANK] -= settings.blank_penalty
    return np.ascontiguousarray(np.maximum(scaled, _LEAST), dtype=np.float32)
