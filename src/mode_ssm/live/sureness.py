"""How sure the words of a trial are, and what else they could be: told once, after its end."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.language.confidence import RAW_TEMPERATURE, Confidence
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.word_places import WordPlaces, slots_of_words
from mode_ssm.language.word_windows import Worked
from mode_ssm.live.events import Floats

LONGEST_SECONDS = 60.0  # of a trial; a longer one gets none, for that would take too long while the next one comes
_PIECE = 3  # encoder frames of all words at a time, about as long as a frame of a sentence's search takes each


class SureWords(NamedTuple):
    """Of each word of the best sentence."""

    posteriors: tuple[float, ...]
    confidences: tuple[float, ...] | None  # None where none were learnt for this search
    alternatives: tuple[tuple[tuple[str, float], ...], ...]  # words and their posteriors, best first; "" for no word


class Sureness:
    """Judges the words that a search found.

    Args:
        places: made for the search.
        confidence: that `tune` learnt for it, or None.
        alternatives: of each word, at most.
        longest: encoder frames of a trial that are kept for it.
    """

    def __init__(self, places: WordPlaces, confidence: Confidence | None, alternatives: int, longest: int) -> None:
        self._places, self._confidence, self._alternatives = places, confidence, alternatives
        self.longest = longest

    def __call__(self, ctc: Sequence[Floats], nbest: Sequence[WordHypothesis]) -> Worked[SureWords]:
        """From the pieces (s, V) of a trial's CTC log-probabilities, none without a CTC head, and its sentences.

        It can be paused often, for it takes longer than a step may, and someone may speak on.
        """
        learnt = self._confidence
        temperature = RAW_TEMPERATURE if learnt is None else learnt.temperature
        heard = np.concatenate(ctc) if ctc else np.zeros((0, 0), np.float32)
        places = yield from self._places.in_pieces(heard, nbest, _PIECE)
        slots = slots_of_words(places.slots(temperature))
        return SureWords(
            tuple(round(slot.posterior, 4) for slot in slots),
            None if learnt is None else tuple(round(learnt(slot.posterior), 4) for slot in slots),
            tuple(
                tuple((word, round(share, 4)) for word, share in slot.alternatives[: self._alternatives])
                for slot in slots
            ),
        )
