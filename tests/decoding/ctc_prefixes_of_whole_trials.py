"""CTC prefix probabilities of whole trials, a label at a time, as Watanabe et al. 2017, section III-C, has them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class PrefixState(NamedTuple):
    """Log-probabilities of having emitted exactly a prefix within the first t frames, t = 0..S."""

    last: int  # the prefix's last label, the blank for the empty one
    ends_in_label: Floats  # (S + 1,) the path's frame t holds the last label
    ends_in_blank: Floats  # (S + 1,)
    prefix: float  # of all label sequences that begin with the prefix

    @property
    def whole(self) -> float:
        """Log-probability that the prefix is the trial's whole label sequence."""
        return float(np.logaddexp(self.ends_in_label[-1], self.ends_in_blank[-1]))


class CTCPrefixScorer:
    """log P(prefix ...) of one trial, grown a label at a time; vectorised over the next label and over time.

    A label that the posteriors give no chance at all, less than exp(-700), is forbidden.

    log_probs (S, V), normalised over V.
    """

    def __init__(self, log_probs: NDArray[np.floating], blank: int) -> None:
        self._blank = blank
        self._log_probs = np.asarray(log_probs, dtype=np.float64)
        # A finite floor, so that a sum over frames can be taken away again.
        self._log_probs = np.maximum(self._log_probs, -1e3)
        self._probs = np.exp(self._log_probs)
        self._sums = np.concatenate([np.zeros((1, self._log_probs.shape[1])), self._log_probs.cumsum(axis=0)])

    def start(self) -> PrefixState:
        """Describe the empty prefix: blanks only, and every label sequence begins with it."""
        return PrefixState(self._blank, np.full(len(self._sums), -np.inf), self._sums[:, self._blank].copy(), 0.0)

    def scores(self, state: PrefixState) -> Floats:
        """(V,) log-probability of the prefix with each label appended; blank is minus infinity."""
        result = self._log_sum(self._ready(state))
        if state.last != self._blank:  # a repeated label needs a blank before it
            result[state.last] = self._log_sum(state.ends_in_blank[:-1])[state.last]
        result[self._blank] = -np.inf
        return result

    def _log_sum(self, ready: Floats) -> Floats:
        """(V,) log of the sum over frames of exp(ready) * P; what is 700 nats below the largest counts as nothing."""
        largest = ready.max(initial=-np.inf)
        if largest == -np.inf:
            return np.full(self._log_probs.shape[1], -np.inf)
        with np.errstate(divide="ignore"):
            return np.asarray(largest + np.log(np.exp(ready - largest) @ self._probs))

    def extend(self, state: PrefixState, label: int) -> PrefixState:
        """Append one label. Both sums over time are first-order recurrences, solved by a running log-sum."""
        entering = self._entering(state, label)
        in_label = self._run(entering, label)
        in_blank = self._run(in_label[:-1] + self._log_probs[:, self._blank], self._blank)
        return PrefixState(label, in_label, in_blank, float(np.logaddexp.reduce(entering)))

    def _ready(self, state: PrefixState) -> Floats:
        """(S,) the prefix is complete before frame t."""
        ready: Floats = np.logaddexp(state.ends_in_label, state.ends_in_blank)[:-1]
        return ready

    def _entering(self, state: PrefixState, label: int) -> Floats:
        """(S,) frame t emits the label for the first time; a repeated label needs a blank before it."""
        ready = state.ends_in_blank[:-1] if label == state.last else self._ready(state)
        entering: Floats = ready + self._log_probs[:, label]
        return entering

    def _run(self, entering: Floats, symbol: int) -> Floats:
        """(S + 1,) solution of r[t] = logaddexp(r[t-1] + log p(symbol at t), entering[t]), r[0] = -inf."""
        held = self._sums[1:, symbol]
        return np.concatenate([[-np.inf], held + np.logaddexp.accumulate(entering - held)])
