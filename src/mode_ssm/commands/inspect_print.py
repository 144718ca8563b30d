"""Print what an inspection found: a table that fits the terminal, or lines where it does not, and whole when piped."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mode_ssm.batch import FRAME_MS
from mode_ssm.config import PreprocessorConfig
from mode_ssm.data import Problem, TrialEntry
from mode_ssm.data.hdf5 import printable
from mode_ssm.data.sessions import SPLITS

if TYPE_CHECKING:
    from mode_ssm.commands.inspect import Findings

COLUMNS = ("session", *SPLITS, "frames min", "mean", "max", "labels", "blocks")
PIPED_WIDTH = 1000  # characters: a table in a file is never folded


def print_findings(findings: "Findings", console: Console | None = None) -> None:
    console = console or _console()
    _say(console, _summary(findings))
    _print_sessions(console, findings)
    for line in _feature_lines(findings):
        _say(console, line)
    _say(console, f"Settings that fit: {_settings(findings)}\n")
    _print_problems(console, findings.notes, "note", "yellow")
    _print_problems(console, findings.problems, "problem", "red")
    if not findings.problems:
        _say(console, "Nothing is wrong.")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def _say(console: Console, text: str, style: str = "") -> None:
    """Print text as it is: no markup, no wrapping, and nothing that the output cannot encode."""
    safe = text.encode(console.encoding, "backslashreplace").decode(console.encoding)
    console.print(Text(safe, style=style), soft_wrap=True)


def _summary(findings: "Findings") -> str:
    sessions, entries = findings.sessions, findings.entries
    by_split = ", ".join(f"{sum(e.key.split == split for e in entries):,} {split}" for split in SPLITS)
    hours = sum(entry.frames for entry in entries) * FRAME_MS / 3_600_000
    span = sessions[0] if len(sessions) == 1 else f"{len(sessions)} sessions ({sessions[0]} to {sessions[-1]})"
    return (
        f"{printable(findings.config.data.data_root, 1000)}\n{span}, "
        f"{len(entries):,} trials ({by_split}), {hours:.1f} hours\n"
    )


def _print_sessions(console: Console, findings: "Findings") -> None:
    by_session: dict[str, list[TrialEntry]] = defaultdict(list)
    for entry in findings.entries:
        by_session[entry.key.session].append(entry)
    rows = [_row(session, by_session[session]) for session in findings.sessions]
    rows.append(_row("all", findings.entries))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "session" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if _natural_width(rows) <= console.width:
        console.print(table)
    else:
        for row in rows:
            _say(console, ", ".join(f"{name} {cell}" for name, cell in zip(COLUMNS, row, strict=True) if cell != "-"))
    _say(console, "")


def _natural_width(rows: Sequence[Sequence[str]]) -> int:
    """Characters of the table when nothing is cut: its widest cells and the gaps between them."""
    return sum(max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)) + 2 * len(COLUMNS)


def _row(name: str, entries: Sequence[TrialEntry]) -> tuple[str, ...]:
    counts = [sum(entry.key.split == split for entry in entries) for split in SPLITS]
    frames = [entry.frames for entry in entries]
    labels = [entry.labels for entry in entries if entry.labels is not None]
    blocks = {(entry.key.session, entry.key.block) for entry in entries}
    lengths = (min(frames), round(mean(frames)), max(frames)) if frames else ("-",) * 3
    return (
        name,
        *(f"{count:,}" if count else "-" for count in counts),
        *map(str, lengths),
        f"{mean(labels):.1f}" if labels else "-",
        str(len(blocks)) if blocks else "-",
    )


def _feature_lines(findings: "Findings") -> Iterable[str]:
    counts = ", ".join(f"{trials:,} with {channels}" for channels, trials in findings.channels.most_common())
    patches = PreprocessorConfig()
    yield f"Lengths: checked for the default patches of {patches.patch_frames} frames, {patches.stride_frames} apart."
    yield f"Trials by feature channels: {counts or 'none is sound'}."
    found = findings.statistics
    if found is None:
        yield "Feature values: none were read."
        return
    yield (
        f"Feature values of {found.trials:,} of {len(findings.entries):,} trials: mean {found.mean:.3g}, "
        f"sd {found.sd:.3g}, min {found.low.min():.4g}, max {found.high.max():.4g}, "
        f"not finite {100 * found.not_finite_share:.3g} %."
    )
    yield (
        f"Single channels: mean {found.channel_mean.min():.3g} to {found.channel_mean.max():.3g}, "
        f"sd {found.channel_sd.min():.3g} to {found.channel_sd.max():.3g}."
    )


def _settings(findings: "Findings") -> str:
    data = findings.config.data
    words = [f"data.data_root={printable(data.data_root, 1000)}"]
    if data.max_sessions is not None:
        words.append(f"data.max_sessions={data.max_sessions}")
    if findings.channels:
        words.append(f"preprocessor.num_channels={findings.channels.most_common(1)[0][0]}")
    return " ".join(words)


def _print_problems(console: Console, problems: Sequence[Problem], name: str, style: str) -> None:
    """Trials of one file with one problem share a line."""
    if not problems:
        return
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for problem in problems:
        alike[problem.file, problem.what, problem.remedy].append(problem.trial or "")
    _say(console, f"{len(problems)} {name}{'s' if len(problems) > 1 else ''}:", f"bold {style}")
    for (file, what, remedy), trials in alike.items():
        _say(console, str(Problem(file, ", ".join(filter(None, trials)) or None, what, remedy)))
    _say(console, "")
