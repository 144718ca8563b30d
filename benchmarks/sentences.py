"""Recordings of given sentences, simulated for a network that was trained on simulated ones of the same sessions."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

from mode_ssm.config import SimulateConfig
from mode_ssm.labels import T15
from mode_ssm.scoring import normalise_sentence, sentence_hash
from mode_ssm.simulation.labels import COLUMNS
from mode_ssm.simulation.run import simulate

Said = tuple[str, str]  # phonemes and sentence
WORDS = (2, 10)  # at least, and fewer than

_BLOCK = 200  # far from the blocks of training
_BLOCK_TRIALS = 50


def seen_and_unseen(labels: Path, hashes: Iterable[int], each: int) -> list[Said]:
    """Sentences of a table of T15's, of a usual length, that a network was trained on, and as many that it was not."""
    known, groups = set(hashes), {True: dict[str, Said](), False: dict[str, Said]()}
    with gzip.open(labels, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            sentence, phonemes = row["sentence"].strip(), row["phonemes"].strip()
            if phonemes.endswith("|") and phonemes.count("|") in range(*WORDS):
                groups[sentence_hash(sentence) in known][normalise_sentence(sentence)] = (phonemes, sentence)
    return [said for group in groups.values() for said in Random(0).sample(list(group.values()), each)]


def record(folder: Path, sentences: Sequence[Said], sessions: Sequence[str]) -> None:
    """A data root with the sentences in its val splits, dealt to the sessions; the other splits have one trial each."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    table = folder.with_suffix(".csv")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for place, session in enumerate(sessions):
            dealt = sentences[place :: len(sessions)]
            for number, said in enumerate(dealt):
                writer.writerow([session, "val", _BLOCK + number // _BLOCK_TRIALS, number % _BLOCK_TRIALS, *said])
            for block, split in enumerate(("train", "test"), start=100):
                writer.writerow([session, split, block, 0, *dealt[0]])
    simulate(SimulateConfig(out=str(folder), preset="demo", labels=str(table)))


def phonemes_of(words: Iterable[str], pronunciations: dict[str, tuple[tuple[int, ...], ...]]) -> str:
    """As a table of labels has them, by each word's usual pronunciation."""
    return " ".join(f"{T15.text(pronunciations[word][0])} |" for word in words)
