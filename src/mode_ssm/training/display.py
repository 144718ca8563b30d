"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mode_ssm.training.objective import LossTerms


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

    def update(self, first: int, count: int, of: int, terms: LossTerms | None, seconds: float) -> None:
        """An update over the batches first .. first + count - 1 (from 0) of the epoch's `of`; None: none was read."""
        self._done += count
        self._bar.update(self._task, completed=self._done)
        if self._lines % self._every == 0 or first + count == of:
            loss = "no readable trial"
            if terms:
                loss = f"Loss: {terms.total:.2f} (ctc {terms.ctc:.2f}, rnnt {terms.rnnt:.2f})"
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
