"""Error rates of groups of trials as commands keep and print them: each with its interval and its number of trials."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mode_ssm.bootstrap import RESAMPLES, error_interval
from mode_ssm.scoring import ErrorRate, total

Groups = dict[str, list[ErrorRate]]


def grouped(pairs: Iterable[tuple[str, ErrorRate]]) -> Groups:
    """By name, in the order of the names."""
    groups: Groups = {}
    for name, errors in pairs:
        groups.setdefault(name, []).append(errors)
    return dict(sorted(groups.items()))


def rate_of(name: str, errors: Sequence[ErrorRate]) -> dict[str, Any]:
    """A pooled rate as a fraction, and the interval of its name; null without trials."""
    interval = error_interval(errors)
    rate = total(errors).rate if errors else None
    return {name: rate, f"{name}_interval": None if interval is None else list(interval)}


def rates_by(name: str, groups: Groups) -> dict[str, Any]:
    """Of each group the pooled rate, its interval and its number of trials."""
    found = {group: rate_of("rate", errors) for group, errors in groups.items()}
    return {
        name: {group: one["rate"] for group, one in found.items()},
        f"{name}_interval": {group: one["rate_interval"] for group, one in found.items()},
        f"{name}_trials": {group: len(errors) for group, errors in groups.items()},
    }


def kinds_of(pooled: ErrorRate) -> dict[str, int]:
    return {
        "substitutions": pooled.substitutions,
        "deletions": pooled.deletions,
        "insertions": pooled.insertions,
    }


def rate_row(summary: dict[str, Any], label: str, name: str, trials: int | None = None) -> tuple[str, ...]:
    """Of a rate in a summary: per cent, interval, trials where they are its own."""
    return _row(label, summary[name], summary.get(f"{name}_interval"), trials)


def rate_rows(summary: dict[str, Any], label: str, name: str) -> list[tuple[str, ...]]:
    """One row a group; none where the summary has no such groups."""
    if name not in summary:
        return []
    intervals, trials = summary[f"{name}_interval"], summary[f"{name}_trials"]
    return [_row(label + group, rate, intervals[group], trials[group]) for group, rate in summary[name].items()]


def _row(label: str, rate: float | None, interval: Sequence[float] | None, trials: int | None) -> tuple[str, ...]:
    spread = "" if interval is None else f"{100 * interval[0]:.2f}-{100 * interval[1]:.2f}"
    return label, "no trials" if rate is None else f"{100 * rate:.2f}", spread, "" if trials is None else f"{trials:,}"


def print_rates(title: str, rows: Iterable[tuple[str, ...]], summary: dict[str, Any], edits: int, said: str) -> None:
    """The table that a person reads, and below it what its first rate is made of.

    Args:
        said: how many units there were, and what they are.
    """
    table = Table("", "%", "95 %", "trials", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    print(
        f"{edits:,} edits in {said}: {summary['substitutions']:,} substitutions, {summary['deletions']:,} deletions, "
        f"{summary['insertions']:,} insertions. 95 %: what {RESAMPLES:,} draws of as many trials give."
    )
