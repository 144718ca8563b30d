"""`mode-ssm inspect`: print what an inspection found, or draw what it is asked to draw.

A table that fits the terminal, or lines where it does not, and whole when piped.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mode_ssm.batch import FRAME_MS
from mode_ssm.commands.inspection import Inspection, examine, usual_channels
from mode_ssm.config import InspectConfig, PreprocessorConfig
from mode_ssm.data import Problem, TrialEntry
from mode_ssm.data.source import SPLITS
from mode_ssm.data.statistics import FeatureStatistics
from mode_ssm.errors import printable
from mode_ssm.pictures import draw_picture

COLUMNS = (*SPLITS, "frames min", "mean", "max", "labels", "blocks")
PIPED_WIDTH = 1000  # characters: a table in a file is never folded


def inspect(config: InspectConfig) -> int:
    """Print what is found; returns the exit status: 0, or 1 where something is wrong. Or draw the picture asked for.

    Raises:
        InputError: where there is no data root, or no session file in it, or nothing that can be drawn.
    """
    if config.picture or config.trial or config.session:
        print(f"Written: {draw_picture(config)}")
        return 0
    found = examine(config)
    print_inspection(found)
    return 1 if found.problems else 0


def print_inspection(found: Inspection, console: Console | None = None) -> None:
    console = console or _console()
    _say(console, _summary(found))
    _print_sessions(console, found)
    _print_participants(console, found)
    for line in _feature_lines(found):
        _say(console, line)
    _say(console, f"Settings that fit: {_settings(found)}\n")
    print_problems(console, found.notes, "note", "yellow")
    print_problems(console, found.problems, "problem", "red")
    if not found.problems:
        _say(console, "Nothing is wrong.")


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def _say(console: Console, text: str, style: str = "") -> None:
    """Print text as it is: no markup, no wrapping, and nothing that the output cannot encode."""
    safe = text.encode(console.encoding, "backslashreplace").decode(console.encoding)
    console.print(Text(safe, style=style), soft_wrap=True)


def _summary(found: Inspection) -> str:
    sessions, entries = found.sessions, found.entries
    by_split = ", ".join(f"{sum(e.key.split == split for e in entries):,} {split}" for split in SPLITS)
    hours = sum(entry.frames for entry in entries) * FRAME_MS / 3_600_000
    span = sessions[0] if len(sessions) == 1 else f"{len(sessions)} sessions ({sessions[0]} to {sessions[-1]})"
    return (
        f"{printable(found.config.data.place, 1000)}\n{span}, {len(entries):,} trials ({by_split}), {hours:.1f} hours\n"
    )


def _print_sessions(console: Console, found: Inspection) -> None:
    by_session: dict[str, list[TrialEntry]] = defaultdict(list)
    for entry in found.entries:
        by_session[entry.key.session].append(entry)
    rows = [_row(session, by_session[session]) for session in found.sessions]
    rows.append(_row("all", found.entries))
    _print_table(console, ("session", *COLUMNS), rows)


def _print_participants(console: Console, found: Inspection) -> None:
    """Where there are several."""
    people = found.participants
    if len(people) < 2:
        return
    rows = []
    for who, own in sorted(people.items()):
        name, *counts = _row(who, own)
        channels = ", ".join(map(str, sorted({entry.record.channels for entry in own})))
        rows.append((name, str(len({entry.key.session for entry in own})), channels, *counts))
    _print_table(console, ("participant", "sessions", "channels", *COLUMNS), rows)


def _print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if _natural_width(columns, rows) <= console.width:
        console.print(table)
    else:
        for row in rows:
            _say(console, ", ".join(f"{name} {cell}" for name, cell in zip(columns, row, strict=True) if cell != "-"))
    _say(console, "")


def _natural_width(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Characters of the table when nothing is cut: its widest cells and the gaps between them."""
    return sum(max(map(len, column)) for column in zip(columns, *rows, strict=True)) + 2 * len(columns)


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


def _feature_lines(found: Inspection) -> Iterable[str]:
    counts = ", ".join(f"{trials:,} with {channels}" for channels, trials in found.channels.most_common())
    patches = PreprocessorConfig()
    yield f"Lengths: checked for the default patches of {patches.patch_frames} frames, {patches.stride_frames} apart."
    yield f"Trials by feature channels: {counts or 'none is sound'}."
    people = found.participants
    for who, own in sorted(people.items()):
        yield from _value_lines(found.statistics.get(who), len(own), f" of {who}" if len(people) > 1 else "")
    if not people:
        yield from _value_lines(None, 0, "")


def _value_lines(values: FeatureStatistics | None, trials: int, whose: str) -> Iterable[str]:
    if values is None:
        yield f"Feature values{whose}: none were read."
        return
    yield (
        f"Feature values of {values.trials:,} of {trials:,} trials{whose}: mean {values.mean:.3g}, "
        f"sd {values.sd:.3g}, min {values.low.min():.4g}, max {values.high.max():.4g}, "
        f"not finite {100 * values.not_finite_share:.3g} %."
    )
    yield (
        f"Single channels{whose}: mean {values.channel_mean.min():.3g} to {values.channel_mean.max():.3g}, "
        f"sd {values.channel_sd.min():.3g} to {values.channel_sd.max():.3g}."
    )


def _settings(found: Inspection) -> str:
    data = found.config.data
    words = [printable(data.words, 1000)]
    if data.max_sessions is not None:
        words.append(f"data.max_sessions={data.max_sessions}")
    if len({usual_channels(own) for own in found.participants.values()}) > 1:
        words.append("preprocessor.participant_map=linear")
    elif found.channels:
        words.append(f"preprocessor.num_channels={found.channels.most_common(1)[0][0]}")
    return " ".join(words)


def print_problems(console: Console, problems: Sequence[Problem], name: str, style: str) -> None:
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
