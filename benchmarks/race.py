"""Train systems on the same data with the same budget, and compare their error rates and costs.

    python benchmarks/race.py benchmarks/race_an4.yaml --data AN4=DIR

A race is systems x data sets x seeds, each run a `mode-ssm train` process in a folder of its own: one that is finished
is not done again, and one that was stopped goes on where it stood. Runs of the first seed choose each system's learning
rate, by the PER of the better head: from the middle of one grid towards the best, until both neighbours of the best are
worse; with a `grid_budget` they are shorter than the runs compared. The budget is the same for every run, in updates or
in minutes of processor or wall time; a budget in minutes is turned into whole epochs, by the cost of an epoch that is
measured once, in short runs, so that every schedule knows its end. The first system is compared with the best of the
others.

--print-commands prints a command for each run that can start, to spread over machines that share the --out folder; once
they are done it prints the next ones, and after the last the race itself makes the table without training.
Written: <race>.json, <race>.md and <race>.png in --results.
"""

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from race_plan import Race, Run, read_race
from race_run import costs, finish
from race_table import best_rate, draw, rates_found, table
from starting import start

from mode_ssm.files import replace_text

HERE = Path(__file__).parent


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("race", type=Path, help="a YAML file such as benchmarks/race_an4.yaml")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=DIR", help="a data set and its root")
    parser.add_argument("--lm", action="append", default=[], metavar="NAME=DIR", help="a language model, for its WER")
    parser.add_argument("--out", type=Path, help="the folder of the runs; default: runs/<race>")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="the folder of table and picture")
    parser.add_argument("--print-commands", action="store_true", help="print what is left to run instead of running it")
    parser.add_argument("--run", metavar="RUN", help="finish this run alone, as printed by --print-commands")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    race = read_race(options.race, _folders(options.data), _folders(options.lm))
    out = options.out or Path("runs") / race.name
    if options.run:
        finish(race, race.find(options.run), out)
    elif options.print_commands:
        print_commands(race, out)
    else:
        compete(race, out, options.results)


def _folders(words: Iterable[str]) -> dict[str, Path]:
    pairs = [word.partition("=") for word in words]
    return {name: Path(folder) for name, _, folder in pairs}


def compete(race: Race, out: Path, results: Path) -> None:
    """Finish every run, one after another, and write the table and the picture."""
    data: dict[str, dict[str, list[dict[str, Any]]]] = {}
    grids: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in race.roots:
        data[name], grids[name] = {}, {}
        for system in race.systems:
            grid = grids[name][system] = []
            while run := race.next_of_grid(name, system, rates_found(grid)):
                grid.append(_say(run, finish(race, run, out)))
            finals = race.finals(name, system, min(grid, key=best_rate)["learning_rate"])
            data[name][system] = [_say(run, finish(race, run, out)) for run in finals]
    results.mkdir(parents=True, exist_ok=True)
    about = _about(race)
    replace_text(
        results / f"{race.name}.json", json.dumps({"about": about, "results": data, "grids": grids}, indent=1) + "\n"
    )
    replace_text(results / f"{race.name}.md", table(race.name, data, grids, about))
    draw(data).savefig(results / f"{race.name}.png", dpi=110)
    print(f"Written: {race.name}.json, {race.name}.md and {race.name}.png in {results}")


def _say(run: Run, result: dict[str, Any]) -> dict[str, Any]:
    heads = result.get("heads", {})
    rates = ", ".join(f"{head} {100 * scores['per']:.2f} %" for head, scores in heads.items())
    print(f"{run}: {rates or result['failed']}", flush=True)
    return result


def _about(race: Race) -> str:
    within = "" if race.budget.clock == "updates" else ", start and validations in it"
    shorter = f", in runs of {race.grid_budget}" if race.grid_budget else ""
    lines = [
        f"`python benchmarks/race.py benchmarks/{race.name}.yaml`: {race.budget} a run{within};",
        f"{len(race.seeds)} seeds; {race.threads} thread(s), PyTorch {torch.__version__}, {platform.machine()}.",
        f"The learning rates were chosen with the first seed on the same val trials{shorter}.",
        "Real-time factor: time to read, encode and search the val trials in batches, by their length.",
        "Words: the search's default weights, not tuned.",
        "",
    ]
    shared = [("all systems", race.settings), *((f"on {name}", race.data[name]) for name in race.roots)]
    lines += [f"- {name}: `{' '.join(words)}`" for name, words in [*race.systems.items(), *shared] if words]
    return "\n".join(lines)


def print_commands(race: Race, out: Path) -> None:
    """One command for each run that can start and is not finished."""
    arguments = [word for word in sys.argv[1:] if word != "--print-commands"]
    for name in race.roots:
        for system in race.systems:
            costs(race, name, system, out)  # measured here, so that all machines use the same
            grid: list[dict[str, Any]] = []
            while (run := race.next_of_grid(name, system, rates_found(grid))) and _is_done(run, out):
                grid.append(finish(race, run, out))
            ready = [run] if run else race.finals(name, system, min(grid, key=best_rate)["learning_rate"])
            for run in ready:
                if not _is_done(run, out):
                    print(shlex.join([sys.executable, sys.argv[0], *arguments, "--run", str(run)]))


def _is_done(run: Run, out: Path) -> bool:
    return (out / str(run) / "result.json").exists()


if __name__ == "__main__":
    start(main)
