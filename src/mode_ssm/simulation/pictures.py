"""Pictures of a data root in the T15 layout, simulated or recorded: one trial, and the features of a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from mode_ssm.data.hdf5 import open_file, reading
from mode_ssm.data.problems import MalformedError
from mode_ssm.data.trials import check_finite, read_features, read_record
from mode_ssm.errors import InputError
from mode_ssm.phonemes import BLANK, PHONEMES
from mode_ssm.simulation.articulation import FRAME_MS
from mode_ssm.simulation.files import TRUTH
from mode_ssm.simulation.population import ARRAY_ELECTRODES, ARRAYS, ELECTRODES
from mode_ssm.simulation.recording import CHANNELS
from mode_ssm.simulation.statistics import PUBLISHED, FeatureStatistics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = NDArray[np.float32]

SMOOTHING_MS = 100
COMPONENTS = 3  # of the population
SAMPLE_TRIALS = 60  # of a session


def draw_trial(data_root: Path, trial: str, path: Path) -> Path:
    """Draw crossings and power by array, the phonemes where the truth is beside, and the first principal components.

    `trial` is named as warnings name it: t15.2023.08.13/val/trial_0007.

    Raises:
        InputError: on a trial that is not there, cannot be read, or has not T15's 512 channels.
    """
    from matplotlib.figure import Figure

    features, sentence, alignment = _read_trial(data_root, trial)
    figure = Figure(figsize=(16, 10), layout="constrained")
    crossings, power, components = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    figure.suptitle(f"{trial}: {sentence}" if sentence else trial)
    seconds = len(features) * FRAME_MS / 1000
    for panel, name, half in ((crossings, "threshold crossings", 0), (power, "spike-band power", 1)):
        raster = _smoothed(features[:, half * ELECTRODES : (half + 1) * ELECTRODES]).T
        image = panel.imshow(raster, aspect="auto", vmin=-1, vmax=1.5, cmap="magma", extent=(0, seconds, ELECTRODES, 0))
        middles = ARRAY_ELECTRODES * (np.arange(len(ARRAYS)) + 0.5)
        panel.set_yticks(middles, [array.name for array in ARRAYS])
        panel.set(title=f"{name}, {SMOOTHING_MS} ms means of z-scored values")
        for edge in range(ARRAY_ELECTRODES, ELECTRODES, ARRAY_ELECTRODES):
            panel.axhline(edge, color="white", linewidth=0.8)
        figure.colorbar(image, ax=panel, pad=0.01)
    _draw_components(components, features, alignment)
    return _save(figure, path)


def draw_features(data_root: Path, session: str, path: Path) -> Path:
    """Draw the distribution of a session's features, the power against the crossings, and a table beside T15's figures.

    Raises:
        InputError: on a session without trials, or without T15's 512 channels.
    """
    from matplotlib.figure import Figure

    statistics = FeatureStatistics()
    sample = list(_sample_features(data_root, session))
    for features in sample:
        statistics.add(features)
    values = statistics.values()
    figure = Figure(figsize=(12, 7), layout="constrained")
    distribution, arrays, table = figure.subplots(1, 3, width_ratios=(3, 3, 4))
    figure.suptitle(f"{session}: features of {statistics.trials} trials")
    whole = np.concatenate(sample)
    bins = np.linspace(-3, 10, 131)
    for half, name in enumerate(("threshold crossings", "spike-band power")):
        values_of_half = whole[:, half * ELECTRODES : (half + 1) * ELECTRODES].ravel()
        distribution.hist(values_of_half, bins, density=True, histtype="step", label=name)
    distribution.set(title="distribution", xlabel="z-scored value", yscale="log")
    distribution.legend()
    means = whole.reshape(len(whole), 2, len(ARRAYS), ARRAY_ELECTRODES).mean(axis=3)
    for i, array in enumerate(ARRAYS):
        arrays.scatter(means[::20, 0, i], means[::20, 1, i], s=2, label=array.name)
    arrays.set(title="mean of an array, every 20th frame", xlabel="crossings", ylabel="power")
    arrays.legend(markerscale=4)
    rows = [
        [name, f"{PUBLISHED[name]:g}" if name in PUBLISHED else "", f"{value:.3g}"] for name, value in values.items()
    ]
    table.axis("off")
    table.table(rows, colLabels=["", "T15", "here"], colWidths=(0.66, 0.16, 0.18), loc="center")
    return _save(figure, path)


def _draw_components(panel: Any, features: FloatArray, alignment: NDArray[np.uint8] | None) -> None:
    """Principal components of the smoothed features, and the phonemes as bands with their names."""
    smooth = _smoothed(features)
    u, s, _ = np.linalg.svd(smooth - smooth.mean(axis=0), full_matrices=False)
    time = np.arange(len(features)) * FRAME_MS / 1000
    panel.plot(time, u[:, :COMPONENTS] * s[:COMPONENTS], linewidth=1)
    panel.set(title=f"first {COMPONENTS} principal components", xlabel="seconds")
    if alignment is None:
        return
    edges = [0, *(np.flatnonzero(np.diff(alignment.astype(int))) + 1), len(alignment)]
    for i, (start, end) in enumerate(pairwise(edges)):
        if alignment[start] != BLANK:
            panel.axvspan(time[start], end * FRAME_MS / 1000, alpha=0.12 + 0.08 * (alignment[start] % 2), linewidth=0)
            middle = (start + end) / 2 * FRAME_MS / 1000
            name, height = PHONEMES[alignment[start]], 0.97 - 0.09 * (i % 2)
            panel.text(middle, height, name, fontsize=7, ha="center", va="top", transform=panel.get_xaxis_transform())


def _smoothed(features: FloatArray) -> FloatArray:
    frames = SMOOTHING_MS // FRAME_MS
    kernel = np.full(frames, 1 / frames, dtype=np.float32)
    return np.stack([np.convolve(channel, kernel, mode="same") for channel in features.T], axis=1)


class _Shown(NamedTuple):
    features: FloatArray  # (T, 512)
    sentence: str | None
    alignment: NDArray[np.uint8] | None  # (T,) phonemes, where the truth is known


def _read_trial(data_root: Path, trial: str) -> _Shown:
    session, split, name = (*trial.split("/"), "", "", "")[:3]
    path = data_root / session / f"data_{split}.hdf5"
    if not path.exists():
        raise InputError(f"There is no {path}; name a trial such as t15.2023.08.13/val/trial_0007.")
    with _malformed_as_input(path, name), open_file(path) as file:
        group = file.get(name) if name else None
        if not isinstance(group, h5py.Group):
            raise InputError(
                f"{path} has no trial '{name}'; name one of its groups, such as {next(iter(file), 'none')}."
            )
        features, sentence = _read_group(group, session)
    truth = data_root / session / TRUTH
    if not truth.exists():
        return _Shown(features, sentence, None)
    with _malformed_as_input(truth, name), open_file(truth) as file, reading("an alignment"):
        return _Shown(features, sentence, file[f"{split}/{name}/alignment"][:])


def _read_group(group: h5py.Group, session: str) -> tuple[FloatArray, str | None]:
    record, _ = read_record(group, session, labelled=False)
    if record.channels != CHANNELS:
        raise MalformedError(f"has {record.channels} feature channels", f"Pictures are drawn of T15's {CHANNELS} only.")
    features = read_features(group, record)
    check_finite(features)
    return features.numpy(), record.sentence


@contextmanager
def _malformed_as_input(path: Path, trial: str | None = None) -> Iterator[None]:
    try:
        yield
    except MalformedError as malformed:
        raise InputError(str(malformed.problem(f"{path.parent.name}/{path.name}", trial))) from malformed


def _sample_features(data_root: Path, session: str) -> Iterator[FloatArray]:
    """Of trials spread evenly over the files of a session."""
    paths = sorted((data_root / session).glob("data_*.hdf5"))
    places = []
    for path in paths:
        with _malformed_as_input(path), open_file(path) as file:
            places += [(path, name) for name in file]
    if not places:
        raise InputError(f"{data_root / session} holds no trials; name a session with data_train.hdf5.")
    for i in np.unique(np.linspace(0, len(places) - 1, SAMPLE_TRIALS).astype(int)):
        path, name = places[i]
        with _malformed_as_input(path, name), open_file(path) as file:
            yield _read_group(file[name], session)[0]


def _save(figure: "Figure", path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
