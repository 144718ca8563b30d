"""One trial's HDF5 group: the checks of everything but the features (a Record), and the features.

The layout is T15's: `input_features` (T, C), and where the trial is labelled `seq_class_ids`, zero-padded, of which
the first `seq_len` are labels; attributes n_time_steps, session, block_num, trial_num, seq_len, sentence_label.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import MAX_FRAMES, LabelArray, check_labels, check_shape, check_whole, make_record
from mode_ssm.errors import printable
from mode_ssm.index import MalformedError, Record, Remedy, Told
from mode_ssm.labels import Labels
from mode_ssm.scoring import normalise_sentence
from mode_ssm.t15.files import reading

WRITE_AGAIN = Remedy("Write the trial again in the T15 layout", "remove it from the file")

_Part = TypeVar("_Part")


def trial_group(file: h5py.File, name: str) -> h5py.Group:
    """Raises: MalformedError, where the file has no such group."""
    with reading("a link"):
        group = file[name]
    if not isinstance(group, h5py.Group):
        raise MalformedError("is not a group that can be read", WRITE_AGAIN)
    return group


def read_record(file: h5py.File, name: str, session: str, label_set: Labels) -> tuple[Record, LabelArray | None]:
    """Check the shapes, attributes and labels of the trial `name`; returns them with the labels (U,), where it has any.

    `session` is the folder's name. The trial is who it was asked for as, whatever a link makes of its group's name.

    Raises:
        MalformedError: on the first thing that breaks the layout.
    """
    group = trial_group(file, name)
    shape = _check_features(group)
    _check_session(group, session)
    labels = _read_labels(group, label_set)
    place = _integer(group, "block_num"), _integer(group, "trial_num")
    return make_record(name, place, shape, labels, _read_sentence(group)), labels


def read_told(file: h5py.File, name: str, session: str, label_set: Labels) -> Told:
    """What a trial that breaks the layout tells all the same."""

    def part(read: Callable[[h5py.Group], _Part | None]) -> _Part | None:
        try:
            return read(trial_group(file, name))
        except MalformedError:
            return None

    labels = part(lambda group: _read_labels(group, label_set))
    return Told(
        session,
        part(lambda group: _integer(group, "block_num")),
        part(lambda group: _integer(group, "trial_num")),
        None if labels is None else tuple(labels.tolist()),
        part(_read_sentence),
    )


def read_features(file: h5py.File, record: Record) -> NDArray[np.float32]:
    """(T, C) float32, of any floating dtype in the file; what overflows float32 becomes infinite.

    Raises:
        MalformedError: where they cannot be read.
    """
    values = np.empty((record.frames, record.channels), dtype=np.float32)
    with reading("input_features"):
        trial_group(file, record.group)["input_features"].read_direct(values)
    return values


def _check_features(group: h5py.Group) -> tuple[int, int]:
    dataset = _dataset(group, "input_features")
    if dataset is None:
        raise MalformedError("has no input_features", WRITE_AGAIN)
    with reading("input_features"):
        shape, dtype = dataset.shape, dataset.dtype
    if dtype.kind != "f":
        raise MalformedError(
            f"has input_features of type {_type_name(dtype)}, needed is a floating-point type", WRITE_AGAIN
        )
    frames, channels = check_shape(shape, "input_features", WRITE_AGAIN)
    _check_written(dataset)
    stated = _integer(group, "n_time_steps")
    if stated == channels != frames:
        raise MalformedError(
            "has input_features that seem to be turned round, for n_time_steps is their number of columns",
            "Write them as (frames, channels).",
        )
    if stated != frames:
        raise MalformedError(f"has {frames} frames of features but n_time_steps={stated}", WRITE_AGAIN)
    return frames, channels


def _check_written(dataset: h5py.Dataset) -> None:
    """Raises: MalformedError, where HDF5 would make up the values: none was written, or their file is not there."""
    with reading("input_features"):
        sources = {found.file_name for found in dataset.virtual_sources()} if dataset.is_virtual else set()
        stored = dataset.is_virtual or dataset.id.get_storage_size() > 0
    if not stored:
        raise MalformedError("has input_features that were never written, which read as zeros", WRITE_AGAIN)
    folder = Path(dataset.file.filename).parent
    for name in sorted(sources - {"."}):
        if "%" not in name and not (folder / name).exists() and not Path(name).exists():
            raise MalformedError(
                f"has input_features that lie in {printable(name)}, which is not there, and read as zeros",
                "Put that file in its place, or write the trial again.",
            )


def _check_session(group: h5py.Group, folder: str) -> None:
    session = _text(group, "session")
    if session is None:
        raise MalformedError("has no attribute session", WRITE_AGAIN)
    if session != folder:
        raise MalformedError(
            f"says session={printable(session)} but lies in the folder {folder}",
            "Move the file to its session's folder, or correct the attribute.",
        )


def _read_labels(group: h5py.Group, label_set: Labels) -> LabelArray | None:
    """The labels; None where there are none, or none but the padding of a placeholder."""
    dataset = _dataset(group, "seq_class_ids")
    if dataset is None:
        return None
    with reading("seq_class_ids"):
        shape, dtype = dataset.shape, dataset.dtype
    if dtype.kind not in "iu" or shape is None or len(shape) != 1:
        raise MalformedError(
            f"has seq_class_ids of type {_type_name(dtype)} and shape {shape}, needed is one row of integers",
            WRITE_AGAIN,
        )
    count = _integer(group, "seq_len")
    if count == 0:
        return None
    if not 0 < count <= shape[0]:
        raise MalformedError(
            f"has seq_len={count}, needed is 1 to {shape[0]}, the length of seq_class_ids", WRITE_AGAIN
        )
    with reading("seq_class_ids"):
        labels: LabelArray = dataset[:count].astype(np.int64)
    return check_labels(labels, label_set, WRITE_AGAIN)


def _read_sentence(group: h5py.Group) -> str | None:
    """The attribute sentence_label, or else the ASCII codes of `transcription`, or else None; empty text is none."""
    sentence, written = _text(group, "sentence_label"), _read_transcription(group)
    if sentence is None or not sentence.strip():
        return written
    if written and sentence.isascii() and normalise_sentence(written) != normalise_sentence(sentence):
        raise MalformedError(
            f"says '{printable(sentence, 40)}' in sentence_label and '{printable(written, 40)}' in transcription",
            "Write in both what was said.",
        )
    return sentence


def _read_transcription(group: h5py.Group) -> str | None:
    dataset = _dataset(group, "transcription")
    if dataset is None:
        return None
    with reading("transcription"):
        codes = np.asarray(dataset[:MAX_FRAMES] if dataset.ndim == 1 else None)
    if codes.dtype.kind not in "iu" or (len(codes) and not 0 <= codes.min() <= codes.max() < 128):
        raise MalformedError("has a transcription that is no row of ASCII codes", WRITE_AGAIN)
    return bytes(codes.astype(np.uint8)).partition(b"\0")[0].decode("ascii").strip() or None


def _dataset(group: h5py.Group, name: str) -> h5py.Dataset | None:
    with reading(name):
        if name not in group:
            return None
        dataset = group[name]
    if not isinstance(dataset, h5py.Dataset):
        raise MalformedError(f"has {name} as a group, needed is a data set", WRITE_AGAIN)
    return dataset


def _attribute(group: h5py.Group, name: str) -> Any:
    with reading(f"an attribute {name}"):
        if name not in group.attrs:
            return None
        value = group.attrs[name]
    return value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value


def _integer(group: h5py.Group, name: str) -> int:
    value = _attribute(group, name)
    if value is None:
        raise MalformedError(f"has no attribute {name}", WRITE_AGAIN)
    return check_whole(value, name, WRITE_AGAIN)


def _text(group: h5py.Group, name: str) -> str | None:
    value = _attribute(group, name)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if value is None:
        return None
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):  # undecodable bytes
        raise MalformedError(f"has {name}={printable(str(value), 40)}, needed is text", WRITE_AGAIN)
    return value


def _type_name(dtype: np.dtype[Any]) -> str:
    return "string" if dtype.kind in "SUO" else str(dtype)
