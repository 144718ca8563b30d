"""`mode-ssm convert`: recordings of another format, written in T15's layout, and what of them was left out."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mode_ssm.commands.inspect import print_problems
from mode_ssm.config import ConvertConfig
from mode_ssm.data.conversion import Conversion
from mode_ssm.data.converted import CONVERTED, Converted, counts
from mode_ssm.memory import give_back_freed_memory


def convert_recordings(config: ConvertConfig) -> None:
    """Write what is not there yet.

    Raises:
        InputError: as Conversion.
    """
    give_back_freed_memory()
    conversion = Conversion(config)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if not conversion.converted.is_complete:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("convert")
            conversion.run(
                lambda name, done, of: progress.update(
                    bar, description=name, completed=done, total=of, refresh=done == of
                )
            )
    print_problems(console, conversion.converted.notes, "note", "yellow")
    print_problems(console, conversion.converted.left_out, "problem", "red")
    console.print(f"{conversion.out} is complete: {_summary(conversion.converted)}", markup=False)


def _summary(converted: Converted) -> str:
    files = sum(part.trials > 0 for part in converted.parts.values())
    lost = ", ".join(f"{count} {reason}" for reason, count in counts(converted.left_out).items())
    left_out = f"left out: {lost} (see {CONVERTED})" if lost else "nothing was left out"
    found = converted.trials + sum(problem.trial is not None for problem in converted.left_out)
    return f"{converted.trials} of {found} trials, in {files} files; {left_out}."
