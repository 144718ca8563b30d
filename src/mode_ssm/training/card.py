"""The card of a run: what was trained, on what, how well it does and on how many trials, with which programs."""

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from mode_ssm.config import CHOICES, TrainConfig
from mode_ssm.data import TrialDataset
from mode_ssm.files import replace_text
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import Position
from mode_ssm.settings import read_settings, walk
from mode_ssm.training.display import best_validation
from mode_ssm.training.resume import changed_settings
from mode_ssm.training.run_folder import RunFolder
from mode_ssm.training.splits import Splits
from mode_ssm.training.terms import Term

PROGRAMS = ("mode-ssm", "torch", "lightning-fabric", "numpy", "h5py")
LIMITS = """## Limits and licence

A network knows the people, the electrodes and the days that it was trained on; on others it has to be trained again,
or adapted. Error rates on sentences that were trained on flatter. The code of MODE-SSM is under the MIT licence. That
says nothing of these weights: what may be done with them follows from the licence of the recordings, which their
publisher states, and from what those who were recorded agreed to.
"""


def write_card(
    folder: RunFolder, config: TrainConfig, splits: Splits, model: ModeSSM, position: Position, terms: Sequence[Term]
) -> None:
    """Write card.md, in Markdown, beside the checkpoints of a run that is through.

    Raises:
        InputError: when it cannot be written.
    """
    parts = [
        f"# {folder.path.resolve().name}\n",
        _network(config, model),
        "## Data\n",
        *_data(config, splits),
        "## Error rates\n",
        *_rates(folder, terms, model.labels.unit),
        "## Training\n",
        *_training(config, position),
        "## Settings that differ from the defaults\n",
        _table(("setting", "this run", "default"), _differing(config)),
        "## Programs\n",
        _table(("program", "version"), [("Python", platform.python_version()), *((p, version(p)) for p in PROGRAMS)]),
        LIMITS,
    ]
    with folder.writing():
        replace_text(folder.path / "card.md", "\n".join(parts))


def _network(config: TrainConfig, model: ModeSSM) -> str:
    size = sum(parameter.numel() for parameter in model.parameters())
    labels = f"{len(model.labels)} classes ({model.labels.unit}s from {model.labels.symbols[0]} on)"
    return (
        f"Recordings to {model.labels.unit}s by MODE-SSM: {config.encoder.kind} encoder, {config.joiner.kind} joiner, "
        f"{size:,} parameters, {config.preprocessor.num_channels} feature channels, {labels}.\n"
    )


def _data(config: TrainConfig, splits: Splits) -> Iterator[str]:
    yield f"From `{config.data.place}`; {len(splits.sessions)} sessions: {', '.join(splits.sessions)}.\n"
    named = [("trained on", splits.train), *([("validated on", splits.val)] if splits.val else [])]
    yield _table(("trials", "number", "sessions", "labels", "with faults"), [_split(*one) for one in named])


def _split(name: str, trials: TrialDataset) -> tuple[Any, ...]:
    entries = trials.entries
    labels = sum(entry.labels or 0 for entry in entries)
    sessions = {entry.key.session for entry in entries}
    return name, f"{len(entries):,}", f"{len(sessions):,}", f"{labels:,}", f"{len(trials.problems):,}"


def _rates(folder: RunFolder, terms: Sequence[Term], unit: str) -> Iterator[str]:
    found = best_validation(folder, terms)
    if found is None:
        yield "None: the run has not validated.\n"
        return
    record, rates = found
    yield (
        f"Of `{folder.best.name}`, after epoch {record['epoch'] + 1} of stage {record['stage']} (update "
        f"{record['update']:,}), decoded greedily. It was chosen on these trials, which flatters a little; "
        "`mode-ssm evaluate` adds kinds of errors and a 95 % interval, and keeps unseen sentences apart.\n"
    )
    names = {term.name: term.title for term in terms}
    of = [f"{record[key]:,}" if record.get(key) is not None else "not recorded" for key in ("trials", "labels")]
    rows = [(names[head], f"{100 * rate:.2f}", *of) for head, rate in rates.items()]
    yield _table(("head", f"{unit} error rate, val (%)", "trials", f"{unit}s"), rows)


def _training(config: TrainConfig, position: Position) -> Iterator[str]:
    training = config.training
    stages = ", then ".join(f"{stage.name} ({stage.epochs} epochs)" for stage in training.stages)
    yield (
        f"{stages}; {position.update:,} updates, of which {position.skipped:,} were skipped, in "
        f"{position.seconds / 3600:.2f} hours; seed {training.seed}, {position.processes} process"
        f"{'es' if position.processes > 1 else ''}, precision {training.precision}.\n"
    )


def _differing(config: TrainConfig) -> list[tuple[Any, ...]]:
    """Beside the defaults of the same kinds of parts; where the run was written is no setting of it."""
    given = dict(walk(config))
    default = read_settings(TrainConfig, [f"{group}={given[f'{group}.kind']}" for group in CHOICES])
    changed = changed_settings(default, config)
    return [(key, own, usual) for key, (usual, own) in changed.items() if key != "output_dir"]


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(value: Any) -> str:
    """
    >>> _cell("a|b"), _cell(None), _cell(0.5)
    ('a\\\\|b', 'null', '0.5')
    """
    return ("null" if value is None else str(value)).replace("|", "\\|").replace("\n", " ")
