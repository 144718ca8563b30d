"""CTC greedy decoding and prefix probabilities against enumeration of every path."""

from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.decoding.ctc import CTCPrefixScorer, ctc_greedy


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label != 0)


def log_softmax(values: np.ndarray) -> np.ndarray:
    return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)


def test_greedy_by_hand() -> None:
    path = torch.tensor([[1, 1, 0, 1, 2, 2, 0], [0, 0, 3, 3, 1, 2, 2]])
    log_probs = torch.nn.functional.one_hot(path, 4).float()
    assert ctc_greedy(log_probs, torch.tensor([7, 4]), blank=0) == [[1, 1, 2], [3]]
    assert ctc_greedy(log_probs, torch.tensor([0, 2]), blank=0) == [[], []]


@given(st.lists(st.lists(st.integers(0, 3), max_size=8), min_size=1, max_size=3))
def test_greedy_collapses_each_trial_alone(paths: list[list[int]]) -> None:
    size = max(map(len, paths)) + 1
    padded = torch.tensor([path + [3] * (size - len(path)) for path in paths])
    log_probs = torch.nn.functional.one_hot(padded, 4).float()
    expected = [list(collapse(tuple(path))) for path in paths]
    assert ctc_greedy(log_probs, torch.tensor([len(path) for path in paths]), blank=0) == expected


@pytest.mark.parametrize(("frames", "classes"), [(1, 3), (4, 3), (5, 3), (4, 4)])
def test_prefix_and_whole_probabilities_equal_enumeration(frames: int, classes: int) -> None:
    log_probs = log_softmax(np.random.default_rng(frames).normal(size=(frames, classes)) * 2)
    paths = {
        path: sum(log_probs[t, label] for t, label in enumerate(path))
        for path in product(range(classes), repeat=frames)
    }
    scorer = CTCPrefixScorer(log_probs, blank=0)
    open_states = [((), scorer.start())]
    while open_states:
        labels, state = open_states.pop()
        inside = [score for path, score in paths.items() if collapse(path)[: len(labels)] == labels]
        whole = [score for path, score in paths.items() if collapse(path) == labels]
        assert state.prefix == pytest.approx(np.logaddexp.reduce(inside), abs=1e-9)
        assert state.whole == pytest.approx(np.logaddexp.reduce(whole), abs=1e-9)
        scores = scorer.scores(state)
        assert scores[0] == -np.inf
        for label in range(1, classes):
            grown = scorer.extend(state, label)
            assert grown.prefix == pytest.approx(scores[label], abs=1e-9)
            if np.isfinite(grown.prefix):
                open_states.append(((*labels, label), grown))
            else:
                assert not any(collapse(path)[: len(labels) + 1] == (*labels, label) for path in paths)


def test_whole_probability_equals_the_ctc_loss() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(60, 41, dtype=torch.float64).mul(3).log_softmax(-1)
    labels = torch.tensor([5, 5, 40, 7, 3, 3, 12])
    state = (scorer := CTCPrefixScorer(log_probs.numpy(), blank=0)).start()
    for label in labels.tolist():
        state = scorer.extend(state, label)
    loss = torch.nn.functional.ctc_loss(log_probs[:, None], labels[None], [60], [7], reduction="sum")
    assert state.whole == pytest.approx(-loss.item(), rel=1e-9)


def test_a_certain_path_is_scored_without_nan() -> None:
    log_probs = np.full((3, 3), -np.inf)
    log_probs[[0, 1, 2], [1, 0, 2]] = 0.0
    scorer = CTCPrefixScorer(log_probs, blank=0)
    state = scorer.extend(scorer.extend(scorer.start(), 1), 2)
    assert state.whole == pytest.approx(0.0)
    assert scorer.scores(state)[1] < -900
