"""One session recorded from beginning to end, block by block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import SimulateConfig
from mode_ssm.simulation.labels import PlannedTrial
from mode_ssm.simulation.plan import PlannedSession
from mode_ssm.simulation.population import Population, build_population
from mode_ssm.simulation.presets import Preset, Speech
from mode_ssm.simulation.recording import BlockScale, log_rates, record_features
from mode_ssm.simulation.speech import Mode, Utterance, move, time_utterance
from mode_ssm.simulation.streams import Stream, random_stream

FloatArray = NDArray[np.float32]

_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class RecordedTrial:
    trial: PlannedTrial
    utterance: Utterance
    features: FloatArray  # (T, C)


class SessionRecorder:
    """Simulates the trials of one session; any trial can be timed without the others."""

    def __init__(self, session: PlannedSession, days: Sequence[int], preset: Preset, config: SimulateConfig) -> None:
        self.session = session
        self.preset = preset
        self.config = config
        self.population: Population = build_population(
            preset.electrodes, days, config.drift_days, config.seed, preset.implant
        )

    def blocks(self) -> Iterator[tuple[PlannedTrial, ...]]:
        """The trials of each block, validation and test of one block together."""
        ordered = sorted(self.session.trials, key=lambda trial: (trial.block, _SPLITS.index(trial.split), trial.number))
        for _, trials in groupby(ordered, key=lambda trial: trial.block):
            yield tuple(trials)

    def record(self, block: tuple[PlannedTrial, ...]) -> list[RecordedTrial]:
        """All trials of a block, z-scored over the block unless the settings say otherwise."""
        scale = BlockScale(self.preset.implant.channels)
        trials = list(self.record_raw(block, scale))
        for recorded in trials if self.config.normalised else ():
            scale.scale(recorded.features)
        return trials

    def record_raw(self, block: tuple[PlannedTrial, ...], scale: BlockScale) -> Iterator[RecordedTrial]:
        """The trials of a block one by one, as they come from the electrodes; `scale` learns of each."""
        rng = random_stream(self.config.seed, Stream.block, self.session.day, block[0].block)
        rng.random()  # the mode, drawn by block_mode
        count = self.preset.implant.electrodes
        wander = rng.standard_normal(count, dtype=np.float32)
        for trial in block:
            wander = np.float32(0.9) * wander + np.float32(0.436) * rng.standard_normal(count, dtype=np.float32)
            recorded = self._record_trial(trial, np.float32(self.preset.electrodes.wander) * wander)
            scale.add(recorded.features)
            yield recorded

    def _record_trial(self, trial: PlannedTrial, offset: FloatArray) -> RecordedTrial:
        rng = _trial_stream(self.session, trial, self.config.seed)
        mode = block_mode(self.session, trial.block, self.preset.speech, self.config.seed)
        utterance = time_utterance(trial.labels, mode, self.preset.speech, rng)
        movement = move(utterance, self.preset.speech.target_spread, rng)
        electrodes = self.preset.electrodes
        gain = electrodes.silent_gain if mode is Mode.silent else 1.0
        log_rate = log_rates(movement, self.population, gain, rng) + offset
        regularity, arrays = self.config.spike_regularity, len(self.preset.implant.arrays)
        features = record_features(log_rate, self.population, electrodes, regularity, rng, arrays)
        return RecordedTrial(trial, utterance, features)


def _trial_stream(session: PlannedSession, trial: PlannedTrial, seed: int) -> np.random.Generator:
    return random_stream(seed, Stream.trial, session.day, _SPLITS.index(trial.split), trial.block, trial.number)


def block_mode(session: PlannedSession, block: int, speech: Speech, seed: int) -> Mode:
    """A block is spoken aloud or silently throughout; the data do not tell which."""
    rng = random_stream(seed, Stream.block, session.day, block)
    return Mode.silent if rng.random() < speech.silent_share else Mode.vocalised


def time_trial(session: PlannedSession, trial: PlannedTrial, speech: Speech, seed: int) -> Utterance:
    """When what is said, without simulating the features."""
    mode = block_mode(session, trial.block, speech, seed)
    return time_utterance(trial.labels, mode, speech, _trial_stream(session, trial, seed))
