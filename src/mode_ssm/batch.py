"""What travels between the parts: a trial as it was read, and a batch of trials padded to one length.

Shape legend, everywhere: B trials, T feature frames (20 ms), S encoder frames, U labels, V classes with blank,
C feature channels, D model width, N state size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FRAME_MS = 20  # one feature frame


@dataclass(frozen=True)
class TrialKey:
    """Where a trial stands: enough to name it in a warning and to find it again."""

    session: str  # t15.2023.08.13
    split: str  # train, val or test
    group: str  # trial_0007, its name within its session's part of the split
    block: int
    number: int  # trial_num within the block

    def __str__(self) -> str:
        return f"{self.session}/{self.split}/{self.group}"


@dataclass(frozen=True)
class Trial:
    """One attempt at one sentence. Trials of a test split, say, have neither labels nor a sentence."""

    key: TrialKey
    features: Tensor  # (T, C) float32
    labels: Tensor | None  # (U,) int64, without blank and without padding
    sentence: str | None


class Batch(NamedTuple):
    """Trials padded with zeros; the lengths say what is real, and of channels the participant."""

    features: Tensor  # (B, T, C) float32; of trials with fewer channels the others are 0
    frame_lengths: Tensor  # (B,) int64
    labels: Tensor  # (B, U) int64
    label_lengths: Tensor  # (B,) int64
    session_index: Tensor  # (B,) int64, -1 for a session that the model has not seen
    keys: tuple[TrialKey, ...]
    sentences: tuple[str | None, ...]
    new_sessions: bool = True  # false where it is known, without a look at the tensor, that no session_index is -1

    @property
    def labelled(self) -> Tensor:
        """(B,) bool: which trials have labels; one without has no other trace than a label length of 0."""
        return self.label_lengths > 0

    def aligned(self, encoder_lengths: Tensor) -> Tensor:
        """(B,) bool: which trials have labels that CTC can align with so many frames: a blank parts equal ones."""
        within = length_mask(self.label_lengths - 1, max(self.labels.shape[1] - 1, 0))
        repeats = ((self.labels[:, 1:] == self.labels[:, :-1]) & within).sum(dim=1)
        return self.labelled & (encoder_lengths >= self.label_lengths + repeats)

    def to(self, device: torch.device) -> "Batch":
        """A copy on another device; of a pinned batch to a GPU, one that this process does not wait for."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=device.type == "cuda"))

    def pinned(self) -> "Batch":
        """A copy in memory that a GPU reads by itself."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return self._replace(
            features=change(self.features),
            frame_lengths=change(self.frame_lengths),
            labels=change(self.labels),
            label_lengths=change(self.label_lengths),
            session_index=change(self.session_index),
        )


def collate(trials: list[Trial], session_index: dict[str, int]) -> Batch:
    """Pad trials into a batch; a trial without labels gets length 0."""
    none = torch.zeros(0, dtype=torch.int64)
    labels = [none if trial.labels is None else trial.labels for trial in trials]
    channels = max(trial.features.shape[1] for trial in trials)
    features = [F.pad(trial.features, (0, channels - trial.features.shape[1])) for trial in trials]
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(
        features=pad(features, batch_first=True),
        frame_lengths=torch.tensor([len(f) for f in features]),
        labels=pad(labels, batch_first=True),
        label_lengths=torch.tensor([len(u) for u in labels]),
        session_index=torch.tensor([session_index.get(trial.key.session, -1) for trial in trials]),
        keys=tuple(trial.key for trial in trials),
        sentences=tuple(trial.sentence for trial in trials),
        new_sessions=any(trial.key.session not in session_index for trial in trials),
    )


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths to a (B, size) mask, true where a frame is real."""
    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]
