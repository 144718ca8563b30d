"""A trial's features as an image, and below it where each head sets the phonemes of the reference."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from mode_ssm.batch import FRAME_MS
from mode_ssm.config import ModelConfig
from mode_ssm.labels import Labels
from mode_ssm.models.model import encoder_frame_ms, first_middle_ms
from mode_ssm.report.axes import Axis, linear_ticks
from mode_ssm.report.decoded_runs import Aligned
from mode_ssm.report.page import LegendEntry
from mode_ssm.report.records import Floats

IMAGE_HEIGHT = 150
LEFT, RIGHT, FOOT = 64, 16, 26
LEAST_WIDTH, PIXELS_A_SECOND = 860, 110
ROW = 14  # height of a row of names
GAP = 30  # between the heads' names, for the lines that join them
CHARACTER = 8.6  # width of one, at most
ROWS = 4  # of names, where they would overlap
MOST_COLUMNS, MOST_CHANNELS = 1000, 96  # pixels of the image
SMOOTHING_FRAMES = 5


def draw_alignment(aligned: Aligned, config: ModelConfig, labels: Labels, heads: Sequence[LegendEntry]) -> Markup:
    """Labels stand at the middle of their encoder frame's patches; lines join the heads' places of each.

    heads say how each of `aligned.frames` is named and coloured.
    """
    seconds = len(aligned.features) * FRAME_MS / 1000
    width = max(LEAST_WIDTH, round(PIXELS_A_SECOND * seconds))
    time = Axis(0.0, seconds, LEFT, LEFT + width)
    names = [labels.symbols[label] for label in aligned.trial.reference]
    parts, foot, above = [_image(aligned.features.numpy(), width)], IMAGE_HEIGHT, None
    for place, (head, frames) in enumerate(zip(heads, aligned.frames.values(), strict=True)):
        places = time.place(_middles(frames, config))
        if above is not None:
            parts.append(_joined(above, places, foot))
            foot += GAP
        parts += [
            _marks(head.colour, (place / len(heads), 1 / len(heads)), places, foot),
            _names(head, names, places, foot),
        ]
        foot += ROW * (max(_rows(names, places), default=0) + 1) + 10
        above = places
    parts += [_tick(float(time.place(at)), foot, at) for at in linear_ticks(0, seconds, 10)]
    size = (LEFT + width + RIGHT, foot + FOOT)
    return Markup(
        '<svg class="aligned" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">{3}</svg>'
    ).format(*size, f"Features of {aligned.trial.key} and the frames of its phonemes", Markup().join(parts))


def _middles(frames: Sequence[int], config: ModelConfig) -> Floats:
    """Seconds of encoder frames."""
    begins = np.asarray(frames, dtype=np.float64) * encoder_frame_ms(config)
    middles: Floats = (begins + first_middle_ms(config)) / 1000
    return middles


def _image(features: Floats, width: int) -> Markup:
    """Running means of the features, each channel about its own mean; dark is high. Neighbours share a pixel."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    window = np.full(SMOOTHING_FRAMES, 1 / SMOOTHING_FRAMES)
    smooth = np.stack([np.convolve(channel, window, mode="same") for channel in features.T])
    shown = _mean_blocks(_mean_blocks(smooth, MOST_CHANNELS).T, MOST_COLUMNS).T
    shown = shown - shown.mean(axis=1, keepdims=True)
    low, high = np.percentile(shown, [2, 98])
    grey = np.clip((shown - low) / max(high - low, 1e-9), 0, 1)
    file = io.BytesIO()
    imsave(file, colormaps["Greys"](0.75 * grey, bytes=True), format="png")
    return Markup(
        '<image x="{}" y="0" width="{}" height="{}" preserveAspectRatio="none" href="data:image/png;base64,{}"/>'
        '<text x="{}" y="{}" text-anchor="end">features</text>'
    ).format(LEFT, width, IMAGE_HEIGHT, base64.b64encode(file.getvalue()).decode(), LEFT - 8, IMAGE_HEIGHT // 2 + 4)


def _mean_blocks(rows: Floats, most: int) -> Floats:
    """At most so many rows, each the mean of as many neighbours."""
    starts = np.arange(0, len(rows), -(-len(rows) // most))
    sizes = np.diff([*starts, len(rows)])
    means: Floats = np.add.reduceat(rows, starts, axis=0) / sizes[:, None]
    return means


def _rows(names: Sequence[str], places: Floats) -> list[int]:
    """The row of each name: the first in which it does not overlap the one before it."""
    ends = [-np.inf] * ROWS
    rows = []
    for name, at in zip(names, places, strict=True):
        half = CHARACTER * len(name) / 2
        row = next((r for r in range(ROWS) if ends[r] < at - half), int(np.argmin(ends)))
        ends[row] = at + half + 3
        rows.append(row)
    return rows


def _marks(colour: str, share: tuple[float, float], places: Floats, top: int) -> Markup:
    """A line through a head's share of the image (from where, how much) for each label, and one above its name."""
    start, height = (round(part * IMAGE_HEIGHT) for part in share)
    through = "".join(f"M{at:.1f} {start}v{height}" for at in places)
    short = "".join(f"M{at:.1f} {top + 1}v5" for at in places)
    return Markup('<path class="mark {0}" d="{1}"/><path class="foot {0}" d="{2}"/>').format(colour, through, short)


def _names(head: LegendEntry, names: Sequence[str], places: Floats, top: int) -> Markup:
    text = Markup('<text class="{}" x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
    parts = [text.format(f"{head.colour} name", LEFT - 8, top + 18, "end", head.label)]
    for name, at, row in zip(names, places, _rows(names, places), strict=True):
        parts.append(text.format(head.colour, at, top + 18 + ROW * row, "middle", name))
    return Markup().join(parts)


def _joined(above: Floats, below: Floats, top: int) -> Markup:
    path = "".join(f"M{a:.1f} {top}L{b:.1f} {top + GAP}" for a, b in zip(above, below, strict=True))
    return Markup('<path class="joined" d="{}"/>').format(path)


def _tick(at: float, top: int, seconds: float) -> Markup:
    return Markup(
        '<path class="grid" d="M{0:.1f} {1}v4"/><text x="{0:.1f}" y="{2}" text-anchor="middle">{3:g} s</text>'
    ).format(at, top, top + 17, seconds)
