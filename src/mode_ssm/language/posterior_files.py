"""CTC log-probabilities of many trials in one .npz, as `mode-ssm posteriors` or another decoder writes them.

Ours holds `trial_ids` (N,), an array `log_probs/<id>` (S, V) for each, `symbols` (V,), `blank` and `boundary`,
`frame_ms`, `first_ms`, `checkpoint`, `sentence_hashes` of its training, and `sessions`, `blocks`, `numbers`,
`labelled`, `sentences`, `phonemes` and `lost` (N,): why a trial could not be decoded, of which the array has no frames.
Another decoder's holds an array (S, V) a trial and nothing else; its name is the id.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from mode_ssm.batch import TrialKey
from mode_ssm.errors import InputError
from mode_ssm.files import replacing
from mode_ssm.labels import NEJM, T15, Labels, read_labels
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.word_times import FrameClock

_FOLDER = "log_probs/"
_ODD_ARCHIVES = (BadZipFile, zlib.error, RuntimeError, OverflowError, MemoryError)  # cut, encrypted, of absurd sizes
_LOOSE = 0.01  # how far from 1 the probabilities of a frame may sum to


class Posteriors(NamedTuple):
    """What a file holds; what another decoder's does not say is None or empty."""

    trials: list[SpokenTrial]
    labels: Labels
    frame_ms: float | None
    checkpoint: str | None
    sentence_hashes: list[int]
    first_ms: float | None = None  # the middle of what the first frame sees

    @property
    def clock(self) -> FrameClock | None:
        """When frames are, where the file says so."""
        if self.frame_ms is None or self.first_ms is None:
            return None
        return FrameClock(self.first_ms, self.frame_ms)

    @property
    def ours(self) -> bool:
        """Whether trials are named by session, block and number; else the session of a key is the id."""
        return self.checkpoint is not None


def write_posteriors(path: Path, posteriors: Posteriors) -> None:
    """Write a file that `read_posteriors` reads.

    Raises:
        InputError: when it cannot be written.
    """
    trials, labels = posteriors.trials, posteriors.labels
    boundary = "" if labels.boundary is None else labels.symbols[labels.boundary]
    arrays: dict[str, Any] = {
        "trial_ids": np.array([str(trial.key) for trial in trials]),
        "symbols": np.array(labels.symbols),
        "blank": np.array(labels.symbols[labels.blank]),
        "boundary": np.array(boundary),
        "frame_ms": np.array(posteriors.frame_ms),
        "first_ms": np.array(posteriors.first_ms),
        "checkpoint": np.array(posteriors.checkpoint),
        "sentence_hashes": np.array(posteriors.sentence_hashes, dtype=np.int64),
        "sessions": np.array([trial.key.session for trial in trials]),
        "blocks": np.array([trial.key.block for trial in trials]),
        "numbers": np.array([trial.key.number for trial in trials]),
        "labelled": np.array([trial.sentence is not None for trial in trials]),
        "sentences": np.array([trial.sentence or "" for trial in trials]),
        "phonemes": np.array([labels.text(trial.labels) for trial in trials]),
        "lost": np.array([trial.lost for trial in trials]),
        **{f"{_FOLDER}{trial.key}": trial.ctc.astype(np.float32) for trial in trials},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another out=FILE.npz.") from None


def read_posteriors(path: Path, order: str | None) -> Posteriors:
    """Read a file; `order` says the classes of another decoder: a YAML file of labels, t15 or nejm.

    Raises:
        InputError: when it cannot be read, the order of its classes is not known, or it holds no log-probabilities.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        return _read_ours(path, held, order) if "trial_ids" in held else _read_other(path, held, order)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); give an .npz of posteriors.") from None
    except KeyError as error:
        raise InputError(f"{path} lacks {error}; write it anew by mode-ssm posteriors.") from None
    except (ValueError, TypeError, AttributeError, IndexError, EOFError, *_ODD_ARCHIVES) as error:
        raise InputError(f"{path} is no .npz of posteriors ({error}); give what mode-ssm posteriors wrote.") from None


def _read_ours(path: Path, held: dict[str, Any], order: str | None) -> Posteriors:
    labels = Labels.from_dict(
        {
            "symbols": held["symbols"].tolist(),
            "blank": str(held["blank"]),
            "boundary": str(held["boundary"]) or None,
        },
        str(path),
    )
    if order is not None:
        labels.require(_order(order), str(path), f"labels={order}")
    trials = []
    for row, name in enumerate(held["trial_ids"].tolist()):
        key = TrialKey(
            str(held["sessions"][row]),
            name.split("/")[1],
            name.split("/")[-1],
            int(held["blocks"][row]),
            int(held["numbers"][row]),
        )
        sentence = str(held["sentences"][row]) if held["labelled"][row] else None
        ctc = _checked(path, name, held[f"{_FOLDER}{name}"], labels)
        said, lost = labels.ids(str(held["phonemes"][row])), str(held["lost"][row]) if "lost" in held else ""
        trials.append(SpokenTrial(key, sentence, said, ctc, torch.zeros(len(ctc), 0), lost=lost))
    hashes = held["sentence_hashes"].tolist()
    first_ms = float(held["first_ms"]) if "first_ms" in held else None  # files before 2026-11 lack it
    return Posteriors(trials, labels, float(held["frame_ms"]), str(held["checkpoint"]), hashes, first_ms)


def _read_other(path: Path, held: dict[str, Any], order: str | None) -> Posteriors:
    if order is None:
        raise InputError(
            f"{path} does not say the order of its classes; give labels=FILE.yaml, labels=t15 or labels=nejm."
        )
    labels = _order(order)
    if not held:
        raise InputError(f"{path} holds no trial; it needs an array (frames, {len(labels)}) for each.")
    trials = []
    for name, array in held.items():
        ctc = _checked(path, name, array, labels)
        trials.append(SpokenTrial(TrialKey(name, "", name, 0, 0), None, [], ctc, torch.zeros(len(ctc), 0)))
    return Posteriors(trials, labels, None, None, [])


def _order(given: str) -> Labels:
    known = {"t15": T15, "nejm": NEJM}
    return known[given] if given in known else read_labels(Path(given))


def _checked(path: Path, name: str, array: NDArray[Any], labels: Labels) -> NDArray[np.float32]:
    if array.ndim != 2 or array.shape[1] != len(labels) or array.dtype.kind != "f":
        raise InputError(
            f"{path}: {name} is {array.dtype} of shape {array.shape}; it needs floats of (frames, {len(labels)})."
        )
    sums = np.exp(array.astype(np.float64)).sum(axis=1)
    if not np.isfinite(array).all() or (np.abs(sums - 1) > _LOOSE).any():
        raise InputError(
            f"{path}: {name} holds no log-probabilities, finite and with probabilities that sum to 1 in each frame; "
            "write log-softmax values."
        )
    return array.astype(np.float32)
