"""Simulated recordings beside the published statistics of T15.

    python benchmarks/simulator.py ../shared/t15_labels/t15_labels.csv.gz

Times and lengths are those of all trials, features those of one block of every fourth session (over 400 trials). Writes
benchmarks/results/simulator.md and ends with status 1 where a row leaves its tolerance: 10 %, or 0.05 for correlations
and for the mean. Published: the T15 data set (doi:10.5061/dryad.dncjsxm85) and statistics that others printed of it.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mode_ssm.batch import FRAME_MS
from mode_ssm.config import SimulateConfig
from mode_ssm.phonemes import BLANK, SILENCE
from mode_ssm.simulation import simulate
from mode_ssm.simulation.plan import PlannedSession, plan_sessions
from mode_ssm.simulation.population import ARRAY_ELECTRODES, ELECTRODES
from mode_ssm.simulation.recording import CLIP
from mode_ssm.simulation.session import RecordedTrial, SessionRecorder, time_trial

RESULT = Path(__file__).with_name("results") / "simulator.md"
EDGES = np.arange(-10.0, CLIP + 0.02, 0.01)  # of the histogram that the median is read from


@dataclass(frozen=True)
class Row:
    name: str
    published: float
    simulated: float
    absolute: bool = False  # tolerance 0.05, else 10 %

    @property
    def holds(self) -> bool:
        return abs(self.simulated - self.published) <= (0.05 if self.absolute else 0.1 * abs(self.published))

    def __str__(self) -> str:
        tolerance = "+- 0.05" if self.absolute else "+- 10 %"
        verdict = "yes" if self.holds else "NO"
        return f"| {self.name} | {self.published:g} | {self.simulated:.3g} | {tolerance} | {verdict} |"


def timing_rows(config: SimulateConfig) -> list[Row]:
    """Lengths, delays and silences of every labelled trial, without features."""
    preset, sessions = plan_sessions(config)
    labelled = [(session, trial) for session in sessions for trial in session.trials if trial.split != "test"]
    timed = [time_trial(session, trial, preset.speech, config.seed) for session, trial in labelled]
    frames = np.array([utterance.total_frames for utterance in timed])
    words = [trial.labels.count(SILENCE) for _, trial in labelled]
    silent = sum(int(utterance.frames[utterance.classes == BLANK].sum()) for utterance in timed)
    train = np.array([len(trial.labels) for _, trial in labelled if trial.split == "train"])
    second = FRAME_MS / 1000
    return [
        Row("T mean (frames)", 891, frames.mean()),
        Row("T sd", 306, frames.std()),
        Row("T min", 138, frames.min()),
        Row("T max", 2475, frames.max()),
        Row("first speech, median (s)", 3.4, float(np.median([u.frames[0] for u in timed])) * second),
        Row("silence at the end, median (s)", 1.7, float(np.median([u.frames[-1] for u in timed])) * second),
        Row("blank share of frames", 0.75, silent / frames.sum()),
        Row("T against words, correlation", 0.85, np.corrcoef(frames, words)[0, 1], absolute=True),
        Row("labels per training trial", 26.5, train.mean()),
    ]


class FeatureStatistics:
    """Sums over trials that come one at a time."""

    def __init__(self) -> None:
        self.trials = 0
        self.histogram = np.zeros(len(EDGES) - 1, dtype=np.int64)
        self.low, self.high, self.sum, self.square, self.values = np.inf, -np.inf, 0.0, 0.0, 0
        self.region: list[float] = []  # correlation of an array's mean crossings with its mean power, trial by trial
        self.channel_region: list[NDArray[np.float32]] = []
        self.lag: list[float] = []

    def add(self, features: NDArray[np.float32]) -> None:
        self.trials += 1
        self.histogram += np.histogram(features, EDGES)[0]
        self.low, self.high = min(self.low, float(features.min())), max(self.high, float(features.max()))
        self.sum += float(features.sum(dtype=np.float64))
        self.square += float(np.square(features, dtype=np.float64).sum())
        self.values += features.size
        regions = features.reshape(len(features), 2, -1, ARRAY_ELECTRODES).mean(axis=3)
        self.region += [float(np.corrcoef(regions[:, 0, i], regions[:, 1, i])[0, 1]) for i in range(regions.shape[2])]
        centred = features - features.mean(axis=0)
        variance = np.einsum("tc,tc->c", centred, centred)
        moving = variance > 0
        self.lag.append(float((np.einsum("tc,tc->c", centred[1:], centred[:-1])[moving] / variance[moving]).mean()))
        pairs = np.einsum("tc,tc->c", centred[:, :ELECTRODES], centred[:, ELECTRODES:])
        self.channel_region.append(pairs / np.sqrt(variance[:ELECTRODES] * variance[ELECTRODES:]).clip(1e-9))

    def rows(self) -> list[Row]:
        mean = self.sum / self.values
        median = EDGES[np.searchsorted(np.cumsum(self.histogram), self.values / 2)]
        return [
            Row("feature mean", 0, mean, absolute=True),
            Row("feature sd", 1.0, (self.square / self.values - mean**2) ** 0.5),
            Row("feature median", -0.33, float(median)),
            Row("feature min", -2.4, self.low),
            Row("feature max", 10, self.high),
            Row("crossings against power, array means", 0.8, float(np.mean(self.region)), absolute=True),
            Row("crossings against power, one electrode", 0.8, float(np.mean(self.channel_region)), absolute=True),
            Row("lag-1 autocorrelation of a channel", 0.09, float(np.mean(self.lag)), absolute=True),
        ]


def sample(config: SimulateConfig) -> Iterator[RecordedTrial]:
    """All trials of one block of every fourth session."""
    preset, sessions = plan_sessions(config)
    days = [session.day for session in sessions]
    for i in range(0, len(sessions), 4):
        recorder = SessionRecorder(sessions[i], days[: i + 1], preset, config)
        blocks = list(recorder.blocks())
        yield from recorder.record(blocks[len(blocks) // 2])


def trials_per_second(config: SimulateConfig) -> float:
    """Written to disk by one process, its start included."""
    _, sessions = plan_sessions(config)
    sizes: list[PlannedSession] = sessions[: config.max_sessions]
    started = time.perf_counter()
    simulate(config)
    return sum(len(session.trials) for session in sizes) / (time.perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", help="t15_labels.csv.gz: session, split, block, trial, phonemes, sentence")
    parser.add_argument("--no-speed", action="store_true", help="leave out the run that is timed")
    arguments = parser.parse_args()
    config = SimulateConfig(out="", preset="t15", labels=arguments.labels)
    statistics = FeatureStatistics()
    for recorded in sample(config):
        statistics.add(recorded.features)
    rows = timing_rows(config) + statistics.rows()
    lines = ["| statistic | published | simulated | tolerance | holds |", "|---|---|---|---|---|", *map(str, rows)]
    lines += ["", f"Features: {statistics.trials} trials."]
    if not arguments.no_speed:
        with tempfile.TemporaryDirectory() as out:
            timed = SimulateConfig(out=out, preset="t15", labels=arguments.labels, max_sessions=2, workers=1)
            lines.append(f"Speed: {trials_per_second(timed):.0f} trials a second on one core.")
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
