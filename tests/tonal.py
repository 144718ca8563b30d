"""A small tonal language: recordings of syllables as initials, finals and tones, each with a pattern of its own."""

from pathlib import Path

import numpy as np
import yaml

CHANNELS = 16
LABELS = """
symbols: [_, b, m, h, zh, a, ao, i, ong, T1, T2, T3, T4, "|"]
blank: _
boundary: "|"
"""
# Words that a tone alone tells apart, and one that begins without an initial; each is called by its meaning in English.
LEXICON = """
mother  m a T1
hemp  m a T2
horse  m a T3
scold  m a T4
treasure  b ao T3 b ao T4
report  b ao T4
cat  m ao T1
hat  m ao T4
cotton  a T1 h ong T2
red  h ong T2
flood  h ong T4
middle  zh ong T1
seed  zh ong T3
nose  b i T2
compare  b i T3
rice  m i T3
secret  m i T4
"""
SAID = {word: said.split() for word, said in (line.split("  ") for line in LEXICON.split("\n") if line)}


def write_tonal(root: Path, train: int = 120, val: int = 24) -> Path:
    """An npz root of one session with labels.yaml and lexicon.txt; sentences are two to four words by chance."""
    random = np.random.default_rng(0)
    numbers = {symbol: number for number, symbol in enumerate(yaml.safe_load(LABELS)["symbols"])}
    patterns = random.standard_normal((len(numbers), CHANNELS))
    sentences = [random.choice([*SAID], random.integers(2, 5)).tolist() for _ in range(train + val)]
    labels = [[numbers[symbol] for word in words for symbol in (*SAID[word], "|")] for words in sentences]
    features = []
    for said in labels:
        frames = np.repeat([0, *said, 0], random.integers(5, 9, len(said) + 2))
        features.append(patterns[frames] + random.standard_normal((len(frames), CHANNELS)))
    root.mkdir(parents=True)
    np.savez(
        root / "tonal.2026.01.31.npz",
        features=np.concatenate(features).astype(np.float32),
        offsets=np.cumsum([0, *map(len, features)]),
        labels=np.concatenate(labels),
        label_offsets=np.cumsum([0, *map(len, labels)]),
        sentences=np.array([" ".join(words) for words in sentences]),
        split=np.array(["train"] * train + ["val"] * val),
    )
    (root / "labels.yaml").write_text(LABELS, encoding="utf-8")
    (root / "lexicon.txt").write_text(LEXICON, encoding="utf-8")
    return root
