"""Simulated recordings beside the published statistics of T15.

    python benchmarks/simulator.py t15_labels.csv.gz

Times and lengths are those of all train and val trials, features those of one block of every fourth session (over 400
trials). Writes benchmarks/results/simulator.md and ends with status 1 where a row leaves its tolerance: 10 %, or 0.05
for correlations and for the feature mean. Published: the T15 data set (doi:10.5061/dryad.dncjsxm85) and statistics that
others printed of it.
"""

import argparse
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from starting import start

from mode_ssm.batch import FRAME_MS
from mode_ssm.config import SimulateConfig
from mode_ssm.labels import T15
from mode_ssm.simulation import simulate
from mode_ssm.simulation.plan import plan_sessions
from mode_ssm.simulation.session import RecordedTrial, SessionRecorder, time_trial
from mode_ssm.simulation.statistics import PUBLISHED, FeatureStatistics

HEADER = (
    "# Simulated beside published\n\n`python benchmarks/simulator.py <the table of T15's labels>`, preset t15, seed 0\n"
)
RESULT = Path(__file__).with_name("results") / "simulator.md"


CORRELATIONS = ("correlation", "against", "feature mean")  # rows whose tolerance is absolute
ONE_ELECTRODE = "crossings against power, one electrode"  # simulated at the value published for arrays


def write_row(name: str, simulated: float) -> tuple[str, bool]:
    """A line of the table, and whether the row is within its tolerance."""
    published = PUBLISHED["crossings against power, array means" if name == ONE_ELECTRODE else name]
    absolute = any(word in name for word in CORRELATIONS)
    holds = abs(simulated - published) <= (0.05 if absolute else 0.1 * abs(published))
    tolerance = "0.05" if absolute else "10 %"
    return f"| {name} | {published:g} | {simulated:.3g} | {tolerance} | {'yes' if holds else 'NO'} |", holds


def timing(config: SimulateConfig) -> dict[str, float]:
    """Lengths, delays and silences of every labelled trial, without features."""
    preset, sessions = plan_sessions(config)
    labelled = [(session, trial) for session in sessions for trial in session.trials if trial.split != "test"]
    timed = [time_trial(session, trial, preset.speech, config.seed) for session, trial in labelled]
    frames = np.array([utterance.total_frames for utterance in timed])
    words = [trial.labels.count(T15.boundary) for _, trial in labelled]
    blank = sum(int(utterance.frames[utterance.classes == T15.blank].sum()) for utterance in timed)
    second = FRAME_MS / 1000
    return {
        "T mean (frames)": frames.mean(),
        "T sd": frames.std(),
        "T min": frames.min(),
        "T max": frames.max(),
        "first speech, median (s)": float(np.median([u.frames[0] for u in timed])) * second,
        "silence at the end, median (s)": float(np.median([u.frames[-1] for u in timed])) * second,
        "blank share of frames": blank / frames.sum(),
        "T against words, correlation": np.corrcoef(frames, words)[0, 1],
        "labels per training trial": float(np.mean([len(t.labels) for _, t in labelled if t.split == "train"])),
    }


def sample(config: SimulateConfig) -> Iterator[RecordedTrial]:
    """All trials of one block of every fourth session."""
    preset, sessions = plan_sessions(config)
    days = [session.day for session in sessions]
    for i in range(0, len(sessions), 4):
        recorder = SessionRecorder(sessions[i], days[: i + 1], preset, config)
        blocks = list(recorder.blocks())
        yield from recorder.record(blocks[len(blocks) // 2])


def trials_per_core_second(config: SimulateConfig) -> float:
    """Planned, simulated and written to disk; processor time of all processes, so that busy neighbours do not count."""
    _, sessions = plan_sessions(config)
    before = _processor_seconds()
    simulate(config)
    return sum(len(session.trials) for session in sessions) / (_processor_seconds() - before)


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", help="t15_labels.csv.gz: session, split, block, trial, phonemes, sentence")
    parser.add_argument("--no-speed", action="store_true", help="leave out the run that is timed")
    arguments = parser.parse_args()
    config = SimulateConfig(out="", preset="t15", labels=arguments.labels)
    statistics = FeatureStatistics()
    for recorded in sample(config):
        statistics.add(recorded.features)
    rows = [write_row(name, value) for name, value in {**timing(config), **statistics.values()}.items()]
    lines = ["| statistic | published | simulated | tolerance | holds |", "|---|---|---|---|---|"]
    lines += [line for line, _ in rows]
    lines += ["", f"Features: {statistics.trials} trials."]
    if not arguments.no_speed:
        with tempfile.TemporaryDirectory() as out:
            timed = SimulateConfig(out=out, preset="t15", labels=arguments.labels, max_sessions=3)
            lines.append(f"Speed: {trials_per_core_second(timed):.0f} trials a second on one core.")
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 0 if all(holds for _, holds in rows) else 1


if __name__ == "__main__":
    start(main)
