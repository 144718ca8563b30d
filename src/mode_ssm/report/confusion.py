"""Which label is taken for which: counts from the alignment of reference and hypothesis, a matrix, a table."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from rapidfuzz.distance import Levenshtein

from mode_ssm.labels import Labels

NOTHING = -1  # stands for the missing side of a deletion or an insertion
# ARPAbet by manner and place, so that what sounds alike stands side by side.
GROUPS = (
    "IY IH EY EH AE AA AO AH UH UW OW ER",
    "AY AW OY",
    "W Y R L",
    "M N NG",
    "P B T D K G",
    "CH JH",
    "F V TH DH S Z SH ZH HH",
    "|",
)
CELL = 18  # side of a cell, in pixels
MARGIN = 44


class Pair(NamedTuple):
    """What was said and what was decoded in its place; NOTHING on one side for a deletion or an insertion."""

    said: int
    decoded: int


def pairs(reference: Sequence[int], hypothesis: Sequence[int]) -> Iterator[Pair]:
    """One shortest way from the reference to the hypothesis, label by label.

    >>> [tuple(pair) for pair in pairs([5, 6, 7], [5, 8, 7, 9])]
    [(5, 5), (6, 8), (7, 7), (-1, 9)]
    """
    for step in Levenshtein.opcodes(reference, hypothesis):
        said = list(reference[step.src_start : step.src_end]) or [NOTHING] * (step.dest_end - step.dest_start)
        decoded = list(hypothesis[step.dest_start : step.dest_end]) or [NOTHING] * (step.src_end - step.src_start)
        yield from map(Pair, said, decoded)


@dataclass(frozen=True)
class Confusions:
    """How often each pair stands in some alignments."""

    counts: Counter[Pair]
    labels: Labels

    @classmethod
    def of(cls, spoken: Sequence[tuple[Sequence[int], Sequence[int]]], labels: Labels) -> "Confusions":
        """From (reference, hypothesis) of each trial."""
        return cls(Counter(pair for reference, hypothesis in spoken for pair in pairs(reference, hypothesis)), labels)

    def said(self, label: int) -> int:
        """How often a label was said; for NOTHING, how many were put in."""
        return sum(count for pair, count in self.counts.items() if pair.said == label)

    def most_frequent(self, most: int) -> list[tuple[str, str, str, str]]:
        """The commonest errors: what was said, what was decoded, how often, and the share of all of what was said."""
        errors = [(pair, count) for pair, count in self.counts.items() if pair.said != pair.decoded]
        rows = []
        for pair, count in sorted(errors, key=lambda item: (-item[1], item[0]))[:most]:
            share = f"{100 * count / self.said(pair.said):.1f} %" if pair.said != NOTHING else ""
            rows.append(
                (self._name(pair.said, "(put in)"), self._name(pair.decoded, "(left out)"), f"{count:,}", share)
            )
        return rows

    def draw(self) -> Markup:
        """A row for each label said, a column for each decoded; a cell's strength is its share of the row."""
        groups = grouped(self.labels)
        rows = {label: place for place, label in enumerate([*(label for group in groups for label in group), NOTHING])}
        totals = {label: self.said(label) for label in rows}
        side = MARGIN + CELL * len(rows) + 14
        cells = [self._cell(pair, count, rows, totals) for pair, count in sorted(self.counts.items())]
        return Markup(
            '<svg class="matrix" width="{}" height="{}" viewBox="0 0 {} {}" role="img" '
            'aria-label="Confusion matrix of phonemes">{}{}{}</svg>'
        ).format(side, side, side, side, _frame(groups), Markup().join(cells), Markup().join(self._names(rows)))

    def _cell(self, pair: Pair, count: int, rows: dict[int, int], totals: dict[int, int]) -> Markup:
        share = count / max(totals[pair.said], 1)
        kind = "right" if pair.said == pair.decoded else "wrong"
        said, decoded = self._name(pair.said, "nothing"), self._name(pair.decoded, "nothing")
        return Markup(
            '<rect class="{}" x="{}" y="{}" width="{}" height="{}" fill-opacity="{:.2f}">'
            "<title>said {}, decoded {}: {:,} of {:,}</title></rect>"
        ).format(
            kind,
            MARGIN + CELL * rows[pair.decoded],
            MARGIN + CELL * rows[pair.said],
            CELL - 1,
            CELL - 1,
            max(share**0.5, 0.08),
            said,
            decoded,
            count,
            totals[pair.said],
        )

    def _name(self, label: int, nothing: str) -> str:
        return nothing if label == NOTHING else self.labels.symbols[label]

    def _names(self, rows: dict[int, int]) -> Iterator[Markup]:
        for label, place in rows.items():
            at = MARGIN + CELL * place
            row, column = self._name(label, "put in"), self._name(label, "out")
            yield Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(MARGIN - 4, at + 13, row)
            above = MARGIN - 5 - 12 * (place % 2)
            yield Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(at + 8, above, column)


def grouped(labels: Labels) -> list[list[int]]:
    """The labels in the order of the matrix: T15's phonemes by how they sound, other labels as they are numbered."""
    known = [group.split() for group in GROUPS]
    spoken = [label for label in range(len(labels)) if label != labels.blank]
    if {labels.symbols[label] for label in spoken} == {symbol for group in known for symbol in group}:
        return [labels.ids(group) for group in known]
    return [spoken]


def _frame(groups: Sequence[Sequence[int]]) -> Markup:
    """Lines between the groups of labels, and around what was said or decoded as nothing."""
    edges = MARGIN + CELL * np.cumsum([0, *map(len, groups), 1]) - 0.5
    lines = "".join(f"M{MARGIN} {at}H{edges[-1] + 0.5:.0f}M{at} {MARGIN}V{edges[-1] + 0.5:.0f}" for at in edges)
    return Markup('<path class="grid" d="{}"/>').format(lines)
