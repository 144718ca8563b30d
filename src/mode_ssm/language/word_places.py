"""Sentences that were found become places with alternatives, times and confidences; tune learns the confidence here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import WordSearchConfig
from mode_ssm.language.confidence import RAW_TEMPERATURE, Confidence, Judged, fit_confidence, judge
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.search import Found
from mode_ssm.language.trie import ROOT, PrefixTree, build_tree
from mode_ssm.language.word_slots import SentencePlaces, WordSlot
from mode_ssm.language.word_times import FrameClock, word_times
from mode_ssm.language.word_windows import Rival, WordWindows, Worked, finished

WIDE = 50  # sentences of a trial that are aligned, however few are written


class WordPlaces:
    """What is needed beside the sentences found: the search once more, and when frames are.

    Args:
        model, tree, settings: of the search that found the sentences.
        heard: whether a CTC head was trained; else alternatives come from the n-best alone.
        clock: of the encoder frames, or None where that is not known.
    """

    def __init__(
        self,
        model: WordModel,
        settings: WordSearchConfig,
        clock: FrameClock | None,
        *,
        heard: bool = True,
        tree: PrefixTree | None = None,
    ) -> None:
        tree = build_tree(model) if tree is None else tree
        self._windows = WordWindows(model, tree, settings) if heard else None
        self._clock, self._boundary = clock, int(tree.label[ROOT])

    def of(self, ctc: NDArray[np.floating], nbest: Sequence[WordHypothesis]) -> SentencePlaces:
        """The places of the best sentence of a trial, from its CTC log-probabilities (S, V)."""
        return finished(self.in_pieces(ctc, nbest, max(len(ctc), 1)))

    def in_pieces(
        self, ctc: NDArray[np.floating], nbest: Sequence[WordHypothesis], frames: int
    ) -> Worked[SentencePlaces]:
        """The same, so many frames at a time."""
        best = nbest[0] if nbest else None
        windows: list[list[Rival]] = []
        if self._windows is not None and best is not None:
            windows = yield from self._windows.in_pieces(ctc, best, frames)
        times = None if self._clock is None or best is None else word_times(best, self._clock, self._boundary)
        return SentencePlaces(nbest[:WIDE], windows, times)


def add_slots(found: Sequence[Found], places: WordPlaces, confidence: Confidence | None) -> list[Found]:
    """Trials with the slots of their best sentences, at the temperature that was learnt for the confidence."""
    temperature = RAW_TEMPERATURE if confidence is None else confidence.temperature
    return [one._replace(slots=tuple(places.of(one.trial.ctc, one.hypotheses).slots(temperature))) for one in found]


def learn_confidence(found: Sequence[Found], places: WordPlaces) -> Confidence | None:
    """Learn from labelled trials; None where there are too few words that are right, or that are wrong."""
    labelled = [(one, places.of(one.trial.ctc, one.hypotheses)) for one in found if one.trial.sentence is not None]
    judged = [judged_words(one) for one, _ in labelled]
    right = np.array([word.right for words in judged for word in words], dtype=np.bool_)

    def posteriors(temperature: float) -> NDArray[np.float64]:
        values = []
        for (_, own), words in zip(labelled, judged, strict=True):
            slots = slots_of_words(own.slots(temperature))
            values += [slots[word.place].posterior for word in words]
        return np.array(values)

    return fit_confidence(posteriors, right)


def judged_words(found: Found) -> list[Judged]:
    """Each word of the best sentence of a labelled trial: whether it is right."""
    return judge(found.trial.sentence or "", found.hypotheses[0].words if found.hypotheses else ())


def slots_of_words(slots: Sequence[WordSlot]) -> list[WordSlot]:
    """Those of the words of the best sentence, the places without one left out."""
    return [slot for slot in slots if slot.word]
