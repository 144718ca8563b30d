"""Predictor outputs and states of the label sequences in use, a row each, for all trials of a search."""

import numpy as np
import torch
from torch import Tensor

from mode_ssm.decoding.ctc import Floats
from mode_ssm.decoding.transducer import TransducerCallables


class PredictorPool:
    """Rows are added as hypotheses grow and dropped once a frame."""

    def __init__(self, model: TransducerCallables, trials: int, like: Tensor) -> None:
        self._model = model
        blanks = torch.full((trials,), model.blank, device=like.device)
        self._out, self._state = model.predict(blanks, model.initial(trials))
        self._nothing = torch.zeros_like(like)  # (1, J), an encoder that says nothing
        self._internal: Floats | None = None  # (rows, V), made when first asked for

    def join(self, encoded: Tensor, rows: list[int]) -> Floats:
        """(N, V) log-probabilities, encoder frames beside predictor rows."""
        return self._numpy(self._model.join(encoded, self._out[rows]))

    def internal_lm(self, row: int) -> Floats:
        """(V,) log-probabilities of the labels without the encoder's say; blank, which is no label, gets 0.

        Variani et al. 2020, Hybrid autoregressive transducer, section 3.2.
        """
        if self._internal is None or len(self._internal) < len(self._out):
            known = 0 if self._internal is None else len(self._internal)
            new = self._label_log_probs(self._out[known:])
            self._internal = new if self._internal is None else np.concatenate([self._internal, new])
        return np.asarray(self._internal[row])

    def _label_log_probs(self, predicted: Tensor) -> Floats:
        scores = self._numpy(self._model.join(self._nothing.expand_as(predicted), predicted))
        scores[:, self._model.blank] = -np.inf
        scores -= np.logaddexp.reduce(scores, axis=1, keepdims=True)
        scores[:, self._model.blank] = 0.0
        return scores

    def extend(self, parents: list[int], labels: list[int]) -> list[int]:
        """Move the predictor by one label from each parent row; the new rows."""
        old = tuple(part[parents] for part in self._state)
        out, state = self._model.predict(torch.tensor(labels, device=self._out.device), old)
        first = len(self._out)
        self._out = torch.cat([self._out, out])
        self._state = tuple(torch.cat(pair) for pair in zip(self._state, state, strict=True))
        return list(range(first, len(self._out)))

    def keep(self, rows: list[int]) -> None:
        """Drop all other rows; the kept ones, given in rising order, move up."""
        self._out = self._out[rows]
        if self._internal is not None:
            self._internal = self._internal[[row for row in rows if row < len(self._internal)]]
        self._state = tuple(part[rows] for part in self._state)

    @staticmethod
    def _numpy(scores: Tensor) -> Floats:
        return scores.double().cpu().numpy()
