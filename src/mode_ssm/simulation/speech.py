"""One attempt at a sentence: when each phoneme is produced, and how the articulators move."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mode_ssm.labels import T15
from mode_ssm.simulation.articulation import ARTICULATORS, FRAME_MS, RELATIVE_DURATION, TARGETS, movement_response
from mode_ssm.simulation.presets import Speech

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MIN_PHONEME_FRAMES = 2


class Mode(IntEnum):
    vocalised = 0
    silent = 1


@dataclass(frozen=True)
class Utterance:
    """Segments in time order: a delay, then each label and a gap (0 frames inside a word); the last gap is the tail."""

    classes: IntArray  # (segments,) phoneme ids, 0 = nothing is said
    frames: IntArray  # (segments,)
    mode: Mode

    @property
    def total_frames(self) -> int:
        return int(self.frames.sum())

    @property
    def alignment(self) -> NDArray[np.uint8]:
        """(T,) the phoneme of every frame."""
        return np.repeat(self.classes, self.frames).astype(np.uint8)


def time_utterance(labels: tuple[int, ...], mode: Mode, speech: Speech, rng: np.random.Generator) -> Utterance:
    """Draw the durations of the delay, of each phoneme, of the silences between words, and of the tail."""
    ids = np.array(labels)
    words = int((ids == T15.boundary).sum())
    rate = np.exp(speech.rate_spread * rng.standard_normal())
    spread = np.exp(speech.duration_spread * rng.standard_normal(len(ids)))
    phonemes_ms = rate * speech.phoneme_ms[mode] * RELATIVE_DURATION[ids] * spread
    gaps_ms = (
        rate * speech.gap_ms[mode] * rng.gamma(speech.gap_shape, 1 / speech.gap_shape, len(ids)) * (ids == T15.boundary)
    )
    delay, tail = rng.standard_normal(2)
    delay_ms = (speech.delay_ms + speech.delay_per_word_ms * words) * np.exp(speech.delay_spread * delay)
    gaps_ms[-1] = speech.tail_ms * np.exp(speech.tail_spread * tail)

    classes = np.zeros(2 * len(ids) + 1, dtype=np.int64)
    frames = np.zeros_like(classes)
    classes[1::2] = ids
    frames[0] = max(delay_ms, speech.min_delay_ms) / FRAME_MS
    frames[1::2] = np.maximum(np.rint(phonemes_ms / FRAME_MS), MIN_PHONEME_FRAMES)
    frames[2::2] = np.rint(gaps_ms / FRAME_MS)
    if frames.sum() > speech.max_frames:
        frames[2:-1:2] -= _share_out(frames[2:-1:2], int(frames.sum()) - speech.max_frames)
    return Utterance(classes, frames, mode)


def _share_out(frames: IntArray, excess: int) -> IntArray:
    """How much to take from each gap so that `excess` goes, or all that there is."""
    share = min(1.0, excess / max(int(frames.sum()), 1))
    return np.asarray(np.minimum(np.ceil(frames * share), frames), dtype=np.int64)


def move(utterance: Utterance, target_spread: float, rng: np.random.Generator) -> FloatArray:
    """(T, 2 articulators): positions, then velocities in units of the distance moved in one natural period.

    Targets vary from one token to the next, and the articulators follow them as critically damped masses do, so that a
    phoneme's movement depends on its neighbours.
    """
    targets = TARGETS[utterance.classes]  # (segments, 2, articulators)
    noise = rng.standard_normal(targets.shape, dtype=np.float32) * np.float32(target_spread)
    targets = targets + noise * (utterance.classes != T15.blank)[:, None, None]
    if utterance.mode is Mode.silent:
        targets[..., ARTICULATORS.index("voicing")] *= 0.3
    first = (utterance.frames + 1) // 2
    halves = np.stack([first, utterance.frames - first], axis=1).ravel()
    goal = np.repeat(targets.reshape(-1, targets.shape[-1]), halves, axis=0)
    response = _RESPONSE[utterance.mode]
    position = np.empty((len(goal), 2, goal.shape[1]), dtype=np.float32)
    for k in range(goal.shape[1]):
        position[:, 0, k] = np.convolve(goal[:, k], response[k])[: len(goal)]
    position[:, 1] = np.diff(position[:, 0], axis=0, prepend=0) * 2.5
    return position.reshape(len(goal), -1)


_RESPONSE = {Mode.vocalised: movement_response(FRAME_MS), Mode.silent: movement_response(FRAME_MS, speed=1.3)}
