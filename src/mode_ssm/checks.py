"""What makes a trial sound, whatever file it comes from: the shape of its features, its labels, its numbers.

Importing this loads no torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import printable
from mode_ssm.index import MalformedError, Record, Remedy
from mode_ssm.labels import Labels

MAX_FRAMES = 90_000  # 30 minutes; T15's longest trial has 2,475 frames
MAX_CHANNELS = 10_000
_MOST = 2.0**53  # from here on floats are not every whole number

LabelArray = NDArray[np.int64]


def check_shape(shape: tuple[int, ...] | None, name: str, remedy: Remedy) -> tuple[int, int]:
    """(T, C) of features that the file calls `name`.

    Raises:
        MalformedError: where it is no such shape, or a part of it is 0 or beyond what a trial can have.
    """
    if shape is None or len(shape) != 2 or 0 in shape:
        raise MalformedError(f"has {name} of shape {shape}, needed is (frames, channels)", remedy)
    frames, channels = shape
    if frames > MAX_FRAMES:
        raise MalformedError(f"has {frames} frames, more than {MAX_FRAMES} (30 minutes)", remedy)
    if channels > MAX_CHANNELS:
        raise MalformedError(f"has {channels} feature channels, more than {MAX_CHANNELS}", remedy)
    return frames, channels


def check_labels(labels: LabelArray, label_set: Labels, remedy: Remedy) -> LabelArray | None:
    """The labels (U,); None where there are none but the padding of a placeholder, or they are made of sentences.

    Raises:
        MalformedError: where one is none of the set that the recordings have, or the blank.
    """
    if label_set.made_from is not None:
        return None
    label_set = label_set.recorded
    if (labels == label_set.blank).all():
        return None
    bad = np.flatnonzero((labels < 0) | (labels >= len(label_set)) | (labels == label_set.blank))
    if len(bad):
        label, place = labels[bad[0]], bad[0]
        what = f"the blank ({label})" if label == label_set.blank else f"{label}"
        raise MalformedError(f"has {what} as label {place}, needed are labels of {label_set}", remedy)
    return labels


def check_whole(value: Any, name: str, remedy: Remedy) -> int:
    """A whole number, were it a float, as MATLAB writes each.

    Raises:
        MalformedError: where it is none.
    """
    whole = isinstance(value, np.integer) or (isinstance(value, np.floating) and value == np.floor(value))
    if not whole or abs(float(value)) >= _MOST:
        raise MalformedError(f"has {name}={printable(str(value), 40)}, needed is a whole number", remedy)
    return int(value)


def make_record(
    group: str, place: tuple[int, int], shape: tuple[int, int], labels: LabelArray | None, sentence: str | None
) -> Record:
    """The record of a sound trial; `place` is its block and its number there, `shape` (T, C)."""
    return Record(
        group,
        *place,
        *shape,
        labels=None if labels is None else len(labels),
        repeats=0 if labels is None else int((labels[1:] == labels[:-1]).sum()),
        sentence=sentence,
    )
