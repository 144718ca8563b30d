"""A sentence with what else could stand at each of its places: a confusion network, its slots in time.

Mangu et al. 2000, Finding consensus in speech recognition. Whether there is a word at all comes from
aligning the sentences of an n-best; which word it is, from the word's own window of frames (`word_windows`), for an
n-best holds too few of them. A posterior is what the weighted scores give when they are divided by a temperature;
whether it is the share of words that are right is for `confidence` to say.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.language.combine_network import NOTHING, Vote, align, align_in_order
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.segments import Floats
from mode_ssm.language.word_times import WordTime
from mode_ssm.language.word_windows import Rival


class WordSlot(NamedTuple):
    """A place in the best sentence, or between two words of it where others have one more."""

    word: str  # of the best sentence; "" for none
    posterior: float
    alternatives: tuple[tuple[str, float], ...]  # the others and their posteriors, best first; "" for no word
    time: WordTime | None = None


class SentencePlaces:
    """A trial's n-best aligned, with the rivals of each word of its best sentence; posteriors at any temperature.

    Args:
        nbest: sentences, best first; none give no slots.
        windows: of each word of the best, from `WordWindows`; empty where there are none, then the n-best says all.
        times: of each word of the best, or None.
    """

    def __init__(
        self, nbest: Sequence[WordHypothesis], windows: Sequence[Sequence[Rival]], times: Sequence[WordTime] | None
    ) -> None:
        self._scores = [hypothesis.score for hypothesis in nbest]
        self._windows, self._times = windows, times
        # In place of shares, which sentences have the word: any shares are then a product.
        votes = [Vote(h.words, row) for h, row in zip(nbest, np.eye(len(nbest)), strict=True)]
        slots = align_in_order(votes) if votes else []
        path = align(slots, nbest[0].words) if votes else []
        self._places = [(own, slots[place]) for place, own in path if place is not None]

    def slots(self, temperature: float) -> list[WordSlot]:
        """In the order of time; scores are divided by the temperature before they become posteriors."""
        shares = softmax(self._scores, temperature)
        word, result = -1, []
        for own, slot in self._places:
            word += own != NOTHING
            found = {other: float(votes @ shares) for other, votes in slot.items()}
            if own != NOTHING and self._windows:
                found = _with_window(found, self._windows[word], temperature)
            others = sorted(((w, share) for w, share in found.items() if w != own), key=lambda pair: -pair[1])
            result.append(WordSlot(own, found[own], tuple(others), self._time(word, own)))
        return result

    def _time(self, word: int, own: str) -> WordTime | None:
        """A word's own time; for a place without one, the gap before the next word."""
        times = self._times
        if times is None:
            return None
        if own != NOTHING:
            return times[word]
        start = times[word].end if word >= 0 else 0.0
        return WordTime(start, times[word + 1].start if word + 1 < len(times) else start)


def softmax(scores: Sequence[float], temperature: float) -> Floats:
    """Shares of natural logarithms that are divided by a temperature."""
    scaled = np.array(scores, np.float64) / temperature
    shares = np.exp(scaled - scaled.max(initial=-np.inf))
    return np.asarray(shares / shares.sum())


def _with_window(found: dict[str, float], window: Sequence[Rival], temperature: float) -> dict[str, float]:
    """No word as likely as the n-best has it; the rest among the words of the window."""
    nothing = found.get(NOTHING, 0.0)
    shares = softmax([rival.score for rival in window], temperature) * (1 - nothing)
    words = {rival.word: float(share) for rival, share in zip(window, shares, strict=True)}
    return {NOTHING: nothing, **words} if nothing else words
