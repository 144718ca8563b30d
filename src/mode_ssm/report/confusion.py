"""Which phoneme is taken for which: counts from the alignment of reference and hypothesis, a matrix, a table."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup
from rapidfuzz.distance import Levenshtein

from mode_ssm.phonemes import PHONEMES, to_ids

NOTHING = 0  # stands for the missing side of a deletion or an insertion; blank is never a label
# By manner and place, so that what sounds alike stands side by side.
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
    """One shortest way from the reference to the hypothesis, phoneme by phoneme.

    >>> [tuple(pair) for pair in pairs([5, 6, 7], [5, 8, 7, 9])]
    [(5, 5), (6, 8), (7, 7), (0, 9)]
    """
    for step in Levenshtein.opcodes(reference, hypothesis):
        said = list(reference[step.src_start : step.src_end]) or [NOTHING] * (step.dest_end - step.dest_start)
        decoded = list(hypothesis[step.dest_start : step.dest_end]) or [NOTHING] * (step.src_end - step.src_start)
        yield from map(Pair, said, decoded)


@dataclass(frozen=True)
class Confusions:
    """How often each pair stands in some alignments."""

    counts: Counter[Pair]

    @classmethod
    def of(cls, spoken: Sequence[tuple[Sequence[int], Sequence[int]]]) -> "Confusions":
        """From (reference, hypothesis) of each trial."""
        return cls(Counter(pair for reference, hypothesis in spoken for pair in pairs(reference, hypothesis)))

    def said(self, phoneme: int) -> int:
        """How often a phoneme was said; for NOTHING, how many were put in."""
        return sum(count for pair, count in self.counts.items() if pair.said == phoneme)

    def most_frequent(self, most: int) -> list[tuple[str, str, str, str]]:
        """The commonest errors: what was said, what was decoded, how often, and the share of all of what was said."""
        errors = [(pair, count) for pair, count in self.counts.items() if pair.said != pair.decoded]
        rows = []
        for pair, count in sorted(errors, key=lambda item: (-item[1], item[0]))[:most]:
            share = f"{100 * count / self.said(pair.said):.1f} %" if pair.said != NOTHING else ""
            rows.append((_name(pair.said, "(put in)"), _name(pair.decoded, "(left out)"), f"{count:,}", share))
        return rows

    def draw(self) -> Markup:
        """A row for each phoneme said, a column for each decoded; a cell's strength is its share of the row."""
        rows = {phoneme: place for place, phoneme in enumerate([*ORDER, NOTHING])}
        totals = {phoneme: self.said(phoneme) for phoneme in rows}
        side = MARGIN + CELL * len(rows) + 14
        cells = [self._cell(pair, count, rows, totals) for pair, count in sorted(self.counts.items())]
        return Markup(
            '<svg class="matrix" width="{}" height="{}" viewBox="0 0 {} {}" role="img" '
            'aria-label="Confusion matrix of phonemes">{}{}{}</svg>'
        ).format(side, side, side, side, _frame(len(rows)), Markup().join(cells), Markup().join(_names(rows)))

    def _cell(self, pair: Pair, count: int, rows: dict[int, int], totals: dict[int, int]) -> Markup:
        share = count / max(totals[pair.said], 1)
        kind = "right" if pair.said == pair.decoded else "wrong"
        said, decoded = _name(pair.said, "nothing"), _name(pair.decoded, "nothing")
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


ORDER = [phoneme for group in GROUPS for phoneme in to_ids(group)]


def _name(phoneme: int, nothing: str) -> str:
    return nothing if phoneme == NOTHING else PHONEMES[phoneme]


def _frame(size: int) -> Markup:
    """Lines between the groups of phonemes, and what the two sides mean."""
    end, edge, edges = MARGIN + CELL * size, 0, []
    for group in (*GROUPS, "nothing"):
        edges.append(MARGIN + CELL * edge - 0.5)
        edge += len(group.split())
    lines = "".join(f"M{MARGIN} {at}H{end}M{at} {MARGIN}V{end}" for at in [*edges, end - 0.5])
    return Markup('<path class="grid" d="{}"/>').format(lines)


def _names(rows: dict[int, int]) -> Iterator[Markup]:
    for phoneme, place in rows.items():
        at = MARGIN + CELL * place
        row, column = _name(phoneme, "put in"), _name(phoneme, "out")
        yield Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(MARGIN - 4, at + 13, row)
        above = MARGIN - 5 - 12 * (place % 2)
        yield Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(at + 8, above, column)
