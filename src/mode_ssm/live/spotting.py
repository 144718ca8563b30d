"""A spoken phrase, spotted frame by frame in the posteriors of a CTC head."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mode_ssm.labels import Labels
from mode_ssm.live.events import Floats

UNHEARD = 10.0  # nats below the likeliest label, beyond which a phoneme was not said, so that no word may be left out
LAST_UNHEARD = 8.0  # the same of the last phonemes and the boundary after them, so that the phrase is over
LAST_PHONEMES = 2
LOUDEST = 20.0  # nats that a frame of other speech costs between two phonemes at most
SETTLE_FRAMES = 3  # encoder frames after the phrase in which its score must not rise: it is over
_NEVER = -np.inf


class PhraseSpotter:
    """Says when a phrase was said: a likelihood ratio of the phrase and of anything, by dynamic programming.

    A path through the phrase begins with any frame, takes each phoneme for one frame or more, may rest after each
    (blank and the boundary between words alike), and ends with the boundary, so that the last word is over. A frame
    costs by how much its label is less likely than the likeliest one, and no phoneme may be less likely than UNHEARD
    allows; the phrase was said where the best path costs no more than `threshold` a phoneme. Each frame takes the same
    time, and nothing grows.

    Args:
        spellings: of the phrase, as label ids without boundaries; the one that fits best counts.
        labels: of the posteriors.
        threshold: nats a phoneme.
        most_frames: encoder frames that a path may last.

    Attributes:
        scores: (P,) of each spelling's best path that ends with the newest frame, 0 or less, in nats a phoneme.
    """

    def __init__(self, spellings: Sequence[Sequence[int]], labels: Labels, threshold: float, most_frames: int) -> None:
        self._rests = [labels.blank] + ([] if labels.boundary is None else [labels.boundary])
        self._threshold, self._most_frames = threshold, most_frames
        states = [_states(spelling, labels) for spelling in spellings]
        self._classes = np.full((len(states), max(map(len, states))), len(labels) + 1)  # (P, N); last: no state
        for row, found in zip(self._classes, states, strict=True):
            row[: len(found)] = found
        self._least = np.where(self._classes < len(labels), -UNHEARD, _NEVER)  # that a frame of each state may be worth
        for row, spelling in zip(self._least, spellings, strict=True):
            last = row[max(0, 2 * (len(spelling) - LAST_PHONEMES)) :]
            last[last == -UNHEARD] = -LAST_UNHEARD
        self._last = np.array([[len(found) - 2, len(found) - 1] for found in states])
        self._phonemes = np.array([len(spelling) for spelling in spellings])
        differ = self._classes[:, 2:] != self._classes[:, :-2]
        self._skips = (self._classes[:, 2:] < len(labels)) & differ  # states that are reached without a rest before
        self.forget()

    def forget(self) -> None:
        """Nothing of the phrase was said."""
        self._paths = np.full(self._classes.shape, _NEVER)
        self._ages = np.zeros(self._classes.shape, dtype=np.int64)  # frames that the best path to each state lasts
        self.scores, self._best = np.full(len(self._paths), _NEVER), _NEVER
        self._settled = 0

    @property
    def said(self) -> bool:
        """Whether the phrase was said, though its last word may still sound."""
        return self._best >= -self._threshold

    def hear(self, log_probs: Floats) -> bool:
        """Take a frame (V,), and say whether the phrase was said and is over."""
        worth = self._worth(log_probs)[self._classes]
        self._advance(np.where(worth < self._least, _NEVER, worth))
        ends = np.take_along_axis(self._paths, self._last, axis=1).max(axis=1)
        self.scores = ends / self._phonemes
        if (score := float(self.scores.max())) > self._best:
            self._best, self._settled = score, 0
        else:
            self._settled += 1
        if not self.said:
            self._best = _NEVER
        return self.said and self._settled >= SETTLE_FRAMES

    def _worth(self, log_probs: Floats) -> NDArray[np.float64]:
        """(V + 2,), 0 or less: of each label, of a rest, and of no state at all."""
        heard = np.append(log_probs, np.logaddexp.reduce(log_probs[self._rests])).astype(np.float64)
        return np.append(np.maximum(heard - heard.max(), -LOUDEST), _NEVER)

    def _advance(self, worth: NDArray[np.float64]) -> None:
        """One frame further: into each state from the one before, from itself, or over a rest."""
        came = np.full((3, *self._paths.shape), _NEVER)
        ages = np.zeros(came.shape, dtype=np.int64)
        came[0, :, 0] = 0.0  # the phrase may begin here
        came[0, :, 1:], ages[0, :, 1:] = self._paths[:, :-1], self._ages[:, :-1]
        came[1], ages[1] = self._paths, self._ages
        came[2, :, 2:], ages[2, :, 2:] = np.where(self._skips, self._paths[:, :-2], _NEVER), self._ages[:, :-2]
        best = np.argmax(came, axis=0)[None]
        self._paths = np.take_along_axis(came, best, axis=0)[0] + worth
        self._ages = np.take_along_axis(ages, best, axis=0)[0] + 1
        self._paths[self._ages > self._most_frames] = _NEVER


def _states(spelling: Sequence[int], labels: Labels) -> list[int]:
    """A class a state: each phoneme and a rest after it, then the boundary, where there is one, and a rest."""
    spoken = [*spelling] if labels.boundary is None else [*spelling, labels.boundary]
    return [state for label in spoken for state in (label, len(labels))]
