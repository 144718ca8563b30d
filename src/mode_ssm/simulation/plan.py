"""What is to be recorded: sessions, blocks, and the sentence of every trial, decided before anything is simulated."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.simulation.corpus import SentenceSource
from mode_ssm.simulation.labels import PlannedTrial, read_labels, session_day
from mode_ssm.simulation.lexicon import LEXICON, read_lexicon
from mode_ssm.simulation.presets import Preset, SessionSize, find_preset
from mode_ssm.simulation.streams import Stream, random_stream

BLOCK_TRIALS = 50  # at most
PARTICIPANT = "t15"

Session = TypeVar("Session")
Place = tuple[str, int, int]  # split, block, number in the block and split


@dataclass(frozen=True)
class PlannedSession:
    name: str  # t15.2023.08.13
    trials: tuple[PlannedTrial, ...]

    @property
    def day(self) -> int:
        """Days since the calendar's beginning."""
        return session_day(self.name)


def plan_sessions(config: SimulateConfig, preset: Preset | None = None) -> tuple[Preset, list[PlannedSession]]:
    """Everything that will be recorded, in date order; `preset` is that of the settings unless given.

    Raises:
        InputError: on an unknown preset, labels or a lexicon that cannot be read, a word without pronunciation, or a
            session that there is not.
    """
    preset = find_preset(config.preset) if preset is None else preset
    source = SentenceSource(read_lexicon(Path(config.lexicon) if config.lexicon else LEXICON), preset.sentences)
    if config.labels:
        sizes = {f"{PARTICIPANT}.{size.date}": size for size in preset.sessions}
        given = read_labels(Path(config.labels))
        names = _chosen(list(given), config)
        planned = [_with_tests(name, given[name], sizes.get(name), source, config.seed) for name in names]
    else:
        planned = [_draw_session(size, source, config.seed) for size in _chosen(preset.sessions, config)]
    if preset.participant != PARTICIPANT:
        dates = [session.name.partition(".")[2] for session in planned]
        pairs = zip(planned, dates, strict=True)
        planned = [replace(session, name=f"{preset.participant}.{date}") for session, date in pairs]
    return preset, planned


def _chosen(every: Sequence[Session], config: SimulateConfig) -> Sequence[Session]:
    """Those of `every` session that the settings ask for, in their order."""
    if config.sessions is None:
        return every[: config.max_sessions]
    absent = [number for number in config.sessions if not 1 <= number <= len(every)]
    if absent:
        raise InputError(f"sessions names number {absent[0]}; they are counted from 1 to {len(every)} in date order.")
    return [every[number - 1] for number in sorted(set(config.sessions))][: config.max_sessions]


def _block_sizes(trials: int) -> list[int]:
    """As few blocks as hold the trials, as even as can be."""
    blocks = -(-trials // BLOCK_TRIALS)
    return [len(part) for part in np.array_split(np.arange(trials), blocks)] if blocks else []


def _lay_out(size: SessionSize) -> list[Place]:
    """Training blocks first, then blocks shared by validation and test."""
    both = 2 * min(size.val, size.test)
    held_out = ["val", "test"] * (both // 2) + ["val"] * (size.val - both // 2) + ["test"] * (size.test - both // 2)
    places: list[Place] = []
    block = 0
    for splits in (["train"] * size.train, held_out):
        start = 0
        for trials in _block_sizes(len(splits)):
            block += 1
            counts = Counter(splits[start : start + trials])
            places += [(split, block, number) for split in counts for number in range(counts[split])]
            start += trials
    return places


def _draw_trials(name: str, places: Iterable[Place], source: SentenceSource, seed: int) -> tuple[PlannedTrial, ...]:
    rng = random_stream(seed, Stream.sentences, session_day(name))
    corpora: dict[int, str] = {}
    trials = []
    for split, block, number in places:
        if block not in corpora:
            corpora[block] = source.draw_corpus(rng)
        trials.append(PlannedTrial(split, block, number, *source.draw(corpora[block], rng), corpora[block]))
    return tuple(trials)


def _draw_session(size: SessionSize, source: SentenceSource, seed: int) -> PlannedSession:
    name = f"{PARTICIPANT}.{size.date}"
    return PlannedSession(name, _draw_trials(name, _lay_out(size), source, seed))


def _with_tests(
    name: str, trials: Sequence[PlannedTrial], size: SessionSize | None, source: SentenceSource, seed: int
) -> PlannedSession:
    """The given trials, and where none is for testing, test trials in the blocks of the validation trials.

    There are as many as the preset has in this session, or as there are validation trials.
    """
    blocks = Counter(trial.block for trial in trials if trial.split == "val")
    total = size.test if size and size.val == blocks.total() else blocks.total()
    if any(trial.split == "test" for trial in trials) or not blocks:
        return PlannedSession(name, tuple(trials))
    ends = np.rint(np.cumsum(list(blocks.values())) * total / blocks.total()).astype(int)
    counts = np.diff(ends, prepend=0)
    places = [("test", block, n) for block, count in zip(blocks, counts, strict=True) for n in range(count)]
    return PlannedSession(name, (*trials, *_draw_trials(name, places, source, seed)))
