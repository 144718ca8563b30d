"""The sections about single trials: confusions, alignments, best and worst hypotheses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from mode_ssm.config import ReportConfig
from mode_ssm.phonemes import PHONEMES
from mode_ssm.recognition.network import Recogniser
from mode_ssm.report.alignment_figure import draw_alignment
from mode_ssm.report.confusion import NOTHING, Confusions, pairs
from mode_ssm.report.page import Block, Figure, LegendEntry, Note, Section, Table
from mode_ssm.report.records import HEAD_NAMES
from mode_ssm.report.trials import Decoded, DecodedTrial, Findings, align

FREQUENT = 15  # confusions in the table
MARKS = (
    "Above what was said, below what was decoded, by the same checkpoint on the same trials. Changed phonemes are "
    "underlined, left-out ones struck through, added ones double underlined; · is nothing and | the end of a word."
)


class Difference(NamedTuple):
    """A phoneme of the reference beside one of the hypothesis; one side may be empty."""

    said: str
    decoded: str
    kind: str  # same, changed, dropped or added: a class of the style sheet


@dataclass(frozen=True)
class ComparedTrial:
    name: str
    sentence: str
    rates: str
    heads: Sequence[tuple[str, Sequence[Difference]]]


@dataclass(frozen=True)
class Hypotheses:
    """Reference over hypothesis, phoneme by phoneme."""

    template: ClassVar[str] = "hypotheses.html"
    title: str
    trials: Sequence[ComparedTrial]


def trial_sections(findings: Findings, config: ReportConfig) -> list[Section]:
    """What can be said with the data at hand; in its place, why not."""
    network, decoded = findings.network, findings.decoded
    if network is None or decoded is None:
        notes = [Note(findings.problem)]
        return [
            Section("confusions", "Confusions of phonemes", notes),
            Section("alignments", "Alignments", notes),
            Section("hypotheses", "Best and worst hypotheses", notes),
        ]
    return [
        Section("confusions", "Confusions of phonemes", _confusions(decoded), _scope(decoded)),
        Section("alignments", "Alignments", _alignments(network, decoded, config)),
        Section("hypotheses", "Best and worst hypotheses", _hypotheses(decoded, config.examples), MARKS),
    ]


def _scope(decoded: Decoded) -> str:
    count, of = len(decoded.trials), decoded.of
    which = f"all {of:,} trials" if count == of else f"{count:,} of the {of:,} trials, evenly spread,"
    rates = " and ".join(f"{decoded.rate(head):.2f} % ({HEAD_NAMES[head]})" for head in decoded.heads)
    return (
        f"The best checkpoint's greedy output on {which} of the {decoded.split} split; phoneme error rate here {rates}."
    )


def _confusions(decoded: Decoded) -> list[Block]:
    matrices: list[Block] = []
    tables: list[Block] = []
    for head in decoded.heads:
        found = Confusions.of([(trial.reference, trial.hypotheses[head]) for trial in decoded.trials])
        healthy = (
            "Healthy: a strong diagonal, the rest faint and near it, since the phonemes are ordered by how they sound. "
            "A dark column is a phoneme that the network falls back on; a dark last column, phonemes left out. "
            "A cell's strength is the root of its share of all that was said of its row."
        )
        title = f"{HEAD_NAMES[head]}: what was said (rows) and what was decoded (columns)"
        matrices.append(Figure(title, found.draw(), healthy, wide=True))
        rows = found.most_frequent(FREQUENT)
        title = f"{HEAD_NAMES[head]}: most frequent errors"
        header = ("said", "decoded", "times", "share of its row")
        tables.append(Table(title, header, rows, words=2) if rows else Note("There is no error.", title))
    return [*matrices, *tables]


def _alignments(network: Recogniser, decoded: Decoded, config: ReportConfig) -> list[Block]:
    """Of trials evenly spread from the best to the worst, ends left out."""
    ranked = _ranked(decoded)
    count = min(config.alignments, len(ranked))
    blocks: list[Block] = []
    for place in range(count):
        trial = ranked[(2 * place + 1) * len(ranked) // (2 * count)]
        aligned = align(network, decoded, trial)
        title = f"{trial.key}: {trial.sentence}" if trial.sentence else str(trial.key)
        if aligned is None:
            blocks.append(Note("This trial could not be read again.", title))
            continue
        healthy = (
            f"The reference as the heads' best paths set it ({_rates(trial)}). Healthy: phonemes spread over the "
            "speech, CTC and RNN-T within a few hundred milliseconds of each other. Names in a heap at the end are a "
            "transducer that waits for the whole sentence; in a heap anywhere, a head that has not learnt where "
            "phonemes are."
        )
        legend = [LegendEntry(HEAD_NAMES[head], head.value) for head in aligned.frames]
        drawing = draw_alignment(aligned, network.checkpoint.config)
        blocks.append(Figure(title, drawing, healthy, legend, wide=True))
    return blocks or [Note("No alignment was asked for (alignments=0).")]


def _ranked(decoded: Decoded) -> list[DecodedTrial]:
    """From the fewest errors a phoneme, over all heads, to the most; of equals, the longer first."""
    return sorted(decoded.trials, key=lambda t: (t.all_errors.rate, -len(t.reference)))


def _hypotheses(decoded: Decoded, count: int) -> list[Block]:
    ranked = _ranked(decoded)
    best = ranked[:count]
    worst = [trial for trial in ranked[len(best) :][::-1][:count] if trial.all_errors.edits]
    return [
        Hypotheses("Best", [_compared(trial) for trial in best]),
        Hypotheses("Worst", [_compared(trial) for trial in worst]),
    ]


def _compared(trial: DecodedTrial) -> ComparedTrial:
    heads = [
        (HEAD_NAMES[head], [_difference(*pair) for pair in pairs(trial.reference, hypothesis)])
        for head, hypothesis in trial.hypotheses.items()
    ]
    return ComparedTrial(str(trial.key), trial.sentence, _rates(trial), heads)


def _difference(said: int, decoded: int) -> Difference:
    if said == decoded:
        return Difference(PHONEMES[said], PHONEMES[decoded], "same")
    if said == NOTHING:
        return Difference("", PHONEMES[decoded], "added")
    if decoded == NOTHING:
        return Difference(PHONEMES[said], "", "dropped")
    return Difference(PHONEMES[said], PHONEMES[decoded], "changed")


def _rates(trial: DecodedTrial) -> str:
    errors = ", ".join(f"{HEAD_NAMES[head]} {trial.errors(head).edits}" for head in trial.hypotheses)
    return f"{len(trial.reference)} phonemes, errors: {errors}"
