"""CTC greedy decoding and prefix probabilities against enumeration of every path."""

from itertools import groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.decoding.ctc import ctc_greedy
from mode_ssm.decoding.ctc_prefixes import CTCPrefixes
from tests.decoding.ctc_prefixes_of_whole_trials import CTCPrefixScorer


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


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3), st.lists(st.integers(1, 3), max_size=5), st.integers(0, 10_000)
)
def test_probabilities_that_grow_with_the_frames_are_those_of_the_trial_so_far(
    sizes: list[int], labels: list[int], seed: int
) -> None:
    """A label is appended every second frame, to each trial's prefix; earlier prefixes stay."""
    random = np.random.default_rng(seed)
    trials = [log_softmax(random.normal(size=(size, 4)) * 2) for size in sizes]
    prefixes = CTCPrefixes(len(trials), classes=4, blank=0, window=16)
    rows, said = np.arange(len(trials)), []
    for frame in range(max(sizes)):
        emission = np.array([trial[min(frame, len(trial) - 1)] for trial in trials])
        prefixes.hear(emission, frame < np.array(sizes), np.ones(len(prefixes), np.bool_))
        if frame % 2 and len(said) < len(labels):
            label = np.full(len(rows), labels[len(said)])
            would_be = prefixes.extended(rows, label)
            prefixes.grow(rows, label)
            rows = np.arange(len(prefixes) - len(rows), len(prefixes))
            said.append(labels[len(said)])
            assert prefixes.prefix[rows] == pytest.approx(would_be)
        for trial, row in zip(trials, rows.tolist(), strict=True):
            scorer = CTCPrefixScorer(trial[: frame + 1], blank=0)
            state = scorer.start()
            for label_said in said:
                state = scorer.extend(state, label_said) if np.isfinite(state.prefix) else state
            if np.isfinite(state.prefix):
                assert prefixes.prefix[row] == pytest.approx(state.prefix, abs=1e-9)
                assert np.exp(prefixes.whole[row]) == pytest.approx(np.exp(state.whole), rel=1e-9, abs=1e-12)


def test_a_prefix_keeps_its_probability_when_others_are_dropped() -> None:
    log_probs = log_softmax(np.random.default_rng(1).normal(size=(8, 4)) * 2)
    prefixes = CTCPrefixes(1, classes=4, blank=0, window=16)

    def hear(frames: range) -> None:
        for frame in frames:
            prefixes.hear(log_probs[frame][None], np.ones(1, np.bool_), np.ones(len(prefixes), np.bool_))

    hear(range(3))
    prefixes.grow(np.array([0, 0, 0]), np.array([1, 2, 3]))
    prefixes.grow(np.array([2]), np.array([2]))
    prefixes.keep(np.array([0, 2, 4]))
    hear(range(3, 8))
    scorer = CTCPrefixScorer(log_probs, blank=0)
    twice = scorer.extend(scorer.extend(scorer.start(), 2), 2)
    assert prefixes.prefix[2] == pytest.approx(twice.prefix)
    assert prefixes.whole[2] == pytest.approx(twice.whole)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(0, 7), st.integers(0, 3))
def test_what_was_lately_said_equals_enumeration(seed: int, frames: int, back: int, late: int) -> None:
    """All paths in which a sequence is just what had been said after some number of frames, back to so many ago."""
    random = np.random.default_rng(seed)
    log_probs = log_softmax(random.normal(size=(frames, 3)) * 2)
    prefixes, said = CTCPrefixes(1, classes=3, blank=0, window=6), [(), (1,), (1, 2), (1, 1)]
    for frame in range(frames):
        prefixes.hear(log_probs[frame][None], np.ones(1, np.bool_), np.ones(len(prefixes), np.bool_))
        if frame == min(late, frames - 1):
            prefixes.grow(np.array([0]), np.array([1]))
            prefixes.grow(np.array([1, 1]), np.array([2, 1]))
    expected = np.zeros(len(said))
    for path in product(range(3), repeat=frames):
        ends = {collapse(path[:end]) for end in range(max(frames - min(back, 6), 0), frames + 1)}
        probability = np.exp(log_probs[range(frames), path].sum())
        expected += [probability * (labels in ends) for labels in said]
    assert np.exp(prefixes.lately(np.arange(len(said)), back)) == pytest.approx(expected, abs=1e-12)
