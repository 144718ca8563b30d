"""What may steer a transducer's beam search besides the transducer: a lexicon with a language model, CTC prefix scores.

Everything that a guide adds depends on the labels and on the words read from them, never on the alignment, so that the
alignments of one hypothesis can still be summed.
"""

from collections.abc import Hashable, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np

from mode_ssm.decoding.ctc import CTCPrefixScorer, Floats, PrefixState


class Ending(NamedTuple):
    gain: float  # added when the trial ends here
    complete: bool  # false within a word; such hypotheses are left out where a complete one exists


class Guide(Protocol):
    """One trial's guide. A state belongs to a hypothesis and is opaque to the search."""

    def start(self) -> Any:
        """State before the first label."""

    def scores(self, state: Any) -> Floats:
        """(V,) what appending each label would add, the best case where it branches; minus infinity forbids it."""

    def extend(self, state: Any, label: int) -> Sequence[tuple[float, Any]]:
        """Append a label: what it adds and the new state, for each reading, such as each of two homophones."""

    def end(self, state: Any) -> Ending:
        """Close the hypothesis."""

    def key(self, state: Any) -> Hashable:
        """Tell apart the readings of one label sequence."""


class CTCGuide:
    """Adds weight * log P(prefix) under the CTC head, and at the end weight * log P(labels).

    log_probs (S, V), normalised over V; the weight is positive.
    """

    def __init__(self, log_probs: Floats, weight: float, blank: int) -> None:
        self._scorer = CTCPrefixScorer(log_probs, blank)
        self._weight = weight

    def start(self) -> PrefixState:
        return self._scorer.start()

    def scores(self, state: PrefixState) -> Floats:
        return self._weight * (self._scorer.scores(state) - state.prefix)

    def extend(self, state: PrefixState, label: int) -> list[tuple[float, PrefixState]]:
        new = self._scorer.extend(state, label)
        return [(self._weight * (new.prefix - state.prefix), new)]

    def end(self, state: PrefixState) -> Ending:
        return Ending(self._weight * (state.whole - state.prefix), complete=True)

    def key(self, state: PrefixState) -> Hashable:  # noqa: ARG002
        return None


class SumOfGuides:
    """Several guides at once; none at all leaves the search to the transducer."""

    def __init__(self, guides: Sequence[Guide]) -> None:
        self._guides = guides

    def start(self) -> tuple[Any, ...]:
        return tuple(guide.start() for guide in self._guides)

    def scores(self, state: tuple[Any, ...]) -> Floats:
        parts = [guide.scores(part) for guide, part in zip(self._guides, state, strict=True)]
        return np.asarray(sum(parts, np.zeros(1)))

    def extend(self, state: tuple[Any, ...], label: int) -> list[tuple[float, tuple[Any, ...]]]:
        readings = [guide.extend(part, label) for guide, part in zip(self._guides, state, strict=True)]
        return [(sum(gain for gain, _ in row), tuple(part for _, part in row)) for row in product(*readings)]

    def end(self, state: tuple[Any, ...]) -> Ending:
        endings = [guide.end(part) for guide, part in zip(self._guides, state, strict=True)]
        return Ending(sum(ending.gain for ending in endings), all(ending.complete for ending in endings))

    def key(self, state: tuple[Any, ...]) -> Hashable:
        return tuple(guide.key(part) for guide, part in zip(self._guides, state, strict=True))
