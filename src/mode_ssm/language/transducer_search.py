"""Words from a transducer: beam search within the lexicon, shallow fusion, internal-LM subtraction, CTC prefix scores.

The score of a sentence is that of its best label sequence, whose alignments are summed: log P_transducer
+ lm_weight * log P_ngram - internal_lm_weight * log P_internal + ctc_weight * log P_ctc + word_score * words.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.config import WordSearchConfig
from mode_ssm.decoding.beam import BeamHypothesis, BeamOptions, transducer_beam
from mode_ssm.decoding.guide import CTCGuide, Guide, SumOfGuides
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.language.guide import WordGuide, WordState
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import PrefixTree


class TransducerWordSearch:
    """Searches a batch of trials at a time, with one lexicon and one choice of weights."""

    def __init__(self, model: WordModel, tree: PrefixTree, settings: WordSearchConfig, nbest: int) -> None:
        self._model = model
        self._settings = settings
        self._nbest = nbest
        self._guide = WordGuide(model, tree, settings)

    def __call__(
        self,
        encoded: Tensor,
        lengths: Tensor,
        transducer: TransducerCallables,
        ctc_log_probs: Sequence[NDArray[np.floating]] | None = None,
    ) -> list[list[WordHypothesis]]:
        """Search each trial: encoder projections (B, S, J); with CTC posteriors (S, V) a trial, jointly."""
        options = BeamOptions(
            beam_size=self._settings.rnnt_beam_size,
            max_labels_per_frame=self._settings.max_labels_per_frame,
            threshold=self._settings.beam_threshold,
            label_threshold=self._settings.label_threshold,
            internal_lm_weight=self._settings.internal_lm_weight,
            blank_penalty=self._settings.blank_penalty,
        )
        guides: list[Guide] = [self._trial_guide(None, transducer.blank) for _ in lengths]
        if ctc_log_probs is not None:
            guides = [self._trial_guide(posteriors, transducer.blank) for posteriors in ctc_log_probs]
        found = transducer_beam(encoded, lengths, transducer, options, guides)
        return [best_per_sentence((self._read(entry) for entry in trial), self._nbest) for trial in found]

    def _trial_guide(self, ctc_log_probs: NDArray[np.floating] | None, blank: int) -> SumOfGuides:
        if ctc_log_probs is None or self._settings.ctc_weight == 0:
            return SumOfGuides([self._guide])
        joint = CTCGuide(np.asarray(ctc_log_probs, np.float64), self._settings.ctc_weight, blank)
        return SumOfGuides([self._guide, joint])

    def _read(self, found: BeamHypothesis) -> WordHypothesis:
        state: WordState = found.guide_state[0]
        names = tuple(self._model.words[word] for word in state.words)
        return WordHypothesis(names, found.score, self._model.sentence_score(state.words), found.labels)
