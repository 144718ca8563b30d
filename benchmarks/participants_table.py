"""What benchmarks/participants.py found, as tables."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from mode_ssm.files import replace_text


class Arm(NamedTuple):
    """A network of the sixth."""

    name: str
    transferred: bool
    words: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return "-".join(re.findall(r"[a-z0-9_.]+", self.name))


class Lengths(NamedTuple):
    """Passes over a network's train trials."""

    passes: int  # of the five, together and alone, and of the sixth
    longer: int  # of the sixth
    longest: int  # of the sixth from scratch

    def __str__(self) -> str:
        return f"--passes {self.passes} --longer {self.longer} --longest {self.longest}"


TOGETHER, ALONE = "five together", "alone"
SCRATCH = Arm("from scratch", False)
TRANSFERS = (
    Arm("from the five's, all weights", True),
    Arm("from the five's, body_lr_factor=0.3", True, ("training.body_lr_factor=0.3",)),
)


class Trained(NamedTuple):
    """One person of one run, and their error rates on val in per cent."""

    network: str
    whom: str
    passes: int
    seed: int
    per: float
    trials: int
    per_new: float  # of sentences that are in no train trial of the six
    trials_new: int
    cpu_s: float
    settings: list[str]
    revision: str


def spread(values: Sequence[float], digits: int = 1) -> str:
    """
    >>> spread([2.0, 4.0]), spread([2.0])
    ('3.0 ± 1.4 (2.0, 4.0)', '2.0')
    """
    shown = [f"{value:.{digits}f}" for value in values]
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f} ({', '.join(shown)})" if shown[1:] else shown[0]


def of(found: Sequence[Trained], **asked: object) -> list[Trained]:
    return [one for one in found if all(getattr(one, name) == value for name, value in asked.items())]


def sixth_table(found: Sequence[Trained]) -> list[str]:
    """Of the one who came later, a row for each kind of training and its length."""
    lines = ["| network of p6 | passes | PER, val (%) | of new sentences | CPU s |", "|---|---|---|---|---|"]
    for arm in (SCRATCH, *TRANSFERS):
        for passes in sorted({one.passes for one in of(found, network=arm.name)}):
            own = of(found, network=arm.name, passes=passes)
            new = spread([one.per_new for one in own])
            cells = (spread([one.per for one in own]), new, f"{mean(one.cpu_s for one in own):.0f}")
            lines.append(f"| {arm.name} | {passes} | {' | '.join(cells)} |")
    return lines


def ratios(found: Sequence[Trained]) -> list[str]:
    """The lowest of the transferred to the lowest from scratch, at equal lengths and over all of them."""
    lines = ["| the lowest transferred to the lowest from scratch | of all val trials (%) | of new sentences (%) |"]
    lines.append("|---|---|---|")
    lengths = sorted({one.passes for one in found if one.network in names(TRANSFERS)})
    for count in (*lengths, None):
        cells = []
        for field in ("per", "per_new"):
            each = []
            for seed in sorted({one.seed for one in found}):
                mine = [one for one in of(found, seed=seed) if count in (None, one.passes)]
                pair = [lowest(mine, arms, field) for arms in (TRANSFERS, (SCRATCH,))]
                each += [100 * pair[0] / pair[1]] if all(map(math.isfinite, pair)) else []
            cells.append(spread(each, 0) if each else "-")
        when = f"after {count} passes each" if count else "of whatever length"
        lines.append(f"| {when} | {' | '.join(cells)} |")
    return lines


def names(arms: Sequence[Arm]) -> set[str]:
    return {arm.name for arm in arms}


def lowest(found: Sequence[Trained], arms: Sequence[Arm], field: str) -> float:
    return min((getattr(one, field) for one in found if one.network in names(arms)), default=math.nan)


def five_table(found: Sequence[Trained]) -> list[str]:
    """Each of those who share a network beside themselves alone."""
    lines = ["| seed | whom | alone (%) | of the five together (%) |", "|---|---|---|---|"]
    better = []
    for one in of(found, network=ALONE):
        (shared,) = of(found, network=TOGETHER, seed=one.seed, whom=one.whom)
        lines.append(f"| {one.seed} | {one.whom} | {one.per:.1f} | {shared.per:.1f} |")
        better.append(shared.per <= one.per)
    return [*lines, "", f"Together they are not worse than alone in {sum(better)} of {len(better)}."]


def write(found: Sequence[Trained], result: Path, lengths: Lengths) -> None:
    if not of(found, network=SCRATCH.name):
        return
    seeds, counts = sorted({one.seed for one in found}), {one.network: one for one in found}
    new = [of(found, network=SCRATCH.name, seed=seed)[0].trials_new for seed in seeds]
    lines = [
        "# Several simulated people in one network, and a sixth with 200 sentences",
        "",
        f"    OMP_NUM_THREADS=1 python benchmarks/participants.py WORK {lengths}",
        "",
        "Simulated features, no recordings: preset=demo with the electrodes of preset=t15. Seeds "
        f"{', '.join(map(str, seeds))}, of people and training alike. Rates are of the last checkpoint, on "
        f"{counts[SCRATCH.name].trials} val trials a person that no training has seen: mean ± standard deviation, and "
        "each seed's. Sentences come from a small set: new are those of p6's val trials "
        f"({', '.join(map(str, new))} by seed) that stand in no train trial of the six. The five's network has had "
        f"{counts[TOGETHER].passes} passes over 240 sentences of each. One thread.",
        "",
        *sixth_table(found),
        "",
        *ratios(found),
        "",
        *(five_table(found) if of(found, network=ALONE) else ["The five alone: not run."]),
        "",
        f"Settings of every run, its seed and revision ({', '.join(sorted({one.revision for one in found}))}) stand in "
        f"{result.with_suffix('.json').name}.",
        "",
    ]
    replace_text(result, "\n".join(lines))
    replace_text(result.with_suffix(".json"), json.dumps([one._asdict() for one in found], indent=1) + "\n")
