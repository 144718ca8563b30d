"""Words from CTC posteriors: a beam search over the lexicon's prefix tree with the n-gram model at each word's end.

The search is flashlight-text's lexicon decoder: the score of a sentence is that of its best path. A word's best
reachable unigram score is applied as soon as its first phoneme is (look-ahead), and replaced at its end.
"""

from itertools import groupby, pairwise
from typing import Any

import numpy as np
from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
from numpy.typing import NDArray

from mode_ssm.config import WordSearchConfig
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence
from mode_ssm.language.model import LN10, WordModel
from mode_ssm.phonemes import BLANK, NUM_CLASSES, SILENCE

_LEAST = -1e4  # stands for the logarithm of 0, so that sums stay finite


def build_ctc_tree(model: WordModel) -> Any:
    """The lexicon as flashlight's prefix tree, each node with the best word below it."""
    tree = Trie(NUM_CLASSES, SILENCE)
    for word, spelling in model.spellings:
        tree.insert(list(spelling), word, model.unigrams[word] / LN10)
    tree.smear(SmearingMode.MAX)
    return tree


class CTCWordSearch:
    """Searches one trial at a time, with one lexicon and one choice of weights."""

    def __init__(self, model: WordModel, tree: Any, settings: WordSearchConfig, nbest: int) -> None:
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
        self._decoder = LexiconDecoder(options, tree, model.lm, SILENCE, BLANK, no_unknown, [], False)

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
