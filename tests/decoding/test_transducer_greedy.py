"""The greedy transducer search against a plain loop."""

import pytest
import torch
from torch import Tensor

from mode_ssm.decoding.transducer import Hypothesis, transducer_greedy
from tests.decoding.tiny_transducer import TinyTransducer


def plain_greedy(tiny: TinyTransducer, encoded: Tensor, bound: int) -> Hypothesis:
    labels: list[int] = []
    frames: list[int] = []
    score = 0.0
    for frame in range(len(encoded)):
        for _ in range(bound):
            log_probs = tiny.table(encoded, tuple(labels))[frame, -1]
            best = int(log_probs.argmax())
            score += float(log_probs[best])
            if best == 0:
                break
            labels.append(best)
            frames.append(frame)
    return Hypothesis(tuple(labels), score, tuple(frames))


@pytest.mark.parametrize("bound", [1, 3])
def test_batched_greedy_equals_a_loop_over_trials(bound: int) -> None:
    tiny = TinyTransducer(classes=4, seed=1)
    encoded = tiny.encoded(5, 7)
    lengths = torch.tensor([7, 3, 0, 6, 1])
    encoded[1, 3:] = float("nan")  # padding is never looked at
    got = transducer_greedy(encoded, lengths, tiny.callables(), bound)
    for hypothesis, trial, size in zip(got, encoded, lengths.tolist(), strict=True):
        expected = plain_greedy(tiny, trial[:size], bound)
        assert (hypothesis.labels, hypothesis.frames) == (expected.labels, expected.frames)
        assert hypothesis.score == pytest.approx(expected.score)
    assert any(hypothesis.labels for hypothesis in got)


def test_the_predictor_moves_on_labels_only() -> None:
    tiny = TinyTransducer(classes=3, seed=3)
    encoded = tiny.encoded(2, 20)
    got = transducer_greedy(encoded, torch.tensor([20, 20]), tiny.callables(), 2)
    assert tiny.predicted == 2 + sum(len(hypothesis.labels) for hypothesis in got)
