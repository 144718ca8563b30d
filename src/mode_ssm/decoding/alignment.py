"""Forced alignment: the frame in which each label of a known sequence stands on the most probable path (Viterbi).

Each function first finds the best score from every cell to the end, then walks forward from the start. Where two
moves are equally good, the walk takes the one that puts the labels earlier.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.decoding.ctc_prefixes import Floats
from mode_ssm.errors import InputError

_IMPOSSIBLE = -1e30  # stands for log 0 where a path may still have to go; minus infinity is for moves that are none


def ctc_alignment(log_probs: Tensor, labels: Tensor, blank: int) -> Tensor:
    """The first frame of each label on the best CTC path (Graves et al. 2006).

    Args:
        log_probs: (S, V) of one trial, without padding.
        labels: (U,) without blank and without padding.
        blank: class of the blank.

    Returns:
        (U,) int64, strictly increasing.

    Raises:
        InputError: when the labels do not fit: each needs a frame, and a blank between two that are equal.

    >>> best = torch.tensor([0, 5, 5, 0, 5, 7])  # the best class of each frame
    >>> ctc_alignment(torch.nn.functional.one_hot(best, 8).float(), torch.tensor([5, 5, 7]), blank=0)
    tensor([1, 4, 5])
    """
    symbols = np.full(2 * len(labels) + 1, blank)
    symbols[1::2] = labels.cpu().numpy()
    needed = len(labels) + int((symbols[3::2] == symbols[1:-2:2]).sum())
    if needed > len(log_probs):
        raise InputError(
            f"{len(labels)} labels need {needed} encoder frames, repeats apart by a blank, but there are "
            f"{len(log_probs)}; leave the trial out or lower preprocessor.stride_frames."
        )
    if not len(labels):
        return torch.zeros(0, dtype=torch.int64)
    return torch.from_numpy(_first_frames(_ctc_scores_to_end(_plain(log_probs)[:, symbols], symbols)))


def _ctc_scores_to_end(frames: Floats, symbols: NDArray[np.int_]) -> Floats:
    """(S, 3, 2U+1): the score to the end after each move out of a state: two on, one on, none.

    frames (S, 2U+1) are log-probabilities of `symbols`. The move into the first frame starts from a state 0 of its
    own, so row 0 stands before frame 0 and row s between frames s-1 and s.
    """
    size, states = frames.shape
    jumps = np.zeros(states, dtype=bool)  # from a label to the next without a blank, symbol 0, between
    jumps[:-2] = (symbols[2:] != symbols[0]) & (symbols[2:] != symbols[:-2])
    moves = np.full((size, 3, states), -np.inf)
    ahead = np.full(states, -np.inf)
    ahead[-2:] = 0.0
    for frame in range(size - 1, -1, -1):
        ahead = frames[frame] + ahead
        moves[frame, 2] = ahead
        moves[frame, 1, :-1] = ahead[1:]
        moves[frame, 0, :-2] = np.where(jumps[:-2], ahead[2:], -np.inf)
        ahead = moves[frame].max(axis=0)
    return moves


def _first_frames(moves: Floats) -> NDArray[np.int64]:
    """(U,) frames in which the walk that always takes the best move comes to a label, the odd states."""
    first = np.zeros(moves.shape[2] // 2, dtype=np.int64)
    state = 0
    for frame, choices in enumerate(moves):
        step = 2 - int(choices[:, state].argmax())
        state += step
        if step and state % 2:
            first[state // 2] = frame
    return first


def rnnt_alignment(blank: Tensor, emit: Tensor) -> Tensor:
    """The frame in which each label is emitted on the best transducer path (Graves 2012, section 2.4).

    Args:
        blank: (S, U+1) log-probability of the blank in each cell of one trial's lattice, without padding.
        emit: (S, U) log-probability of the next label.

    Returns:
        (U,) int64, never decreasing: several labels may share a frame.

    Raises:
        InputError: when there is no frame, or the shapes do not belong together.

    >>> emit = torch.tensor([[0.1, 0.1], [0.8, 0.7], [0.1, 0.2]]).log()
    >>> rnnt_alignment(torch.full((3, 3), 0.5).log(), emit)
    tensor([1, 1])
    """
    size, labels = emit.shape
    if not size or blank.shape != (size, labels + 1):
        raise InputError(f"got blank {tuple(blank.shape)} and emit {(size, labels)}; give (S, U+1) and (S, U), S > 0.")
    by_blank, by_label = _rnnt_scores_to_end(_plain(blank), _plain(emit))
    frames = np.full(labels, size - 1, dtype=np.int64)
    frame = label = 0
    while frame < size - 1 and label < labels:
        if by_label[frame + label, label] >= by_blank[frame + label, label]:
            frames[label] = frame
            label += 1
        else:
            frame += 1
    return torch.from_numpy(frames)


def _rnnt_scores_to_end(blank: Floats, emit: Floats) -> tuple[Floats, Floats]:
    """(S+U, U+1) each: the score to the end after a blank and after a label, by diagonals s + u and by u."""
    by_blank, by_label = _by_diagonals(blank), _by_diagonals(np.pad(emit, ((0, 0), (0, 1)), constant_values=-np.inf))
    ahead = np.full(blank.shape[1], -np.inf)
    ahead[-1] = 0.0
    for after_blank, after_label in zip(by_blank[::-1], by_label[::-1], strict=True):
        after_blank += ahead
        after_label[:-1] += ahead[1:]
        ahead = np.maximum(after_blank, after_label)
    return by_blank, by_label


def _by_diagonals(cells: Floats) -> Floats:
    """(S, U+1) to (S+U, U+1): cell (s, u) comes to (s + u, u); minus infinity where there is none."""
    size, positions = cells.shape
    skewed = np.full((size + positions - 1, positions), -np.inf)
    s, u = np.indices(cells.shape)
    skewed[s + u, u] = cells
    return skewed


def _plain(log_probs: Tensor) -> Floats:
    """As numpy float64; what is no probability, minus infinity or NaN, becomes very improbable."""
    values: Floats = np.nan_to_num(log_probs.detach().cpu().double().numpy(), nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)
    return values
