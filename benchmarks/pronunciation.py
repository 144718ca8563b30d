"""Words that were held out of a dictionary: how many are pronounced right, by what was learnt and by rules.

    python benchmarks/pronunciation.py --shared DIR

DIR holds text/ (a dictionary and English text) and t15_labels/ (the sentences of T15). A guess is right if it is one of
the dictionary's pronunciations of the word, stress left out. Words are held out of the most frequent ones of the text
that the dictionary knows, as a laboratory's dictionary would have them, or out of all its entries, most of which are
names and rare words; the words of T15's val sentences are held out of the frequent ones.
"""

import argparse
import csv
import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kept
import numpy as np
import torch

from mode_ssm.labels import T15
from mode_ssm.language.g2p import LearntSpelling
from mode_ssm.language.lexicon import Lexicon, read_lexicon
from mode_ssm.language.pronunciation import pronounce_words
from mode_ssm.scoring import normalise_sentence

TEXTS = ("chat.txt.gz", "c4_everyday.txt.gz")
HELD_OUT, LEARNT, SEEDS = 2000, 20_000, (0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lexicon = read_lexicon(options.shared / "text" / "cmudict-en-us.dict")
    lexicon = {word: said for word, said in lexicon.items() if word.isalpha()}
    frequent = _frequent(options.shared / "text", lexicon)
    rows = [_row("frequent", LEARNT, *_halves(frequent[: LEARNT + HELD_OUT], seed), lexicon, seed) for seed in SEEDS]
    entries = list(lexicon)
    rows += [_row("any", LEARNT, *_halves(entries, seed), lexicon, seed) for seed in SEEDS]
    rows += [_row("any", len(entries) - HELD_OUT, *_halves(entries, seed), lexicon, seed) for seed in SEEDS]
    spoken = _spoken_in_val(options.shared / "t15_labels" / "t15_labels.csv.gz", lexicon)
    others = [word for word in frequent if word not in set(spoken)]
    rows.append(_row("T15 val", LEARNT, spoken, others, lexicon, None))
    figures = {"rows": rows, "dictionary": len(lexicon)}
    kept.write(kept.RESULTS / "pronunciation.json", figures, _table(rows))


def _frequent(folder: Path, lexicon: Lexicon) -> list[str]:
    """The dictionary's words in the texts, the most frequent first."""
    counts: Counter[str] = Counter()
    for name in TEXTS:
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            for line in file:
                counts.update(normalise_sentence(line).split())
    return [word for word, _ in counts.most_common() if word in lexicon]


def _spoken_in_val(path: Path, lexicon: Lexicon) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        spoken = [row["sentence"] for row in csv.DictReader(file) if row["split"] == "val"]
    return sorted({word for sentence in spoken for word in normalise_sentence(sentence).split()} & set(lexicon))


def _halves(words: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    shuffled = np.random.default_rng(seed).permutation(np.array(words)).tolist()
    return shuffled[:HELD_OUT], shuffled[HELD_OUT:]


def _row(
    name: str, size: int, held_out: list[str], rest: list[str], lexicon: Lexicon, seed: int | None
) -> dict[str, Any]:
    learnt = LearntSpelling({word: lexicon[word] for word in rest[:size]}, T15)
    by_rules = pronounce_words(held_out, [{}], T15).lexicon
    right = sum(guess in lexicon[word] for word, guess in zip(held_out, learnt.guess(held_out), strict=True))
    rules = sum(by_rules[word][0] in lexicon[word] for word in held_out)
    row: dict[str, Any] = {"held out of": name, "seed": seed, "learnt from": len(rest[:size]), "words": len(held_out)}
    row |= {"learnt": right / len(held_out), "rules": rules / len(held_out)}
    print(row, flush=True)
    return row


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# Pronunciations of words that are in no dictionary",
        "",
        "`python benchmarks/pronunciation.py --shared DIR`",
        "",
        "Held-out words that are guessed right, one of the dictionary's pronunciations without stress: by a model "
        "learnt from other words, and by rules. Frequent: of the 22,000 most frequent words of the texts that the "
        "dictionary knows; any: of all its entries, most of them names and rare words; T15 val: all words of T15's val "
        "sentences.",
        "",
        "| held out of | seed | learnt from | words | learnt (%) | rules (%) |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['held out of']} | {'' if row['seed'] is None else row['seed']} | {row['learnt from']:,} | "
        f"{row['words']:,} | {100 * row['learnt']:.1f} | {100 * row['rules']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
