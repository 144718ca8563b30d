"""When words were said: from the encoder frames in which their sounds were found to seconds.

A head finds a sound first in a frame whose middle is near the sound's beginning: so it was with both heads of a
bidirectional network on simulated recordings, where that is known (`benchmarks/confidence.py`). How long a sound lasts
is seen in the trial itself, as the usual time between two sounds of a word; so long the last sound of a word goes on.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.config import ModelConfig
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.models.model import encoder_frame_ms, first_middle_ms

_USUAL_SOUND_MS = 160.0  # where no word has two sounds; T15's participant takes about as long


class FrameClock(NamedTuple):
    """When encoder frames are, in milliseconds from the start of a trial."""

    first_ms: float  # the middle of what the first frame sees
    step_ms: float  # from each to the next

    def ms(self, frame: float) -> float:
        return self.first_ms + self.step_ms * frame


def frame_clock(config: ModelConfig) -> FrameClock:
    """That of a network's encoder frames."""
    return FrameClock(first_middle_ms(config), encoder_frame_ms(config))


class WordTime(NamedTuple):
    """Seconds from the start of the trial."""

    start: float
    end: float


def word_times(hypothesis: WordHypothesis, clock: FrameClock, boundary: int) -> tuple[WordTime, ...]:
    """Start and end of each word; where two would overlap, they meet in the middle."""
    sounds = _sounds(hypothesis, boundary)
    last = _sound_ms(sounds, clock.step_ms)
    starts = [clock.ms(frames[0]) for frames in sounds]
    ends = [clock.ms(frames[-1]) + last for frames in sounds]
    for place in range(1, len(sounds)):
        if starts[place] < ends[place - 1]:
            starts[place] = ends[place - 1] = (starts[place] + ends[place - 1]) / 2
    return tuple(WordTime(start / 1000, end / 1000) for start, end in zip(starts, ends, strict=True))


def _sounds(hypothesis: WordHypothesis, boundary: int) -> list[list[int]]:
    """The frames of the sounds of each word, the boundary after it left out."""
    words: list[list[int]] = [[]]
    for label, frame in zip(hypothesis.labels, hypothesis.label_frames, strict=True):
        if label == boundary:
            words.append([])
        else:
            words[-1].append(frame)
    return words[: len(hypothesis.words)]


def _sound_ms(words: Sequence[Sequence[int]], step_ms: float) -> float:
    """How long a sound lasts, in the mean over the trial's words."""
    steps = np.concatenate([[0.0], *(np.diff(frames) for frames in words)])
    count = sum(len(frames) - 1 for frames in words)
    return float(steps.sum()) * step_ms / count if count > 0 else _USUAL_SOUND_MS
