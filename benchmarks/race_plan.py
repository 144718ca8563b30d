"""What a race consists of: its systems, data sets, seeds and learning rates, and how many epochs its budget buys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mode_ssm.errors import InputError

CLOCKS = {"updates": "updates", "cpu_minutes": "cpu", "wall_minutes": "wall"}
KEYS = {"budget", "threads", "seeds", "learning_rates", "settings", "data", "systems"}
CHOICE = {"grid_budget"}  # a key that may be left out


class Budget(NamedTuple):
    """The same for every run: optimizer updates, or seconds of one of two clocks, start and validations included."""

    amount: float
    clock: str  # updates, cpu or wall

    def __str__(self) -> str:
        if self.clock == "updates":
            return f"{self.amount:g} updates"
        clock = "processor" if self.clock == "cpu" else "wall-clock"
        return f"{self.amount / 60:g} minutes of {clock} time"


class Costs(NamedTuple):
    """What a system's training takes, in the unit of the budget."""

    start: float
    epoch: tuple[float, ...]  # of each stage


class Run(NamedTuple):
    data: str
    system: str
    learning_rate: float
    seed: int
    kind: str = ""  # "grid-" of one that only chooses the learning rate, within a budget of its own

    def __str__(self) -> str:
        """The run's folder within that of the race."""
        return f"{self.data}/{self.system}/{self.kind}lr{self.learning_rate:g}-seed{self.seed}"


@dataclass(frozen=True)
class Race:
    name: str
    budget: Budget
    threads: int  # of each process
    seeds: tuple[int, ...]  # the first one's runs choose the learning rates
    learning_rates: tuple[float, ...]  # in order; the search for the best goes out from the middle
    settings: tuple[str, ...]  # of every run
    systems: dict[str, tuple[str, ...]]  # the first is compared with the best of the others
    data: dict[str, tuple[str, ...]]  # settings that a data set needs
    roots: dict[str, Path]
    language_models: dict[str, Path]
    grid_budget: Budget | None = None  # of the runs that choose the learning rates; None = as the others

    def words(self, data: str, system: str) -> list[str]:
        """The settings that all runs of a system on a data set share."""
        return [*self.systems[system], *self.data[data], *self.settings, f"data.data_root={self.roots[data]}"]

    def grid(self, data: str, system: str) -> list[Run]:
        """The runs that may be needed to choose the learning rate."""
        kind = "grid-" if self.grid_budget else ""
        return [Run(data, system, rate, self.seeds[0], kind) for rate in self.learning_rates]

    def next_of_grid(self, data: str, system: str, found: Mapping[float, float]) -> Run | None:
        """The run that the search for the learning rate does next: the middle one, then a neighbour of the best.

        Args:
            found: the error rate at each learning rate done.

        Returns:
            None once both neighbours of the best are done.
        """
        runs = self.grid(data, system)
        middle = (len(runs) - 1) // 2
        if not found:
            return runs[middle]
        best = min(
            (i for i, run in enumerate(runs) if run.learning_rate in found), key=lambda i: found[runs[i].learning_rate]
        )
        ahead = [runs[i] for i in (best + 1, best - 1) if 0 <= i < len(runs)]
        return next((run for run in ahead if run.learning_rate not in found), None)

    def finals(self, data: str, system: str, learning_rate: float) -> list[Run]:
        """The runs that are compared, a seed each; the first may be one of the grid."""
        return [Run(data, system, learning_rate, seed) for seed in self.seeds]

    def find(self, name: str) -> Run:
        """The run of that folder.

        Raises:
            InputError: when the race has no such run.
        """
        pairs = [(data, system) for data in self.roots for system in self.systems]
        grid = [run for pair in pairs for run in self.grid(*pair)]
        finals = [run for pair in pairs for rate in self.learning_rates for run in self.finals(*pair, rate)]
        for candidate in [*grid, *finals]:
            if str(candidate) == name:
                return candidate
        raise InputError(f"{self.name} has no run '{name}'; --print-commands lists those that it has.")


def read_race(path: Path, roots: Mapping[str, Path], language_models: Mapping[str, Path]) -> Race:
    """Read a race from YAML, with the folders of the data sets that take part.

    Raises:
        InputError: when the file is no race, or a folder is given for what it does not name.
    """
    try:
        plain = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as a race: {str(error).splitlines()[0]}.") from None
    if not isinstance(plain, dict) or set(plain) - CHOICE != KEYS:
        found = ", ".join(sorted(map(str, plain))) if isinstance(plain, dict) else "none"
        raise InputError(f"{path} must have the keys {', '.join(sorted(KEYS))}; it has {found}.")
    data = _settings_by_name(path, plain, "data")
    for name in [*roots, *language_models]:
        if name not in data:
            raise InputError(f"{path} has no data '{name}'; it has {', '.join(data)}.")
    if not roots:
        raise InputError(f"Say where the data are: --data {next(iter(data))}=DIR.")
    try:
        return Race(
            name=path.stem,
            budget=_budget(plain["budget"]),
            grid_budget=_budget(plain["grid_budget"]) if "grid_budget" in plain else None,
            threads=int(plain["threads"]),
            seeds=tuple(int(seed) for seed in plain["seeds"]),
            learning_rates=tuple(sorted(float(rate) for rate in plain["learning_rates"])),
            settings=tuple(plain["settings"]),
            systems=_settings_by_name(path, plain, "systems"),
            data=data,
            roots=dict(roots),
            language_models=dict(language_models),
        )
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"{path} cannot be read as a race: {error}.") from None


def _settings_by_name(path: Path, plain: dict[str, Any], key: str) -> dict[str, tuple[str, ...]]:
    named = plain[key]
    if not isinstance(named, dict) or not named or not all(isinstance(words, list) for words in named.values()):
        raise InputError(
            f"{path}: {key} must give a list of settings for each name, such as 'AN4: [encoder.width=64]'."
        )
    return {str(name): tuple(map(str, words)) for name, words in named.items()}


def _budget(plain: dict[str, float]) -> Budget:
    if len(plain) != 1 or (kind := next(iter(plain))) not in CLOCKS:
        raise ValueError(f"budget must be one of {', '.join(CLOCKS)}")
    return Budget(float(plain[kind]) * (1 if kind == "updates" else 60), CLOCKS[kind])


def stage_epochs(shape: Sequence[int], costs: Costs, budget: Budget) -> list[int]:
    """Epochs of each stage, in the proportions of `shape`, as many as the budget holds; what is left goes to the last.

    >>> stage_epochs([12, 24], Costs(10, (20, 30)), Budget(1010, "cpu"))
    [12, 25]

    Raises:
        InputError: when not even one epoch of every stage fits.
    """
    room = budget.amount - costs.start

    def cost(epochs: Sequence[int]) -> float:
        return sum(count * each for count, each in zip(epochs, costs.epoch, strict=True))

    scale = room / cost(shape)
    epochs = [max(1, int(scale * count)) if count else 0 for count in shape]
    while cost(epochs) > room and max(epochs) > 1:
        epochs[epochs.index(max(epochs))] -= 1
    if cost(epochs) > room:
        raise InputError(f"A budget of {budget} does not hold one epoch of each stage; give a larger budget.")
    epochs[-1] += int((room - cost(epochs)) / costs.epoch[-1]) if shape[-1] else 0
    return epochs
