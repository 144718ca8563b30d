"""The greedy searches on a stream: encoder frames come in, in pieces, and labels go out in the frame that decides them.

However the frames of a trial are cut into pieces, the labels are those that `ctc_greedy` and `transducer_greedy` find.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mode_ssm.decoding.transducer import TransducerCallables


class Emission(NamedTuple):
    label: int
    frame: int  # of the encoder, counted from the start of the trial


class GreedyStream(Protocol):
    """One trial on its way through a search."""

    def extend(self, frames: Tensor) -> list[Emission]:
        """Take the next frames, and give the labels that they decide."""


class CTCStream:
    """The best class of each frame; a label is said where its run of frames begins.

    The frames of `extend` are log-probabilities, or logits, (s, V).
    """

    def __init__(self, blank: int) -> None:
        self._blank, self._last, self._frame = blank, blank, 0

    def extend(self, frames: Tensor) -> list[Emission]:
        found = []
        for best in frames.argmax(dim=-1).tolist():
            if best not in (self._last, self._blank):
                found.append(Emission(best, self._frame))
            self._last = best
            self._frame += 1
        return found


class TransducerStream:
    """The best symbol at each step, until a frame is ended by the blank or by `max_labels_per_frame` labels.

    The frames of `extend` are encoder projections (s, J).
    """

    def __init__(self, model: TransducerCallables, blank: int, max_labels_per_frame: int, device: torch.device) -> None:
        self._model, self._blank, self._most = model, blank, max_labels_per_frame
        self._predicted, self._state = model.predict(torch.tensor([blank], device=device), model.initial(1))
        self._frame = 0

    @torch.no_grad()
    def extend(self, frames: Tensor) -> list[Emission]:
        found = []
        for frame in frames:
            found += [Emission(label, self._frame) for label in self._labels_of(frame[None])]
            self._frame += 1
        return found

    def _labels_of(self, frame: Tensor) -> Iterable[int]:
        for _ in range(self._most):
            best = self._model.join(frame, self._predicted).argmax(dim=-1)
            label = int(best)
            if label == self._blank:
                return
            yield label
            self._predicted, self._state = self._model.predict(best, self._state)
