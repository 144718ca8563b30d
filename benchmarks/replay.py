"""Words of whole trials beside those of the same trials played live, with nothing committed before the end.

    python benchmarks/replay.py RUN LM --data DATA --split train --work WORK

RUN is a causal network. `mode-ssm decode` and, session by session, `mode-ssm live source=replay:... commit_share=1
commit_seconds=null` decode the same split by each decoder; the words of each trial must be the same. WORK keeps what
they wrote, and what is there is not made again. Writes benchmarks/results/replay.json and .md.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kept

DECODERS = ("ctc", "rnnt", "joint")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("lm")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    figures = {decoder: compared(options, decoder) for decoder in DECODERS}
    kept.write(kept.RESULTS / "replay.json", figures, table(figures))


def compared(options: argparse.Namespace, decoder: str) -> dict[str, int]:
    """Trials, and how many of them have the same words both ways."""
    whole = decoded(options, decoder)
    live = {session: played(options, decoder, session) for session in whole}
    for session, words in whole.items():
        if len(live[session]) != len(words):
            sys.exit(f"{session} has {len(words)} trials that were decoded and {len(live[session])} that were played.")
    pairs = [pair for session in whole for pair in zip(whole[session], live[session], strict=True)]
    same = sum(decoded_words == played_words for decoded_words, played_words in pairs)
    return {"trials": len(pairs), "words": sum(len(words.split()) for words, _ in pairs), "same": same}


def decoded(options: argparse.Namespace, decoder: str) -> dict[str, list[str]]:
    """The words of each trial, by session."""
    folder = options.work / decoder
    if not (folder / "hypotheses.csv").exists():
        run(options, "decode", f"decoder={decoder}", f"split={options.split}", f"output_dir={folder}")
    found: dict[str, list[str]] = {}
    with (folder / "hypotheses.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["session"], []).append(row["words"])
    return found


def played(options: argparse.Namespace, decoder: str, session: str) -> list[str]:
    messages = options.work / f"{decoder}.{session}.jsonl"
    if not messages.exists():
        source = f"source=replay:{session}/{options.split}"
        patient = ["commit_share=1", "commit_seconds=null", "speed=0"]
        beside = messages.with_suffix(".new")
        beside.unlink(missing_ok=True)
        run(options, "live", f"decoder={decoder}", source, *patient, f"sink=[jsonl:{beside}]")
        beside.rename(messages)
    told = [json.loads(line) for line in messages.read_text(encoding="utf-8").splitlines()]
    return [" ".join(message["words"]) for message in told if message["type"] == "end"]


def run(options: argparse.Namespace, command: str, *words: str) -> None:
    named = [f"checkpoint={options.run}", f"lm={options.lm}", f"data.data_root={options.data}"]
    subprocess.run([sys.executable, "-m", "mode_ssm", command, *named, *words], check=True)


def table(figures: dict[str, Any]) -> str:
    lines = [
        "# Replay beside decode",
        "",
        "`python benchmarks/replay.py RUN LM --data DATA --split SPLIT --work WORK`: trials whose words are the same",
        "from `mode-ssm decode` and from `mode-ssm live` with nothing committed before the end. Simulated features.",
        "",
        "| decoder | trials | words | the same |",
        "|---|--:|--:|--:|",
        *(f"| {name} | {each['trials']} | {each['words']} | {each['same']} |" for name, each in figures.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
