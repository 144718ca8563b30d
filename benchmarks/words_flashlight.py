"""The peer of the CTC word search: flashlight-text's lexicon decoder with KenLM, where they are installed."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.language.arpa import LN10
from mode_ssm.language.ctc_search import ctc_emissions
from mode_ssm.language.model import WordModel
from mode_ssm.language.word_stream import WordSearch
from mode_ssm.scoring import edit_counts, total

MOST_HOMOPHONES = 6  # of a node of its tree


class FlashlightSearch:
    """One trial at a time, by the settings of our search."""

    def __init__(self, model: WordModel, arpa: Path, settings: WordSearchConfig) -> None:
        self._model, self._settings = model, settings
        labels = model.labels
        tree, alike = Trie(len(labels), labels.boundary), Counter[tuple[int, ...]]()
        for word, spelling in sorted(model.spellings, key=lambda entry: -model.unigrams[entry[0]]):
            alike[spelling] += 1
            if alike[spelling] <= MOST_HOMOPHONES:
                tree.insert(list(spelling), word, float(model.unigrams[word]) / LN10)
        tree.smear(SmearingMode.MAX)
        options = LexiconDecoderOptions(
            beam_size=settings.ctc_beam_size,
            beam_size_token=len(labels),
            beam_threshold=settings.beam_threshold,
            lm_weight=settings.lm_weight * LN10,
            word_score=settings.word_score,
            unk_score=-np.inf,
            sil_score=settings.silence_score,
            log_add=settings.merge is Merge.sum,
            criterion_type=CriterionType.CTC,
        )
        with _silent_stderr():
            self._lm = KenLM(str(arpa), Dictionary(list(model.words)))
        self._decoder = LexiconDecoder(options, tree, self._lm, labels.boundary, labels.blank, -1, [], False)

    def __call__(self, log_probs: np.ndarray) -> tuple[tuple[str, ...], float]:
        """The best sentence and its score, of log-probabilities (S, V)."""
        emissions = ctc_emissions(log_probs, self._settings, self._model.labels.blank)
        single = np.ascontiguousarray(emissions, dtype=np.float32)
        best: Any = self._decoder.decode(single.ctypes.data, *single.shape)[0]
        return tuple(self._model.words[word] for word in best.words if word >= 0), float(best.score)


def in_turn(
    ours: WordSearch[np.ndarray], peer: FlashlightSearch, truth: list[list[str]], scores: list[np.ndarray]
) -> dict[str, Any]:
    """Search each trial with both, alone; truth is what was said. Times are of the processor, medians over trials."""
    took, found = np.zeros((len(scores), 2)), []
    for trial, log_probs in enumerate(scores):
        start = time.process_time()
        here = ours([log_probs])[0][0].words
        middle = time.process_time()
        found.append((here, peer(log_probs)[0]))
        took[trial] = middle - start, time.process_time() - middle
    wer = [total(map(edit_counts, truth, map(list, column))).rate for column in zip(*found, strict=True)]
    ms = 1000 * np.median(took / np.array(list(map(len, scores)))[:, None], axis=0)
    return {
        "peer": "flashlight-text, CTC, one trial at a time",
        "ms_per_frame": dict(zip(("ours", "peer"), ms.round(3).tolist(), strict=True)),
        "median_ratio": round(float(np.median(took[:, 0] / took[:, 1])), 2),
        "wer": dict(zip(("ours", "peer"), np.round(wer, 4).tolist(), strict=True)),
        "same_best": f"{sum(a == b for a, b in found)} of {len(found)} trials",
    }


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep KenLM's progress bar, which is written below Python, off the screen."""
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
