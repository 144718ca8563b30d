"""What is to be recorded: sessions, blocks, and the sentence of every trial, decided before anything is simulated."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from mode_ssm.config import SimulateConfig
from mode_ssm.simulation.lexicon import (
    LEXICON,
    SENTENCES,
    Lexicon,
    pronounce,
    read_lexicon,
    read_sentences,
    words_of,
)
from mode_ssm.simulation.presets import Preset, Sentences, SessionSize, find_preset

BLOCK_TRIALS = 50  # at most
PARTICIPANT = "t15"


class Stream(IntEnum):
    """Independent sources of randomness, so that no part of the simulation disturbs another."""

    sentences = 0
    tuning = 1
    block = 2
    trial = 3


def random_stream(seed: int, stream: Stream, *where: int) -> np.random.Generator:
    """The same numbers for the same place in the data set, whoever asks and in whichever order."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(stream, *where))))


@dataclass(frozen=True)
class PlannedTrial:
    split: str  # train, val or test
    block: int
    number: int
    sentence: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class PlannedSession:
    name: str  # t15.2023.08.13
    trials: tuple[PlannedTrial, ...]

    @property
    def day(self) -> int:
        """Days since the calendar's beginning."""
        return dt.date(*map(int, self.name.split(".")[1:])).toordinal()


class SentenceSource:
    """Draws sentences of the corpus, and sentences of random words from its vocabulary."""

    def __init__(self, lexicon: Lexicon, sentences: Sentences) -> None:
        self.lexicon = lexicon
        self.design = sentences
        self.corpus = read_sentences(SENTENCES, sentences.sections)
        self.vocabulary = sorted({word for sentence in self.corpus for word in words_of(sentence)})

    def draw(self, rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
        """A sentence and its labels."""
        sentence = self.corpus[rng.integers(len(self.corpus))]
        if rng.random() < self.design.random_share:
            least, most = self.design.words
            chosen = rng.choice(self.vocabulary, size=rng.integers(least, most + 1))
            sentence = " ".join(chosen).lower().capitalize() + "."
        return sentence, pronounce(sentence, self.lexicon)


def _block_sizes(trials: int) -> list[int]:
    """As few blocks as hold the trials, as even as can be."""
    blocks = -(-trials // BLOCK_TRIALS)
    return [len(part) for part in np.array_split(np.arange(trials), blocks)] if blocks else []


def _lay_out(size: SessionSize) -> list[tuple[str, int, int]]:
    """(split, block, number) of every trial: training blocks, then blocks shared by validation and test."""
    rows = []
    blocks = [["train"] * n for n in _block_sizes(size.train)]
    held_out = (["val", "test"] * (size.val + size.test))[: 2 * min(size.val, size.test)]
    held_out += ["val"] * max(size.val - size.test, 0) + ["test"] * max(size.test - size.val, 0)
    start = 0
    for n in _block_sizes(len(held_out)):
        blocks.append(held_out[start : start + n])
        start += n
    for block, splits in enumerate(blocks, 1):
        for split in ("train", "val", "test"):
            rows += [(split, block, number) for number in range(splits.count(split))]
    return rows


def _plan_session(size: SessionSize, source: SentenceSource, seed: int) -> PlannedSession:
    name = f"{PARTICIPANT}.{size.date}"
    rng = random_stream(seed, Stream.sentences, int(size.date.replace(".", "")))
    return PlannedSession(name, tuple(PlannedTrial(*where, *source.draw(rng)) for where in _lay_out(size)))


def plan_sessions(config: SimulateConfig) -> tuple[Preset, list[PlannedSession]]:
    """Everything that will be recorded, in date order.

    Raises:
        InputError: on an unknown preset, a lexicon that cannot be read, or a word without pronunciation.
    """
    preset = find_preset(config.preset)
    lexicon = read_lexicon(Path(config.lexicon) if config.lexicon else LEXICON)
    source = SentenceSource(lexicon, preset.sentences)
    sizes: Sequence[SessionSize] = preset.sessions[: config.max_sessions]
    return preset, [_plan_session(size, source, config.seed) for size in sizes]
