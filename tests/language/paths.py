"""Random posteriors of few classes, and what can be read from paths through them."""

import numpy as np

from mode_ssm.labels import T15
from mode_ssm.language.model import WordModel
from tests.language.conftest import A, B

USED = (T15.blank, A, B, T15.boundary)
FULL = {"ctc_beam_size": 100_000, "rnnt_beam_size": 100_000, "beam_threshold": 1e9, "label_threshold": 1e9}


def posteriors(frames: int, seed: int) -> np.ndarray:
    """(S, V) with probability on the few classes in use only."""
    log_probs = np.full((frames, len(T15)), -np.inf)
    log_probs[:, USED] = np.log(np.random.default_rng(seed).dirichlet(np.full(len(USED), 0.7), size=frames))
    return log_probs


def readings(model: WordModel, labels: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every word sequence that is spelled so, by recursion over its first word."""
    if not labels:
        return [()]
    return [
        (word, *rest)
        for word, spelling in model.spellings
        if labels[: len(spelling)] == spelling
        for rest in readings(model, labels[len(spelling) :])
    ]


def without_extra_silence(labels: tuple[int, ...]) -> tuple[int, ...]:
    kept = [
        label
        for place, label in enumerate(labels)
        if label != T15.boundary or (place and labels[place - 1] != T15.boundary)
    ]
    return tuple(kept)
