"""The two thresholds of speech or rest, learnt from where the labels of a split stand."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import ListenConfig
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json, replace_text
from mode_ssm.language.weights import decoding_folder
from mode_ssm.live.listening import ListenFrames

LEAST_WORDS, LEAST_REST = 50, 250  # encoder frames of rest
_SURE = 0.99  # the share of words, and of frames of rest, that a threshold is set by


class HeardTrial(NamedTuple):
    """What a network heard in a trial whose labels are known."""

    evidence: NDArray[np.float64]  # (S,), of each encoder frame: the probability that a label is said
    words: list[NDArray[np.int64]]  # the frames in which the labels of each word begin, in order


class Thresholds(NamedTuple):
    """What was learnt, and on how much; shares are of the same words and frames."""

    onset_labels: float
    end_evidence: float
    words: int
    rest_frames: int
    missed: float  # of words that alone would begin no speech
    false: float  # of frames of rest that would keep speech going


def learn_thresholds(trials: Sequence[HeardTrial], frames: ListenFrames) -> Thresholds:
    """Set each threshold in the middle between what 99 % of words exceed and what 99 % of rest stays below.

    Rest is what lies before a trial's first label and after its last, but for the frames next to them. For the onset a
    word counts by the most evidence within `frames.onset`, for the end by the median evidence at its labels: its best
    frame within one of where each begins.

    Raises:
        InputError: where there are too few words, or too little rest.
    """
    onsets, peaks, sums, quiet = [], [], [], []
    for trial in (trial for trial in trials if trial.words):
        summed = _last_frames(trial.evidence, frames.onset)
        for word in trial.words:
            onsets.append(summed[word[0] : word[-1] + frames.onset].max())
            around = np.clip(word[:, None] + [-1, 0, 1], 0, len(trial.evidence) - 1)
            peaks.append(np.median(trial.evidence[around].max(axis=1)))
        before, after = max(0, int(trial.words[0][0]) - 2), trial.evidence[int(trial.words[-1][-1]) + 3 :]
        sums += [summed[:before], _last_frames(after, frames.onset)]
        quiet += [trial.evidence[:before], after]
    rest = np.concatenate([np.zeros(0), *quiet])
    if len(onsets) < LEAST_WORDS or len(rest) < LEAST_REST:
        raise InputError(
            f"There are {len(onsets)} words and {len(rest)} encoder frames of rest around them; thresholds of speech "
            f"take {LEAST_WORDS} and {LEAST_REST}; give a larger split."
        )
    onset = _middle(np.array(onsets), np.concatenate(sums))
    end = min(_middle(np.array(peaks), rest), 1.0)
    missed, false = float((np.array(onsets) < onset).mean()), float((rest >= end).mean())
    return Thresholds(onset, end, len(onsets), len(rest), missed, false)


def _last_frames(evidence: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """(S,): the sum of each frame and those before it, `window` in all."""
    added = np.concatenate([np.zeros(window), np.cumsum(evidence)])
    sums: NDArray[np.float64] = added[window:] - added[: len(evidence)]
    return sums


def _middle(speech: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    middle = (np.quantile(speech, 1 - _SURE) + np.quantile(rest, _SURE)) / 2
    return round(float(max(middle, 0.01)), 3)


def thresholds_file(checkpoint: Path) -> Path:
    return decoding_folder(checkpoint) / "listening.json"


def write_thresholds(path: Path, learnt: Thresholds) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(learnt._asdict(), indent=2) + "\n")


def with_learnt(given: ListenConfig, path: Path) -> ListenConfig:
    """The settings with what a file of `write_thresholds` holds, where there is one; given ones go before.

    Raises:
        InputError: when the file holds anything else.
    """
    try:
        kept = parse_json(path.read_text(encoding="utf-8"))
        onset, end = float(kept["onset_labels"]), float(kept["end_evidence"])
    except FileNotFoundError:
        return given
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not hold thresholds of speech ({error}); run mode-ssm listening, or take it away."
        ) from None
    if not onset > 0 or not 0 <= end <= 1:
        raise InputError(f"{path} has onset_labels={onset} and end_evidence={end}; run mode-ssm listening.")
    usual, asked = asdict(ListenConfig()), asdict(given)
    learnt = {"onset_labels": onset, "end_evidence": end}
    return replace(given, **{name: value for name, value in learnt.items() if asked[name] == usual[name]})
