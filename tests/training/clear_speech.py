"""Recordings that a tiny network learns in some seconds: each phoneme has a pattern of its own, under noise."""

from pathlib import Path

import numpy as np

from tests.data.files import FakeTrial, write_session
from tests.small import CHANNELS, SESSIONS

PHONEMES = 6
NOISE = 1.0
CLEAR = """
encoder.width=32 encoder.dropout=0.2 preprocessor.dropout=0 predictor.dropout=0 encoder.stochastic_depth=0
preprocessor.smoothing_sd_frames=0 augmentation.white_noise_sd=1 augmentation.time_masks=0
training.batch_size=6 training.optimizer.lr=0.003
""".split()


def write_clear_data(root: Path, trials: int = 24, labels: tuple[int, int] = (3, 7)) -> Path:
    """Sessions of the same six phonemes, so many in a trial, 8 to 14 frames each."""
    rng = np.random.default_rng(0)
    patterns = rng.choice([-1.0, 1.0], size=(PHONEMES + 1, CHANNELS))
    for session in SESSIONS:
        for split, count in (("train", trials), ("val", 2)):
            write_session(root, session, split, [_trial(rng, patterns, labels, f"{split} {n}") for n in range(count)])
    return root


def _trial(rng: np.random.Generator, patterns: np.ndarray, labels: tuple[int, int], sentence: str) -> FakeTrial:
    steps = rng.integers(
        1, PHONEMES, size=rng.integers(*labels, endpoint=True)
    )  # never the same phoneme twice in a row
    said = (1 + np.cumsum(steps) % PHONEMES).tolist()
    features = np.concatenate([np.tile(patterns[label], (rng.integers(8, 15), 1)) for label in said])
    return FakeTrial((features + NOISE * rng.standard_normal(features.shape)).astype(np.float32), said, sentence)
