"""The label sequences of a transducer search, a row each for all its trials: what the predictor makes of them.

However many hypotheses share a label sequence, and however often one comes back, the predictor is asked once for it,
for all new ones of a frame together. Rows that no hypothesis has had for some frames are dropped.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.decoding.ctc_prefixes import CTCPrefixes
from mode_ssm.decoding.sequence_hashes import GOLDEN, Hashes, append
from mode_ssm.decoding.transducer import TransducerCallables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class LabelPrefixes:
    """Rows are added as hypotheses grow; the first are those of the empty sequences, one a trial.

    Args:
        model: predictor and joiner.
        trials: how many.
        window: frames for which a row is kept after its last use.
        ctc_classes: V, where CTC prefix probabilities go with the rows; None = none do.
        device: of the model.
    """

    def __init__(
        self, model: TransducerCallables, trials: int, window: int, ctc_classes: int | None, device: torch.device
    ) -> None:
        self._model, self._window, self._device = model, window, device
        self._out, self._state = model.predict(torch.full((trials,), model.blank, device=device), model.initial(trials))
        self._trial = np.arange(trials)
        self._used = np.zeros(trials, np.int64)  # the frame of the trial when a hypothesis last had it
        self._hash = append(np.full(trials, GOLDEN), self._trial)
        self._row_of: dict[int, int] = dict(zip(self._hash.tolist(), range(trials), strict=True))
        self._frames = np.zeros(trials, np.int64)
        self._internal = np.empty((0, 0))  # (rows, V) of the first ones, made when asked for
        self.ctc = None if ctc_classes is None else CTCPrefixes(trials, ctc_classes, model.blank, window)

    def __len__(self) -> int:
        return len(self._trial)

    @property
    def alive(self) -> Flags:
        """(rows,) used within the window."""
        return self._frames[self._trial] - self._used < self._window

    def join(self, encoded: Tensor, rows: Ints) -> Floats:
        """(N, V) log-probabilities: of each row, beside the frame of its trial of encoded, (trials, J)."""
        asked, place = np.unique(rows, return_inverse=True)
        frames = encoded[torch.from_numpy(self._trial[asked]).to(self._device)]
        scores = self._model.join(frames, self._out[torch.from_numpy(asked).to(self._device)])
        return np.asarray(scores.double().cpu().numpy()[place])

    def internal_lm(self, rows: Ints, width: int) -> Floats:
        """(N, V) log-probabilities of the labels without the encoder's say; blank, which is no label, gets 0.

        Variani et al. 2020, Hybrid autoregressive transducer, section 3.2. width is J.
        """
        known = len(self._internal)
        if known < len(self):
            new = self._out[known:]
            nothing = torch.zeros(len(new), width, dtype=new.dtype, device=self._device)
            scores = self._model.join(nothing, new).double().cpu().numpy()
            scores[:, self._model.blank] = -np.inf
            scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
            scores[:, self._model.blank] = 0.0
            self._internal = np.concatenate([self._internal, scores]) if known else scores
        return self._internal[rows]

    def extend(self, parents: Ints, labels: Ints) -> Ints:
        """The rows of sequences with one label more, made where they are not known."""
        self._used[parents] = self._frames[self._trial[parents]]
        hashes, first, place = np.unique(append(self._hash[parents], labels), return_index=True, return_inverse=True)
        rows = np.array([self._row_of.get(key, -1) for key in hashes.tolist()], np.int64)
        rows[(rows >= 0) & ~self.alive[rows]] = -1
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            rows[missing] = np.arange(len(missing)) + len(self)
            self._add(parents[first[missing]], labels[first[missing]], hashes[missing])
        self._used[rows] = self._frames[self._trial[rows]]
        return np.asarray(rows[place])

    def _add(self, parents: Ints, labels: Ints, hashes: Hashes) -> None:
        self._row_of |= dict(zip(hashes.tolist(), range(len(self), len(self) + len(hashes)), strict=True))
        places = torch.from_numpy(parents).to(self._device)
        asked = torch.from_numpy(labels).to(self._device)
        out, state = self._model.predict(asked, tuple(part[places] for part in self._state))
        self._out = torch.cat([self._out, out])
        self._state = tuple(torch.cat(pair) for pair in zip(self._state, state, strict=True))
        trial = self._trial[parents]
        self._trial = np.concatenate([self._trial, trial])
        self._used = np.concatenate([self._used, self._frames[trial]])
        self._hash = np.concatenate([self._hash, hashes])
        if self.ctc is not None:
            self.ctc.grow(parents, labels)

    def end_frame(self, going: Flags, rows: Ints) -> Ints:
        """A frame of the trials that are going is over, and hypotheses have these rows; the numbers that they have now.

        Half of the rows may be dead before all of those are dropped.
        """
        self._frames += going
        self._used[rows] = self._frames[self._trial[rows]]
        alive = self.alive
        if 2 * np.count_nonzero(alive) > len(alive):
            return rows
        kept = np.flatnonzero(alive)
        place = np.cumsum(alive) - 1
        where = torch.from_numpy(kept).to(self._device)
        self._out, self._state = self._out[where], tuple(part[where] for part in self._state)
        self._internal = self._internal[kept[kept < len(self._internal)]]
        self._trial, self._used, self._hash = self._trial[kept], self._used[kept], self._hash[kept]
        self._row_of = dict(zip(self._hash.tolist(), range(len(kept)), strict=True))
        if self.ctc is not None:
            self.ctc.keep(kept)
        return np.asarray(place[rows])
