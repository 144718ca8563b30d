"""CTC prefix probabilities while the frames come: what the CTC head says, so far, of label sequences in a search.

log P(prefix ...) is of all label sequences that begin with a prefix, by the frames up to now (Watanabe et al. 2017,
Hybrid CTC/attention architecture, section III-C, cut at the present). It is kept for many prefixes, a row each, of many
trials. A prefix that comes late is caught up with over the last `window` frames of its parent: as long as no label has
its place in CTC farther than that from where the search found it, the probabilities are those of the whole trial.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_LEAST = -1e3  # stands for the logarithm of 0, so that a sum over frames can be taken away again
NO_PARENT = -1


class CTCPrefixes:
    """A row a prefix; the first rows are those of the empty prefixes, one a trial.

    Attributes:
        prefix: (rows,) log-probability of all label sequences that begin with each prefix.
    """

    def __init__(self, trials: int, classes: int, blank: int, window: int) -> None:
        self._blank, self._window = blank, window
        self._heard = np.zeros(trials, np.int64)  # frames, by trial
        self._emissions = np.full((trials, window + 1, classes), _LEAST)  # the last ones, frame t at t % (window + 1)
        self._trial = np.arange(trials)
        self._label = np.full(trials, blank)
        self._parent = np.full(trials, NO_PARENT)
        self.prefix = np.zeros(trials)
        # Log-probability of exactly the prefix after t frames, at t % (window + 1): by paths that end in its last label
        # and by those that end in a blank.
        self._in_label = np.full((trials, window + 1), -np.inf)
        self._in_blank = np.full((trials, window + 1), -np.inf)
        self._in_blank[:, 0] = 0.0
        self._entered = np.full((trials, window + 1), -np.inf)  # that the last label is first said in frame t

    def __len__(self) -> int:
        return len(self._trial)

    def hear(self, emission: NDArray[np.floating], going: Flags, alive: Flags) -> None:
        """Take one frame of the trials that are going, (trials, V) log-probabilities; rows not alive are forgotten."""
        emission = np.maximum(np.asarray(emission, np.float64), _LEAST)
        slots = self._heard % (self._window + 1)
        self._emissions[going, slots[going]] = emission[going]
        rows = np.flatnonzero(going[self._trial] & alive)
        trial, label = self._trial[rows], self._label[rows]
        now = slots[trial]
        after = (now + 1) % (self._window + 1)
        in_label, in_blank = self._in_label[rows, now], self._in_blank[rows, now]
        parent = self._parent[rows]
        entering = np.where(
            (parent != NO_PARENT) & alive[parent], self._ready(parent, now, label == self._label[parent]), -np.inf
        )
        here = emission[trial, label]
        entering += here
        self.prefix[rows] = np.logaddexp(self.prefix[rows], entering)
        self._entered[rows, after] = entering
        self._in_label[rows, after] = np.logaddexp(in_label + here, entering)
        self._in_blank[rows, after] = np.logaddexp(in_label, in_blank) + emission[trial, self._blank]
        self._heard += going

    def _ready(self, rows: Ints, slot: Ints, repeated: Flags) -> Floats:
        """Log-probability that a prefix is complete and a label may follow; a repeated one needs a blank between."""
        in_blank = self._in_blank[rows, slot]
        return np.where(repeated, in_blank, np.logaddexp(in_blank, self._in_label[rows, slot]))

    @property
    def whole(self) -> Floats:
        """(rows,) log-probability that each prefix is all that was said so far."""
        now = self._heard[self._trial] % (self._window + 1)
        rows = np.arange(len(self))
        return np.asarray(np.logaddexp(self._in_label[rows, now], self._in_blank[rows, now]))

    def lately(self, rows: Ints, frames: int) -> Floats:
        """(N,) log-probability that a row's prefix was just what had been said, now or so many frames ago or between.

        Unlike `prefix` it falls where CTC hears the next label and the prefix does not grow. No more than the window.
        """
        frames = min(frames, self._window)
        heard = self._heard[self._trial[rows]]
        back = np.minimum(heard, frames)[:, None]
        slots = (heard[:, None] - np.arange(frames)) % (self._window + 1)
        entered = np.where(np.arange(frames) < back, self._entered[rows[:, None], slots], -np.inf)
        then = (heard - back[:, 0]) % (self._window + 1)
        stayed = np.logaddexp(self._in_label[rows, then], self._in_blank[rows, then])
        return np.asarray(np.logaddexp(np.logaddexp.reduce(entered, axis=1), stayed))

    def extended(self, parents: Ints, labels: Ints) -> Floats:
        """(N,) what `prefix` would be of a row's prefix with one label more."""
        entering, _, _ = self._entering(parents, labels)
        return np.asarray(np.logaddexp.reduce(entering, axis=1))

    def _entering(self, parents: Ints, labels: Ints) -> tuple[Floats, Ints, Ints]:
        """(N, window) the label is first said in each of the last frames; their slots, and trials, (N, 1) each."""
        trial = self._trial[parents][:, None]
        slots = (self._heard[trial] + np.arange(-self._window, 0)) % (self._window + 1)
        repeated = (labels == self._label[parents])[:, None]
        ready = self._ready(parents[:, None], slots, repeated)
        return ready + self._emissions[trial, slots, labels[:, None]], slots, trial

    def grow(self, parents: Ints, labels: Ints) -> None:
        """Add a row for each prefix with one label more. Both sums over time are solved by a running log-sum."""
        entering, slots, trial = self._entering(parents, labels)
        here = self._emissions[trial, slots, labels[:, None]]
        in_label = _running(entering, here)
        blank = self._emissions[trial, slots, self._blank]
        left = np.concatenate([np.full((len(parents), 1), -np.inf), in_label[:, :-1]], axis=1)
        in_blank = _running(left + blank, blank)
        after = (slots + 1) % (self._window + 1)
        self._in_label = _with_rows(self._in_label, after, in_label)
        self._in_blank = _with_rows(self._in_blank, after, in_blank)
        self._entered = _with_rows(self._entered, after, entering)
        self._trial = np.concatenate([self._trial, trial[:, 0]])
        self._label = np.concatenate([self._label, labels])
        self._parent = np.concatenate([self._parent, parents])
        self.prefix = np.concatenate([self.prefix, np.logaddexp.reduce(entering, axis=1)])

    def keep(self, rows: Ints) -> None:
        """Drop all other rows; those kept, given in rising order, move up."""
        place = np.full(len(self) + 1, NO_PARENT)  # the last entry is that of no parent
        place[rows] = np.arange(len(rows))
        self._trial, self._label, self.prefix = self._trial[rows], self._label[rows], self.prefix[rows]
        self._parent = place[self._parent[rows]]
        self._in_label, self._in_blank = self._in_label[rows], self._in_blank[rows]
        self._entered = self._entered[rows]


def _running(entering: Floats, held: Floats) -> Floats:
    """Solve r[t] = logaddexp(r[t-1] + held[t], entering[t]) from r = log 0, along the last axis."""
    sums = np.cumsum(held, axis=1)
    return np.asarray(sums + np.logaddexp.accumulate(entering - sums, axis=1))


def _with_rows(columns: Floats, slots: Ints, values: Floats) -> Floats:
    rows = np.full((len(values), columns.shape[1]), -np.inf)
    np.put_along_axis(rows, slots, values, axis=1)
    return np.concatenate([columns, rows])
