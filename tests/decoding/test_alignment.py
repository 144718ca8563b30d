"""Forced alignments against the best of all paths, each written out."""

from itertools import combinations_with_replacement, groupby, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.decoding.alignment import ctc_alignment, rnnt_alignment
from mode_ssm.errors import InputError


def random_log_probs(*shape: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).mul(2).log_softmax(-1)


def first_frames(path: tuple[int, ...]) -> tuple[tuple[int, ...], list[int]]:
    """The labels that a frame-by-frame CTC path spells, and where each begins."""
    runs = [(symbol, [frame for frame, _ in run]) for symbol, run in groupby(enumerate(path), key=lambda item: item[1])]
    return tuple(s for s, _ in runs if s), [frames[0] for s, frames in runs if s]


@pytest.mark.parametrize("labels", [(), (1,), (1, 1), (1, 2), (2, 1, 2), (1, 1, 2), (2, 2, 2)])
@pytest.mark.parametrize("frames", [1, 3, 5, 6])
def test_ctc_takes_the_best_of_all_paths(labels: tuple[int, ...], frames: int) -> None:
    log_probs = random_log_probs(frames, 3, seed=frames)
    paths = [path for path in product(range(3), repeat=frames) if first_frames(path)[0] == labels]
    if not paths:
        with pytest.raises(InputError, match=f"{len(labels)} labels need . encoder frames"):
            ctc_alignment(log_probs, torch.tensor(labels), blank=0)
        return
    best = max(paths, key=lambda path: sum(float(log_probs[s, symbol]) for s, symbol in enumerate(path)))
    got = ctc_alignment(log_probs, torch.tensor(labels, dtype=torch.int64), blank=0)
    assert got.dtype == torch.int64
    assert got.tolist() == first_frames(best)[1]


@pytest.mark.parametrize(("frames", "labels"), [(1, 0), (1, 3), (2, 1), (3, 2), (4, 4), (6, 3)])
def test_rnnt_takes_the_best_of_all_paths(frames: int, labels: int) -> None:
    cells = random_log_probs(frames, labels + 1, 3, seed=10 * frames + labels)
    blank, emit = cells[..., 0], cells[:, :-1, 1]

    def score(path: tuple[int, ...]) -> float:
        """Of the path that emits label u in frame path[u], and after a frame's labels a blank."""
        labels_out = [sum(frame <= s for frame in path) for s in range(frames)]
        blanks = sum(float(blank[s, u]) for s, u in enumerate(labels_out))
        return blanks + sum(float(emit[frame, u]) for u, frame in enumerate(path))

    best = max(combinations_with_replacement(range(frames), labels), key=score)
    got = rnnt_alignment(blank, emit)
    assert got.dtype == torch.int64
    assert got.tolist() == list(best)


@given(st.data())
def test_a_path_that_was_planted_is_found(data: st.DataObject) -> None:
    labels = data.draw(st.lists(st.integers(1, 40), max_size=20))
    path = []
    for label in labels:
        path += [0] * data.draw(st.integers(1, 3)) + [label] * data.draw(st.integers(1, 3))
    log_probs = torch.nn.functional.one_hot(torch.tensor([*path, 0]), 41).float().mul(9).log_softmax(-1)
    expected = first_frames(tuple(path))[1]
    assert ctc_alignment(log_probs, torch.tensor(labels, dtype=torch.int64), blank=0).tolist() == expected


@given(st.integers(1, 8), st.integers(0, 8))
def test_ties_put_the_labels_early(frames: int, labels: int) -> None:
    level = torch.zeros(frames, labels + 1)
    assert rnnt_alignment(level, level[:, 1:]).tolist() == [0] * labels
    if labels <= frames:
        distinct = torch.arange(1, labels + 1)
        assert ctc_alignment(torch.zeros(frames, labels + 1), distinct, blank=0).tolist() == list(range(labels))


@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_hopeless_scores_still_give_an_alignment_that_is_one(value: float) -> None:
    frames = ctc_alignment(torch.full((9, 5), value), torch.tensor([1, 1, 3]), blank=0)
    assert (frames.diff() > 0).all()
    frames = rnnt_alignment(torch.full((9, 4), value), torch.full((9, 3), value))
    assert (frames.diff() >= 0).all()
    assert len(frames) == 3
    assert 0 <= int(frames.min()) <= int(frames.max()) < 9


def test_an_impossible_arc_is_passed_by() -> None:
    emit = torch.zeros(4, 2)
    emit[:2] = -torch.inf
    assert rnnt_alignment(torch.zeros(4, 3), emit).tolist() == [2, 2]


@pytest.mark.parametrize(("blank", "emit"), [((0, 1), (0, 0)), ((3, 2), (3, 2)), ((3, 3), (2, 2))])
def test_shapes_that_do_not_fit_are_named(blank: tuple[int, int], emit: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="got blank"):
        rnnt_alignment(torch.zeros(blank), torch.zeros(emit))
