"""Recorded speech by phonemes, by phonemes without silence and by letters: the same network, recordings and updates.

    OMP_NUM_THREADS=1 python benchmarks/labels.py --data AN4 --work DIR [--epochs 4,5] [--seed 0]

Trains experiment=an4 for a few epochs with each set of labels, scores the val split, and finds words: letters joined,
and of both sets by a trigram of the train sentences with its lexicon (pronunciations as labelled, and spellings).
Without silence there is no boundary by which words could be found. DIR keeps runs: what is done is not done again.
Writes benchmarks/results/labels.md.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from starting import start

from mode_ssm.commands.decode import decode
from mode_ssm.commands.evaluate import evaluate
from mode_ssm.commands.lm_build import build
from mode_ssm.config import DecodeConfig, EvaluateConfig, LmConfig, TrainConfig
from mode_ssm.files import replace_text
from mode_ssm.settings import read_settings
from mode_ssm.training.loop import train

RESULT = Path(__file__).with_name("results") / "labels.md"
SETS = {"phonemes": "t15", "letters": "letters", "phonemes without silence": '{drop: ["|"]}'}
HEADS = ("ctc", "rnnt")


def run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train, score and find words with one set of labels; what came of it, with the processor time of the training."""
    place = options.work / name.replace(" ", "_")
    kept = place / "found.json"
    if not kept.exists():
        data = [f"data.data_root={options.data}", f"data.labels='{SETS[name]}'"]
        first, second = options.epochs.split(",")
        began = time.process_time()
        words = f"experiment=an4 output_dir={place} training.seed={options.seed} training.accelerator=cpu"
        epochs = f"training.stages.0.epochs={first} training.stages.1.epochs={second}"
        train(read_settings(TrainConfig, [*data, *words.split(), *epochs.split(), *options.settings]))
        found: dict[str, Any] = {"cpu_s": time.process_time() - began}
        for head in HEADS:
            found[head] = score(place, head)
        if name != "phonemes without silence":
            build(read_settings(LmConfig, [f"out={place / 'lm'}", "transcripts=true", *data]))
            for head in HEADS:
                found[head]["lm"] = find_words(place, head)
        replace_text(kept, json.dumps(found))
    loaded: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return loaded


def score(place: Path, head: str) -> dict[str, Any]:
    out = place / f"rates-{head}"
    evaluate(read_settings(EvaluateConfig, [f"checkpoint={place}", f"decoder={head}", f"output_dir={out}"]))
    found = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    return {key: found.get(key) for key in ("per", "unit", "reference_phonemes", "trials", "wer", "reference_words")}


def find_words(place: Path, head: str) -> float:
    """Word error rate."""
    out = place / f"words-{head}"
    words = [f"checkpoint={place}", f"lm={place / 'lm'}", f"decoder={head}", f"output_dir={out}", "alternatives=0"]
    decode(read_settings(DecodeConfig, words))
    found: float = json.loads((out / "decode.json").read_text(encoding="utf-8"))["wer"]
    return found


def table(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    first, second = options.epochs.split(",")
    command = " ".join([f"python benchmarks/labels.py --data AN4 --epochs {options.epochs}", *options.settings])
    one, some = next(iter(results.values()))["ctc"], results.get("letters", {}).get("ctc", {})
    said = f" of {some['reference_words']} words" if some else ""
    columns = "labels, CPU s, labels in val, error rate, WER of labels joined, WER by a trigram".split(", ")
    lines = [
        "# AN4 by phonemes and by letters",
        "",
        f"Val, {one['trials']} utterances{said}, decoded with the best checkpoint; error rates in %, by CTC / RNN-T.",
        f"One seed ({options.seed}): differences of a few points may be chance. `experiment=an4` for {first} epochs of "
        f"CTC and {second} of both losses, the same updates for every set.",
        f"`{command}`",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for name, found in results.items():
        cells = [" / ".join(_cell(found[head].get(key)) for head in HEADS) for key in ("per", "wer", "lm")]
        lines.append(
            f"| {name} | {found['cpu_s']:.0f} | {found['ctc']['reference_phonemes']:,} | {' | '.join(cells)} |"
        )
    return "\n".join([*lines, ""])


def _cell(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="AN4 in the T15 layout")
    parser.add_argument("--work", type=Path, default=Path("runs/labels"), help="folder of runs")
    parser.add_argument("--epochs", default="4,5", help="of both stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", default="phonemes,letters", help="of " + ", ".join(SETS))
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="settings of the training")
    options = parser.parse_args()
    text = table({name: run(name, options) for name in options.sets.split(",")}, options)
    replace_text(options.result, text)
    print(text)


if __name__ == "__main__":
    start(main)
