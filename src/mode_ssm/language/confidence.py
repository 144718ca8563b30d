"""How sure one may be of a word: its posterior made the share of such words that are right.

A temperature, by which the search's scores are divided before they become posteriors, and a line through the logit of
the posterior are learnt on labelled words (Platt 1999, Probabilistic outputs for support vector machines; Guo et al.
2017, On calibration of modern neural networks).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from mode_ssm.scoring import normalise_sentence

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
VERSION = 2  # of the posteriors that confidences are learnt on; those of 1 had the n-gram model's weight once
RAW_TEMPERATURE = 2.0  # where nothing is learnt: scores of a search are too sure of themselves
TEMPERATURES = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
LEAST = 20  # right words, and wrong ones, that a fit needs
_EDGE = 1e-4  # posteriors nearer to 0 or 1 than this say no more
_PRIOR = 1.0  # strength of the pull of slope and offset to 1 and 0, as of a word


class Confidence(NamedTuple):
    """What turns posteriors into confidences: sigmoid(slope * logit(posterior) + offset)."""

    temperature: float
    slope: float
    offset: float
    words: int  # that it was learnt on
    ece: float  # expected calibration error, two-fold on those words
    auroc: float  # likewise

    def __call__(self, posterior: float) -> float:
        return float(_sigmoid(self.slope * logit(np.array([posterior])) + self.offset)[0])


def fit_confidence(posteriors: Callable[[float], Floats], right: Flags) -> Confidence | None:
    """Learn from words (N,) that are right or wrong; None where there are too few of either.

    posteriors gives those of the words at a temperature. The temperature and the line have the greatest likelihood of
    right and wrong; the two errors told are of each half of the words by what the other half teaches.
    """
    if min(right.sum(), (~right).sum()) < LEAST:
        return None
    candidates = [(temperature, posteriors(temperature)) for temperature in TEMPERATURES]
    temperature, best = min(candidates, key=lambda one: _fit(logit(one[1]), right)[1])
    logits = logit(best)
    (slope, offset), _ = _fit(logits, right)
    first = np.arange(len(right)) < len(right) // 2
    held_out = np.empty(len(right))
    for half in (first, ~first):
        line, _ = _fit(logits[half], right[half])
        held_out[~half] = _sigmoid(line[0] * logits[~half] + line[1])
    errors = calibration_error(held_out, right), auroc(held_out, right)
    return Confidence(temperature, float(slope), float(offset), len(right), *errors)


def _fit(logits: Floats, right: Flags) -> tuple[Floats, float]:
    """Slope and offset of the greatest posterior likelihood, by Newton's method, and its negative logarithm."""
    inputs = np.stack([logits, np.ones_like(logits)], axis=1)
    line = prior = np.array([1.0, 0.0])
    for _ in range(50):
        expected = _sigmoid(inputs @ line)
        slope = inputs.T @ (expected - right) + _PRIOR * (line - prior)
        curve = (inputs.T * (expected * (1 - expected))) @ inputs + _PRIOR * np.eye(2)
        step = np.linalg.solve(curve, slope)
        line = line - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    values = inputs @ line
    loss = np.logaddexp(0.0, values).sum() - values[right].sum() + _PRIOR / 2 * np.square(line - prior).sum()
    return line, float(loss)


def logit(posterior: Floats) -> Floats:
    kept = np.clip(posterior, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _sigmoid(value: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -value)))


def calibration_error(confidence: Floats, right: Flags, bins: int = 10) -> float:
    """Expected calibration error over bins of as many words each: |share right - mean confidence|, by words."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(abs(right[part].sum() - confidence[part].sum()) for part in parts) / max(len(right), 1))


def auroc(confidence: Floats, right: Flags) -> float:
    """The probability that a right word has more confidence than a wrong one, equal ones counted half."""
    good = int(right.sum())
    bad = len(right) - good
    if not good or not bad:
        return float("nan")
    _, place, count = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # equal ones have the mean of their ranks
    return float((ranks[right].sum() - good * (good + 1) / 2) / (good * bad))


class Judged(NamedTuple):
    """A word of a sentence found, beside what was said."""

    place: int  # of the word in the sentence
    right: bool
    said: str | None  # the word in its place, None where there was none


def judge(said: str, words: Sequence[str]) -> list[Judged]:
    """Each word of a sentence found by a shortest alignment with what was said, both normalised."""
    reference, found = normalise_sentence(said).split(), [normalise_sentence(word) for word in words]
    judged = []
    for step in Levenshtein.opcodes(reference, found):
        for offset, place in enumerate(range(step.dest_start, step.dest_end)):
            there = reference[step.src_start + offset] if step.tag != "insert" else None
            judged.append(Judged(place, step.tag == "equal", there))
    return judged


def read_confidence(kept: Any) -> Confidence:
    """From what a file of weights holds.

    Raises:
        ValueError: where it is none.
    """
    fields = Confidence._fields
    if not isinstance(kept, dict) or set(kept) != set(fields):
        raise ValueError(f"confidence={kept!r}")
    values = [kept[name] for name in fields]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) or kept["temperature"] <= 0:
        raise ValueError(f"confidence={kept!r}")
    return Confidence(*values)
