"""Runs compared trial by trial: how the error rates differ, and how far that may be chance."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.bootstrap import RESAMPLES, resampled
from mode_ssm.report.decoded_runs import DecodedRun, DecodedSplit
from mode_ssm.report.page import Block, Note, Table
from mode_ssm.report.records import Floats
from mode_ssm.training.terms import TERMS

PAIRED = (
    "Each run's best checkpoint decodes the same trials greedily and is compared with the first run trial by trial, "
    "which tells smaller differences from chance than two error rates do. In brackets: the middle 95 % of the "
    f"difference over {RESAMPLES:,} draws of as many trials; where they hold 0, these trials do not tell the runs "
    "apart. Another seed of the same run may differ by more."
)


class Difference(NamedTuple):
    """Of pooled phoneme error rates in points, with the middle 95 % of what other trials might have given."""

    points: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.points:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def paired_difference(before: Floats, after: Floats, said: Floats) -> Difference:
    """Of two runs on the same trials, drawn together.

    Args:
        before, after: (N,) edits of two runs on the same trials; said: (N,) reference phonemes.
    """
    difference = after - before
    low, high = resampled(difference, said)
    return Difference(float(100 * difference.sum() / max(said.sum(), 1)), 100 * low, 100 * high)


def paired_blocks(runs: Sequence[DecodedRun]) -> list[Block]:
    """A table of each run beside the first, and a note for each that could not be decoded."""
    notes: list[Block] = [Note(found.problem, found.run.name) for found in runs if found.decoded is None]
    first, *others = runs
    if first.decoded is None:
        return notes
    rows = [row for other in others if other.decoded for row in _rows(other.run.name, first.decoded, other.decoded)]
    if not rows:
        return notes or [Note("The runs have no head in common.")]
    header = (
        "run",
        "head",
        "trials",
        "first run (%)",
        "this run (%)",
        "difference (points)",
        "better",
        "worse",
        "equal",
    )
    note = "Better, worse and equal count trials."
    return [Table(f"Compared with {first.run.name}", header, rows, note, words=2, wide=True), *notes]


def _rows(name: str, first: DecodedSplit, other: DecodedSplit) -> Iterator[tuple[str, ...]]:
    known = {(trial.key, tuple(trial.reference)): trial for trial in first.trials}
    both = [(known[key], t) for t in other.trials if (key := (t.key, tuple(t.reference))) in known]
    for head in [head for head in first.heads if head in other.heads]:
        if not both:
            yield (name, TERMS[head].title, "0", *[""] * 6)
            continue
        yield (
            name,
            TERMS[head].title,
            f"{len(both):,}",
            *_numbers(
                np.array([a.errors(head).edits for a, _ in both], dtype=np.float64),
                np.array([b.errors(head).edits for _, b in both], dtype=np.float64),
                np.array([len(a.reference) for a, _ in both], dtype=np.float64),
            ),
        )


def _numbers(before: Floats, after: Floats, said: Floats) -> tuple[str, ...]:
    rates = [f"{100 * edits.sum() / max(said.sum(), 1):.2f}" for edits in (before, after)]
    counts = [int(which.sum()) for which in (after < before, after > before, after == before)]
    return *rates, str(paired_difference(before, after, said)), *map(str, counts)
