"""The picture of a trial: its features by array, its phonemes, and the first principal components of the population."""

import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mode_ssm.batch import FRAME_MS
from mode_ssm.data import Source
from mode_ssm.labels import T15, Labels
from mode_ssm.pictures.reading import FloatArray, ShownTrial, read_shown_trial
from mode_ssm.simulation.implant import ARRAY_ELECTRODES, ARRAYS, ELECTRODES
from mode_ssm.simulation.recording import CHANNELS
from mode_ssm.t15.truth import Alignment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTHING_MS = 100
COMPONENTS = 3
SHOWN_SHARE = (1, 99)  # percentiles of the values that the colours span
HALVES = ("threshold crossings", "spike-band power")  # of T15's channels
VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())


def draw_trial(source: Source, root: Path, trial: str) -> "Figure":
    """Draw a trial named as t15.2023.08.13/val/trial_0007; T15's 512 channels by feature and array, others in one.

    Raises:
        InputError: on a trial that is not there or cannot be read.
    """
    from matplotlib.figure import Figure

    shown = read_shown_trial(source, root, trial)
    smooth = _smoothed(shown.features)
    halves = 2 if smooth.shape[1] == CHANNELS else 1
    figure = Figure(figsize=(16, 4.5 + 3.2 * halves), layout="constrained")
    title = textwrap.fill(f"{trial}: {shown.sentence or '(no sentence)'}", 130)
    figure.suptitle(title, fontsize=14, parse_math=False)
    *rasters, phonemes, components = figure.subplots(
        halves + 2, 1, sharex=True, height_ratios=[*[3.2] * halves, 0.7, 2]
    )
    if halves == 2:
        for panel, name, values in zip(rasters, HALVES, np.hsplit(smooth, 2), strict=True):
            _draw_raster(figure, panel, name, values)
            _mark_arrays(panel)
    else:
        _draw_raster(figure, rasters[0], f"{smooth.shape[1]} features", smooth)
    _draw_phonemes(phonemes, shown, source.labels)
    _draw_components(components, smooth, shown.alignment)
    components.set_xlim(0, len(smooth) * FRAME_MS / 1000)
    return figure


def _smoothed(features: FloatArray) -> FloatArray:
    """Running means over SMOOTHING_MS; (T, C)."""
    frames = SMOOTHING_MS // FRAME_MS
    padded = np.pad(features, ((frames // 2 + 1, (frames - 1) // 2), (0, 0)))
    sums = np.cumsum(padded, axis=0, dtype=np.float64)
    return np.asarray((sums[frames:] - sums[:-frames]) / frames, dtype=np.float32)


def _draw_raster(figure: "Figure", panel: Any, name: str, values: FloatArray) -> None:
    low, high = np.percentile(values, SHOWN_SHARE)
    extent = (0, len(values) * FRAME_MS / 1000, values.shape[1] - 0.5, -0.5)
    image = panel.imshow(
        values.T, aspect="auto", interpolation="nearest", vmin=low, vmax=high, cmap="magma", extent=extent
    )
    panel.set(title=f"{name}, means over {SMOOTHING_MS} ms", ylabel="channel")
    figure.colorbar(image, ax=panel, pad=0.01, label="z-score")


def _mark_arrays(panel: Any) -> None:
    middles = ARRAY_ELECTRODES * (np.arange(len(ARRAYS)) + 0.5) - 0.5
    panel.set_yticks(middles, [array.name for array in ARRAYS])
    panel.tick_params("y", length=0)
    panel.set_ylabel("")
    for edge in range(ARRAY_ELECTRODES, ELECTRODES, ARRAY_ELECTRODES):
        panel.axhline(edge - 0.5, color="white", linewidth=0.8)


def _draw_phonemes(panel: Any, shown: ShownTrial, labels: Labels) -> None:
    """When each phoneme is produced, where that is known; else the labels in their order."""
    panel.set(yticks=[], ylim=(0, 1))
    if shown.alignment is not None:
        panel.set_title("phonemes: vowels orange, consonants blue, the end of a word grey")
        _draw_alignment(panel, shown.alignment)
        return
    panel.tick_params("x", length=0)
    said = "This trial has no labels." if shown.labels is None else labels.text(shown.labels)
    panel.set_title(
        f"{labels.unit}s: there is no alignment (a simulation's truth.hdf5 has one); the labels in their order"
    )
    panel.text(0.5, 0.5, textwrap.fill(said, 190), ha="center", va="center", transform=panel.transAxes)


def _draw_alignment(panel: Any, alignment: Alignment) -> None:
    edges = [0, *(np.flatnonzero(np.diff(alignment.astype(int))) + 1), len(alignment)]
    row = 0
    for start, end in pairwise(edges):
        phoneme = int(alignment[start])
        if phoneme == T15.blank:
            continue
        name = T15.symbols[phoneme]
        colour = "tab:gray" if phoneme == T15.boundary else "tab:orange" if name in VOWELS else "tab:blue"
        left, right = start * FRAME_MS / 1000, end * FRAME_MS / 1000
        panel.axvspan(left, right, color=colour, alpha=0.35, linewidth=0)
        panel.text((left + right) / 2, 0.72 - 0.44 * row, name, fontsize=8, ha="center", va="center")
        row = 1 - row


def _draw_components(panel: Any, smooth: FloatArray, alignment: Alignment | None) -> None:
    """What most of the channels' common variance does; grey where something is said."""
    centred = smooth - smooth.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    share = s**2 / max(float((s**2).sum()), np.finfo(np.float32).tiny)
    time = (np.arange(len(smooth)) + 0.5) * FRAME_MS / 1000
    for i in range(min(COMPONENTS, len(s))):
        panel.plot(time, u[:, i] * s[i], linewidth=1, label=f"{i + 1}: {100 * share[i]:.0f} % of the variance")
    if alignment is not None:
        said = (alignment != T15.blank) & (alignment != T15.boundary)
        panel.fill_between(
            time, 0, 1, where=said, step="mid", color="gray", alpha=0.2, transform=panel.get_xaxis_transform()
        )
    panel.margins(y=0.2)
    panel.set(title="first principal components of all channels", xlabel="seconds")
    panel.legend(loc="upper right", ncols=COMPONENTS, fontsize=8)
