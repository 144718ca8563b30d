"""Several simulated people in one network, and a sixth with 200 sentences from it, beside each alone.

    OMP_NUM_THREADS=1 python benchmarks/participants.py WORK [--seeds 0 1 2] [--passes 12] [--longer 36] [--longest 108]

A seed is that of the people, of what they say and of the training: `preset=demo` of `mode-ssm simulate`, but with the
noise, the tuning and the dead electrodes of `preset=t15`, and with 32 val trials a day. Each network trains by CTC
alone. Scored is the last checkpoint on val, so that no trial that is scored has chosen it; the rate of the schedule
falls to its end. Writes the table and, beside it, .json with the settings, the seed and the revision of every run.

WORK keeps the data and the runs: what is done there is not done again. It may be broken off: runs go on seed by seed
from what matters most, and the table is of what is there.
"""

import argparse
import csv
import json
import math
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from participants_table import ALONE, SCRATCH, TOGETHER, TRANSFERS, Arm, Lengths, Trained, write
from starting import start

from mode_ssm.commands.evaluate import evaluate
from mode_ssm.config import DataConfig, EvaluateConfig, SimulateConfig, TrainConfig
from mode_ssm.data.opening import list_trials
from mode_ssm.data.source import open_source
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.simulation.presets import PRESETS
from mode_ssm.t15.sessions import participant_of
from mode_ssm.training.loop import train

RESULT = Path(__file__).with_name("results") / "participants.md"
PRESET = "demo with t15's electrodes"
VAL_TRIALS = 32  # a day
PEOPLE = 5
FEW = 200  # train sentences of the one who comes later
NETWORK = """data.source=npz preprocessor.participant_map=linear preprocessor.num_channels=48
preprocessor.session_layer=affine encoder.width=96 encoder.layers=2 encoder.dropout=0.1 encoder.state_size=16
encoder.head_width=32 joiner=none augmentation.time_masks=4 training.batch_size=16 training.accelerator=cpu
training.schedule.warmup_updates=20 training.optimizer.lr=0.003 training.log_every_updates=1000""".split()


def people(folder: Path, seed: int) -> list[Path]:
    """Six folders, each with a root of its train trials and one of its val trials; the last has FEW train trials."""
    demo = PRESETS["demo"]
    days = tuple(replace(day, val=VAL_TRIALS) for day in demo.sessions)
    PRESETS[PRESET] = replace(demo, sessions=days, electrodes=PRESETS["t15"].electrodes)
    simulate(SimulateConfig(str(folder / "simulated"), PRESET, seed=seed, participants=PEOPLE + 1, workers=1))
    roots = []
    for number in range(1, PEOPLE + 2):
        roots.append(folder / f"p{number}")
        if not roots[-1].exists():
            keep(folder / "simulated" / f"p{number}", roots[-1], None if number <= PEOPLE else FEW)
    return roots


def keep(root: Path, out: Path, most: int | None) -> None:
    """As .npz, which is read faster than HDF5, in a root for each split: a training has no val trials to choose by.

    Args:
        most: train trials, the first of their days; None = all.
    """
    source = open_source(DataConfig(data_root=str(root)))
    writing = out.with_name(f"{out.name}.writing")
    shutil.rmtree(writing, ignore_errors=True)
    for split in ("train", "val"):
        _, entries, _ = list_trials(source, str(root), split)
        kept = entries[:most] if split == "train" else entries
        for session in source.sessions:
            own = [entry for entry in kept if entry.key.session == session]
            features = [source.read_features(entry.key, entry.record).numpy() for entry in own]
            labels = [np.asarray(source.read_labels(entry.key, entry.record)) for entry in own]
            place = writing / split / session
            place.mkdir(parents=True)
            np.savez(
                place / f"{split}.npz",
                features=np.concatenate(features),
                offsets=[*accumulate(map(len, features), initial=0)],
                labels=np.concatenate(labels),
                label_offsets=[*accumulate(map(len, labels), initial=0)],
                sentences=[entry.record.sentence or "" for entry in own],
                block=[entry.key.block for entry in own],
                number=[entry.key.number for entry in own],
            )
    writing.rename(out)


def sentences(root: Path) -> set[str]:
    """Those that are trained on."""
    found: set[str] = set()
    for path in root.glob("train/*/train.npz"):
        with np.load(path) as file:
            found |= {str(sentence) for sentence in file["sentences"]}
    return found


def run(place: Path, roots: Sequence[Path], passes: int, seed: int, more: Sequence[str]) -> dict[str, Any]:
    """Train and evaluate, unless that is done: what it took, with what settings, and from what revision."""
    kept = place / "run.json"
    if not kept.exists():
        shutil.rmtree(place, ignore_errors=True)
        stage = f"training.stages=[{{name: ctc, epochs: {passes}, weights: {{ctc: 1.0}}}}]"
        train_on, score_on = (
            f"data.roots=[{','.join(str(root / split) for root in roots)}]" for split in ("train", "val")
        )
        words = [*NETWORK, stage, f"training.seed={seed}", *more]
        began = time.process_time()
        train(read_settings(TrainConfig, [*words, train_on, f"output_dir={place}"]))
        took = time.process_time() - began
        last = place / "checkpoints" / "last.safetensors"
        evaluate(read_settings(EvaluateConfig, [f"checkpoint={last}", score_on, f"output_dir={place / 'rates'}"]))
        shown = [word for word in words if not word.startswith("init=")]
        kept.write_text(json.dumps({"cpu_s": took, "settings": shown, "revision": revision()}))
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


def scored(place: Path, known: set[str]) -> dict[str, dict[str, float]]:
    """Of each person: error rates in per cent and trials, of all and of the sentences that are not known."""
    with (place / "rates" / "hypotheses.csv").open(encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    found = {}
    for who in sorted({participant_of(row["session"]) for row in rows}):
        own = [row for row in rows if participant_of(row["session"]) == who]
        new = [row for row in own if row["sentence"] not in known]
        found[who] = {"per": rate(own), "trials": len(own), "per_new": rate(new), "trials_new": len(new)}
    return found


def rate(rows: Sequence[dict[str, str]]) -> float:
    """Phoneme error rate in per cent."""
    phonemes = sum(len(row["phonemes"].split()) for row in rows)
    return 100 * sum(int(row["edits"]) for row in rows) / phonemes if phonemes else math.nan


def revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()


class Planned(NamedTuple):
    folder: Path
    network: str
    roots: list[Path]
    passes: int
    words: list[str]


def plan(place: Path, lengths: Lengths, roots: Sequence[Path]) -> list[Planned]:
    """What matters most stands first, for where it is broken off."""
    *five, few = roots
    together = place / f"together-{lengths.passes}"

    def sixth(arm: Arm, passes: int) -> Planned:
        words = [*arm.words, *([f"init={together}"] if arm.transferred else [])]
        return Planned(place / f"sixth-{arm.folder}-{passes}", arm.name, [few], passes, words)

    main, *others = TRANSFERS
    short = (lengths.passes, lengths.longer)
    return [
        Planned(together, TOGETHER, five, lengths.passes, []),
        *(sixth(arm, passes) for passes in short for arm in (SCRATCH, main)),
        *(Planned(place / f"{root.name}-alone-{lengths.passes}", ALONE, [root], lengths.passes, []) for root in five),
        sixth(SCRATCH, lengths.longest),
        *(sixth(arm, passes) for arm in others for passes in short),
    ]


def runs(work: Path, seed: int, lengths: Lengths) -> Iterator[list[Trained]]:
    place = work / f"seed{seed}"
    roots = people(place, seed)
    known = {sentence for root in roots for sentence in sentences(root)}
    for each in plan(place, lengths, roots):
        took = run(each.folder, each.roots, each.passes, seed, each.words)
        yield [
            Trained(each.network, who, each.passes, seed, **rates, **took)  # type: ignore[arg-type]
            for who, rates in scored(each.folder, known).items()
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--passes", type=int, default=12, help="of the five, together and alone, and of the sixth")
    parser.add_argument("--longer", type=int, default=36, help="of the sixth too")
    parser.add_argument("--longest", type=int, default=108, help="of the sixth from scratch")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    lengths = Lengths(options.passes, options.longer, options.longest)
    found: list[Trained] = []
    for step in zip(*(runs(options.work, seed, lengths) for seed in options.seeds), strict=True):
        for one in (one for some in step for one in some):
            found.append(one)
            print(one.seed, one.whom, one.network, one.passes, f"{one.per:.1f} {one.cpu_s:.0f} s", flush=True)
        write(found, options.result, lengths)


if __name__ == "__main__":
    start(main)
