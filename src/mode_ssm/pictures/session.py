"""The picture of a session: the distribution of its features, its arrays, and its statistics beside T15's."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mode_ssm.data import Source, TrialEntry
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import SPLITS
from mode_ssm.errors import InputError
from mode_ssm.pictures.reading import FloatArray, check_session, read_sample
from mode_ssm.pictures.trial import HALVES
from mode_ssm.simulation.implant import ARRAY_ELECTRODES, ARRAYS
from mode_ssm.simulation.recording import CHANNELS
from mode_ssm.simulation.statistics import PUBLISHED, FeatureStatistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLE_TRIALS = 60  # whose features are read, spread evenly over the session
SAMPLE_FRAMES = 40_000  # of them that are kept for the distributions
SCATTERED = 1_000  # frames shown as points


def draw_session(source: Source, root: Path, session: str) -> "Figure":
    """Draw the features of a sample of a session's trials, of as many channels as most of its trials have.

    Raises:
        InputError: on a session that is not there, or without sound trials.
    """
    from matplotlib.figure import Figure

    check_session(session, source, root)
    entries = _entries(source, root, session)
    sample = [entries[i] for i in np.unique(np.linspace(0, len(entries) - 1, SAMPLE_TRIALS).astype(int))]
    step = -(-sum(entry.frames for entry in sample) // SAMPLE_FRAMES)
    statistics = FeatureStatistics()
    kept = []
    for features in read_sample(source, sample):
        statistics.add(features)
        kept.append(features[::step].copy())
    if not kept:
        raise InputError(f"{root / session} holds no trial with features that can be drawn.")
    values = np.concatenate(kept)
    is_t15 = values.shape[1] == CHANNELS
    figure = Figure(figsize=(15, 6), layout="constrained")
    figure.suptitle(
        f"{session}: {len(entries)} trials, features of {len(sample)} of them, {values.shape[1]} channels", fontsize=14
    )
    distribution, population, table = figure.subplots(1, 3, width_ratios=(3, 3, 2.6))
    _draw_distribution(distribution, values)
    (_draw_arrays if is_t15 else _draw_channels)(population, values)
    here = _lengths(entries) | statistics.values() | {"feature median": float(np.median(values))}
    _draw_table(table, {name: value for name, value in here.items() if is_t15 or "crossings" not in name})
    return figure


def _entries(source: Source, root: Path, session: str) -> list[TrialEntry]:
    """The sound trials of all splits that have the session's usual number of channels."""
    indexes = {split: source.index(split, [session]) for split in SPLITS}
    entries = [entry for split, index in indexes.items() for entry in split_entries(source, index, split)]
    problems = [problem for index in indexes.values() for problem in index.problems]
    if not entries:
        found = f"; the first problem: {problems[0]}" if problems else "."
        raise InputError(f"{root / session} holds no sound trial{found}")
    for problem in problems:
        print(f"Leaving out: {problem}", file=sys.stderr)
    channels = [entry.record.channels for entry in entries]
    usual = max(set(channels), key=channels.count)
    return [entry for entry in entries if entry.record.channels == usual]


def _lengths(entries: Sequence[TrialEntry]) -> dict[str, float]:
    """Of all trials, by the names of PUBLISHED."""
    frames = np.array([entry.frames for entry in entries])
    labels = [entry.labels for entry in entries if entry.key.split == "train" and entry.labels is not None]
    lengths = {
        "T mean (frames)": frames.mean(),
        "T sd": frames.std(),
        "T min": frames.min(),
        "T max": frames.max(),
    }
    return lengths | ({"labels per training trial": float(np.mean(labels))} if labels else {})


def _draw_distribution(panel: Any, values: FloatArray) -> None:
    halves = np.hsplit(values, 2) if values.shape[1] == CHANNELS else [values]
    names = HALVES if len(halves) == 2 else ("all channels",)
    bins = np.linspace(float(values.min()), float(values.max()) + 1e-6, 131).tolist()
    for half, name in zip(halves, names, strict=True):
        panel.hist(half.ravel(), bins, density=True, histtype="step", label=name)
    panel.set(title="distribution of the values", xlabel="z-score", ylabel="density", yscale="log")
    panel.legend()


def _draw_arrays(panel: Any, values: FloatArray) -> None:
    """The mean of an array's power against that of its crossings, frame by frame."""
    frames = values[:: -(-len(values) // SCATTERED)]
    means = frames.reshape(len(frames), 2, len(ARRAYS), ARRAY_ELECTRODES).mean(axis=3)
    for i, array in enumerate(ARRAYS):
        panel.scatter(means[:, 0, i], means[:, 1, i], s=3, alpha=0.6, label=array.name)
    panel.set(title=f"means of {ARRAY_ELECTRODES} electrodes, one frame a point")
    panel.set(xlabel="threshold crossings", ylabel="spike-band power")
    panel.legend(markerscale=4)


def _draw_channels(panel: Any, values: FloatArray) -> None:
    channels = np.arange(values.shape[1])
    panel.errorbar(channels, values.mean(axis=0), values.std(axis=0), fmt="o", markersize=3, linewidth=1)
    panel.set(title="mean and standard deviation of each channel", xlabel="channel", ylabel="z-score")


def _draw_table(panel: Any, here: dict[str, float]) -> None:
    """One line a statistic: its name, T15's published figure, and that of this session."""
    panel.axis("off")
    rows = [
        ("", "T15", "here"),
        *((name, _figure(PUBLISHED.get(name)), _figure(value)) for name, value in here.items()),
    ]
    for i, row in enumerate(rows):
        weight = "bold" if i == 0 else "normal"
        for x, text, side in zip((0.05, 0.83, 1.0), row, ("left", "right", "right"), strict=True):
            panel.text(x, 0.95 - 0.058 * i, text, ha=side, weight=weight, transform=panel.transAxes)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{round(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2) + 0:g}"
