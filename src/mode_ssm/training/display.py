"""What a person sees of a run: what it starts from, a bar on a terminal or plain lines, its epochs, what came of it."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mode_ssm.labels import T15
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import Position
from mode_ssm.recognition.network import not_read
from mode_ssm.training.balance import balances
from mode_ssm.training.history import LogLine
from mode_ssm.training.run_folder import RunFolder, read_metrics
from mode_ssm.training.splits import Splits
from mode_ssm.training.terms import Term

SHOWN = 20  # problems that are printed one by one


def clock(seconds: float) -> str:
    """
    >>> clock(3725)
    '1:02:05'
    """
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


class Display:
    """One line per `every` updates, and on a terminal a bar with the time left of the whole run.

    Args:
        total_batches: over all stages; done_batches: before this start.
    """

    def __init__(self, total_batches: int, done_batches: int, every: int, *, silent: bool) -> None:
        self._console = Console(quiet=silent, highlight=False, soft_wrap=True)
        self._aside = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
        )
        live = self._console.is_terminal and not silent
        self._bar = Progress(*columns, console=self._console, disable=not live)
        self._task = self._bar.add_task("training", total=total_batches, completed=done_batches)
        self._total, self._done, self._every = total_batches, done_batches, every
        self._started, self._done_at_start = time.monotonic(), done_batches
        self._lines = 0
        self._bar.start()

    def say(self, text: str, *, in_every_process: bool = False) -> None:
        """Print a line; where the display is silent, on stderr if it is to be said in every process."""
        console = self._aside if in_every_process and self._console.quiet else self._console
        console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._console.print(f"Warning: {text}", markup=False, style="yellow")

    def epoch(self, title: str) -> None:
        self._bar.update(self._task, description=title)
        self._lines = 0
        self.say(title)

    def update(self, first: int, count: int, of: int, losses: Mapping[str, float], seconds: float) -> None:
        """An update over the batches first .. first + count - 1 (from 0) of the epoch's `of`.

        Args:
            losses: the whole loss, then each term's; none where no trial could be read.
        """
        self._done += count
        self._bar.update(self._task, completed=self._done)
        if self._lines % self._every == 0 or first + count == of:
            loss = _loss(losses) if losses else "no readable trial"
            self.say(
                f"  Batch {first + count}/{of} ({100 * (first + count) // of}%) | {loss} | "
                f"{1000 * seconds / count:.0f}ms/batch | {self._left()} left"
            )
        self._lines += 1

    def _left(self) -> str:
        rate = (time.monotonic() - self._started) / max(self._done - self._done_at_start, 1)
        return clock(rate * (self._total - self._done))

    def close(self) -> None:
        self._bar.stop()


def _loss(losses: Mapping[str, float]) -> str:
    """
    >>> _loss({"loss": 2.25, "one": 1.5, "other": 1.75})
    'Loss: 2.25 (one 1.50, other 1.75)'
    """
    whole, *terms = losses.items()
    return f"Loss: {whole[1]:.2f} ({', '.join(f'{name} {value:.2f}' for name, value in terms)})"


def introduction(
    splits: Splits,
    model: ModeSSM,
    folder: RunFolder,
    resumed: str,
    changes: Mapping[str, tuple[Any, Any]],
) -> Iterator[str]:
    """The data, the network, where the run goes on, and with which settings it does so that it had otherwise.

    resumed names the place, and is empty for a run that starts.
    """
    train, val = splits.train, splits.val
    parameters = sum(p.numel() for p in model.parameters())
    trials = f"{len(train)} train and {len(val) if val else 0} val trials of {len(train.sessions)} sessions"
    yield f"{trials}; {parameters / 1e6:.2f} M parameters; run folder {folder.path}"
    if not val:
        yield "There is no val split: no error rates, and the best checkpoint is the last one."
    for problem in splits.problems[:SHOWN]:
        yield f"Leaving out: {problem}"
    if splits.problems:
        yield f"{len(splits.problems)} problems found; mode-ssm inspect lists them."
    if train.unread:
        yield not_read(train.unread)
    for doubt in splits.doubts:
        yield f"Warning: {doubt}"
    if splits.unaligned:
        first = min(map(str, splits.unaligned))
        yield (
            f"{len(splits.unaligned)} of {len(train)} train trials ({first}) may have too few encoder frames for CTC "
            "to align their labels: the other terms train on them."
        )
    if splits.unlabelled:
        yield (
            f"{splits.unlabelled} of {len(train)} train trials have no labels: only terms that need none, if a stage "
            "has such, train on them."
        )
    untrained = {entry.key.session for entry in val.entries} - {*splits.sessions} if val else set()
    for session in sorted(untrained):
        yield f"There are no train trials of {session}: it is decoded as a session that the network does not know."
    if resumed:
        yield f"Resuming after {resumed}"
    for key, (before, now) in changes.items():
        if key not in ("output_dir", "training.resume"):
            yield f"From here on with {key}={now}; until now it was {before}"


def epoch_summary(
    position: Position,
    terms: Sequence[Term],
    updates: Sequence[Mapping[str, float]],
    rates: Mapping[str, float],
    name: str = T15.rate,
) -> str:
    """One line: the epoch's mean losses and the error rates after it.

    Args:
        terms: of the stage; updates: what each measured.
        name: of the rates, in short.
    """
    parts = [f"{clock(position.seconds)} so far"]
    known = {term.name: [numbers[term.loss_key] for numbers in updates if term.loss_key in numbers] for term in terms}
    means = {name: sum(values) / len(values) for name, values in known.items() if values}
    if means:
        parts.append("mean loss: " + ", ".join(f"{name} {mean:.3f}" for name, mean in means.items()))
    for first, further in balances(terms):
        if means.get(first.name, 0) > 0 and means.get(further.name, 0) > 0:
            ratio = means[further.name] / means[first.name]
            parts.append(f"{further.title}/{first.title} ratio {ratio:.2f}")
    parts += [f"val {name} {head} {100 * rate:.2f} %" for head, rate in rates.items()]
    return " | ".join([*parts, f"skipped {position.skipped}"])


def best_validation(folder: RunFolder, terms: Sequence[Term]) -> tuple[LogLine, dict[str, float]] | None:
    """The record that the best checkpoint of the last stage with error rates was kept for, and these by head."""
    heads = [term.name for term in terms if term.validated]
    found = [
        (record, rates)
        for record in read_metrics(folder.path)
        if record["kind"] == "validation"
        and (rates := {head: rate for head in heads if (rate := record.get(f"per_{head}")) is not None})
    ]
    of_stage = [(record, rates) for record, rates in found if record["stage"] == found[-1][0]["stage"]]
    return min(reversed(of_stage), key=lambda pair: sum(pair[1].values()) / len(pair[1])) if of_stage else None


def outcome(folder: RunFolder, data: str, terms: Sequence[Term], name: str = T15.rate) -> Iterator[str]:
    """What came of a run that is through: error rates of the best checkpoint, the files, and what to do next.

    Args:
        name: of the rates, in short.
    """
    heads = [term.name for term in terms if term.validated]
    decoder, found = heads[0] if heads else "", best_validation(folder, terms)
    if found:
        best, rates = found
        decoder = min(rates, key=lambda head: rates[head])
        of = f" of {best['trials']:,} trials with {best['labels']:,} labels" if best.get("trials") else ""
        said = ", ".join(f"{head} {100 * rate:.2f} %" for head, rate in rates.items())
        yield f"Best of stage {best['stage']}, after its epoch {best['epoch'] + 1}: val {name} {said}{of}"
    yield f"Checkpoint {folder.best}, picture {folder.path / 'training.png'}, card {folder.path / 'card.md'}"
    run = shlex.quote(str(folder.path))
    if decoder:
        yield f"Next: mode-ssm report {run}"
        yield f"      mode-ssm evaluate checkpoint={run} {shlex.quote(data)} decoder={decoder}"
