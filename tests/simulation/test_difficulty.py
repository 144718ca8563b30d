"""What can be read from simulated features by linear probes: little from a frame, more over time, less after months."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from mode_ssm.config import SimulateConfig
from mode_ssm.labels import T15
from mode_ssm.simulation.plan import plan_sessions
from mode_ssm.simulation.session import SessionRecorder

Array = NDArray[np.float32]


class Tokens(NamedTuple):
    """Every phoneme of a session's first blocks: its middle frame, and the mean of its frames and of those around."""

    frame: Array  # (tokens, 512)
    window: Array  # (tokens, 3 * 512)
    label: NDArray[np.int64]


def _tokens(session: int, blocks: int) -> Tokens:
    config = SimulateConfig(out="", preset="t15")
    preset, sessions = plan_sessions(config)
    recorder = SessionRecorder(sessions[session], [s.day for s in sessions[: session + 1]], preset, config)
    rows = [
        row
        for _, block in zip(range(blocks), recorder.blocks(), strict=False)
        for recorded in recorder.record(block)
        for row in _trial_tokens(recorded.features, recorded.utterance.alignment)
    ]
    return Tokens(*(np.array(column) for column in zip(*rows, strict=True)))


def _trial_tokens(features: Array, alignment: NDArray[np.uint8]) -> Iterator[tuple[Array, Array, int]]:
    edges = np.flatnonzero(np.diff(alignment.astype(int))) + 1
    for start, end in pairwise(edges):
        if alignment[start] not in (T15.blank, T15.boundary):
            parts = (features[start - 6 : start], features[start:end], features[end : end + 6])
            window = np.concatenate([part.mean(axis=0) for part in parts])
            yield features[(start + end) // 2], window, int(alignment[start])


def _accuracy(train: tuple[Array, NDArray[np.int64]], test: tuple[Array, NDArray[np.int64]]) -> float:
    """Of linear discriminant analysis: one covariance for all classes, shrunk a little."""
    x, y = train
    classes, index = np.unique(y, return_inverse=True)
    means = np.stack([x[index == i].mean(axis=0) for i in range(len(classes))])
    spread = x - means[index]
    covariance = spread.T @ spread / len(x)
    weights = np.linalg.solve(covariance + 0.3 * np.diag(np.diag(covariance)), means.T)
    scores = test[0] @ weights - 0.5 * (means.T * weights).sum(axis=0) + np.log(np.bincount(index) / len(x))
    return float((classes[scores.argmax(axis=1)] == test[1]).mean())


@pytest.fixture(scope="module")
def first() -> tuple[Tokens, Tokens]:
    """Two blocks to train on and one to test."""
    tokens = _tokens(1, 3)
    trained = len(tokens.label) * 2 // 3
    return Tokens(*(column[:trained] for column in tokens)), Tokens(*(column[trained:] for column in tokens))


def test_a_frame_says_little_and_a_window_more(first: tuple[Tokens, Tokens]) -> None:
    train, test = first
    majority = float(np.bincount(test.label).max() / len(test.label))
    frame = _accuracy((train.frame, train.label), (test.frame, test.label))
    window = _accuracy((train.window, train.label), (test.window, test.label))
    assert majority < frame < 0.45
    assert window > frame + 0.2


def test_drift_bites_and_a_new_fit_heals(first: tuple[Tokens, Tokens]) -> None:
    """A probe fitted on an early session fails a year and a half later, and one fitted there does not."""
    train, test = first
    early = _accuracy((train.window, train.label), (test.window, test.label))
    late = _tokens(40, 2)
    kept = _accuracy((train.window, train.label), (late.window, late.label))
    half = len(late.label) * 3 // 4
    renewed = _accuracy((late.window[:half], late.label[:half]), (late.window[half:], late.label[half:]))
    assert kept < 0.6 * early
    assert renewed > kept + 0.15
