"""The sections about single trials: confusions, alignments, best and worst hypotheses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from mode_ssm.config import ReportConfig
from mode_ssm.data import denominator
from mode_ssm.labels import Labels
from mode_ssm.recognition.network import Recogniser
from mode_ssm.report.alignment_figure import draw_alignment
from mode_ssm.report.confusion import NOTHING, Confusions, grouped, pairs
from mode_ssm.report.decoded_runs import DecodedRun, DecodedSplit, DecodedTrial, align
from mode_ssm.report.page import Block, Figure, LegendEntry, Note, Section, Table
from mode_ssm.report.records import Run
from mode_ssm.training.terms import TERMS

FREQUENT = 15  # confusions in the table
MARKS = (
    "Above what was said, below what was decoded, by the same checkpoint on the same trials. Changed {unit}s are "
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


def trial_sections(examined: DecodedRun, config: ReportConfig) -> list[Section]:
    """What can be said with the data at hand; in its place, why not."""
    network, decoded = examined.network, examined.decoded
    if network is None or decoded is None:
        notes = [Note(examined.problem)]
        return [
            Section("confusions", f"Confusions of {examined.unit}s", notes),
            Section("alignments", "Alignments", notes),
            Section("hypotheses", "Best and worst hypotheses", notes),
        ]
    labels = network.model.labels
    return [
        Section(
            "confusions", f"Confusions of {labels.unit}s", _confusions(decoded, labels), _scope(decoded, labels.unit)
        ),
        Section("alignments", "Alignments", _alignments(examined.run, network, decoded, config)),
        Section(
            "hypotheses",
            "Best and worst hypotheses",
            _hypotheses(decoded, labels, config.examples),
            MARKS.format(unit=labels.unit),
        ),
    ]


def _scope(decoded: DecodedSplit, unit: str) -> str:
    count, of = len(decoded.trials), decoded.of
    which = f"all {of:,} trials" if count == of else f"{count:,} of the {of:,} trials, evenly spread,"
    rates = " and ".join(f"{decoded.rate(head):.2f} % ({TERMS[head].title})" for head in decoded.heads)
    text = (
        f"The best checkpoint's greedy output on {which} of the {decoded.split} split; {unit} error rate here {rates}."
    )
    return " ".join([text, *denominator(count, decoded.lost)])


def _confusions(decoded: DecodedSplit, labels: Labels) -> list[Block]:
    matrices: list[Block] = []
    tables: list[Block] = []
    unit = labels.unit
    near = " and near it, since the phonemes are ordered by how they sound" if len(grouped(labels)) > 1 else ""
    for head in decoded.heads:
        found = Confusions.of([(trial.reference, trial.hypotheses[head]) for trial in decoded.trials], labels)
        healthy = (
            f"Healthy: a strong diagonal, the rest faint{near}. A dark column is a {unit} that the network falls back "
            f"on; a dark last column, {unit}s left out. A cell's strength is the root of its share of all that was "
            "said of its row."
        )
        title = f"{TERMS[head].title}: what was said (rows) and what was decoded (columns)"
        matrices.append(Figure(title, found.draw(), healthy, wide=True))
        rows = found.most_frequent(FREQUENT)
        title = f"{TERMS[head].title}: most frequent errors"
        header = ("said", "decoded", "times", "share of its row")
        tables.append(Table(title, header, rows, words=2) if rows else Note("There is no error.", title))
    return [*matrices, *tables]


def _alignments(run: Run, network: Recogniser, decoded: DecodedSplit, config: ReportConfig) -> list[Block]:
    """Of trials evenly spread from the best to the worst, ends left out."""
    ranked, unit = _ranked(decoded), network.model.labels.unit
    count = min(config.alignments, len(ranked))
    blocks: list[Block] = []
    for place in range(count):
        trial = ranked[(2 * place + 1) * len(ranked) // (2 * count)]
        aligned = align(network, decoded, trial)
        title = f"{trial.key}: {trial.sentence}" if trial.sentence else str(trial.key)
        if aligned is None:
            blocks.append(Note("This trial could not be read.", title))
            continue
        healthy = (
            f"The reference as the heads' best paths set it ({_rates(trial, unit)}). Healthy: {unit}s spread over the "
            "speech, the heads within a few hundred milliseconds of each other. Names in a heap at the end are a "
            "transducer that waits for the whole sentence; in a heap anywhere, a head that has not learnt where "
            f"{unit}s are."
        )
        legend = [LegendEntry(term.title, run.colour(term)) for term in run.heads if term.name in aligned.frames]
        drawing = draw_alignment(aligned, network.checkpoint.config, network.model.labels, legend)
        blocks.append(Figure(title, drawing, healthy, legend, wide=True))
    return blocks or [Note("No alignment was asked for (alignments=0).")]


def _ranked(decoded: DecodedSplit) -> list[DecodedTrial]:
    """From the fewest errors a phoneme, over all heads, to the most; of equals, the longer first."""
    return sorted(decoded.trials, key=lambda t: (t.all_errors.rate, -len(t.reference)))


def _hypotheses(decoded: DecodedSplit, labels: Labels, count: int) -> list[Block]:
    ranked = _ranked(decoded)
    best = ranked[:count]
    worst = [trial for trial in ranked[len(best) :][::-1][:count] if trial.all_errors.edits]
    return [
        Hypotheses("Best", [_compared(trial, labels) for trial in best]),
        Hypotheses("Worst", [_compared(trial, labels) for trial in worst]),
    ]


def _compared(trial: DecodedTrial, labels: Labels) -> ComparedTrial:
    heads = [
        (TERMS[head].title, [_difference(*pair, labels) for pair in pairs(trial.reference, hypothesis)])
        for head, hypothesis in trial.hypotheses.items()
    ]
    return ComparedTrial(str(trial.key), trial.sentence, _rates(trial, labels.unit), heads)


def _difference(said: int, decoded: int, labels: Labels) -> Difference:
    names = ["" if label == NOTHING else labels.symbols[label] for label in (said, decoded)]
    kind = "same" if said == decoded else "added" if said == NOTHING else "dropped" if decoded == NOTHING else "changed"
    return Difference(names[0], names[1], kind)


def _rates(trial: DecodedTrial, unit: str) -> str:
    errors = ", ".join(f"{TERMS[head].title} {trial.errors(head).edits}" for head in trial.hypotheses)
    return f"{len(trial.reference)} {unit}s, errors: {errors}"
