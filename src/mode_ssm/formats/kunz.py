"""Kunz et al., Cell 2025 (Dryad gf1vhhn1j): seven words in seven behaviours, isolatedVerbalBehaviors/*.mat.

<participant>.YYYY.MM.DD_<behaviour>_raw.mat, in the root or in folders below it, of T bins and N trials: binnedTX
(T, C) threshold crossings, spikePow (T, C) spike-band power, blockNum (T,), binSize in ms, goTrialEpochs and
delayTrialEpochs (N, 2) of first and last bins from 1 on, trialCues (N,) of numbers from 1 on in the texts of cueList.
Features are both, of 20 ms (crossings summed, power averaged where bins are shorter), z-scored by block over the file's
bins. A trial is its go period; where one hears or reads, its delay period, as in the authors' figures. Trials of doing
nothing are not read. There are no splits: of each word, the last fifth of a file's trials is val, the others are train.

Labels are the words, or, by a dictionary (data.dictionary), their phonemes.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import check_whole
from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError
from mode_ssm.formats.files import FilesSource, Found, cue_labels
from mode_ssm.formats.mat import AGAIN, matrix, read_mat, row, variable
from mode_ssm.formats.roots import files_below, root_files, unread_files
from mode_ssm.index import MalformedError, Problem
from mode_ssm.labels import LABELS_FILE, Labels, labels_of

WORDS = Labels(("_", "ban", "choice", "day", "feel", "kite", "though", "were"))
BEHAVIOURS = "attempted mouthed imagined1stMotor imagined1stAuditory imaginedListening listening reading".split()
HEARD = ("listening", "reading")  # of a word that comes in the delay period
NOTHING = "donothing"
FRAME_MS = 20
VAL_SHARE = 5  # of each word's trials in a file, one of so many
VARIABLES = "binnedTX spikePow blockNum binSize goTrialEpochs delayTrialEpochs trialCues cueList".split()
_NAME = re.compile(rf"([A-Za-z0-9]+\.\d{{4}}\.\d{{2}}\.\d{{2}})_({'|'.join(BEHAVIOURS)})_raw")
_SPLITS = ("train", "val")
_NOT_READ = "Read are <participant>.YYYY.MM.DD_<behaviour>_raw.mat of isolatedVerbalBehaviors; move it elsewhere."


class KunzSource(FilesSource):
    """
    Raises:
        InputError: where there is no data root with such files, none of a behaviour that is asked for, or the
            dictionary or the labels cannot be read.
    """

    features_name = "binnedTX and spikePow"
    write_again = AGAIN

    def __init__(self, config: DataConfig) -> None:
        root, _ = root_files(config.data_root)
        names = [(path, _NAME.fullmatch(path.stem)) for path in files_below(root, ".mat")]
        found = [(match[1], match[2], path) for path, match in names if match]
        if not found:
            raise InputError(
                f"data.data_root={root} holds no files such as t12.2023.08.15_attempted_raw.mat, nor do its folders; "
                "set data.data_root to isolatedVerbalBehaviors of Kunz et al. 2025."
            )
        there = [name for name in BEHAVIOURS if name in {behaviour for _, behaviour, _ in found}]
        chosen = there if config.behaviours is None else config.behaviours
        if unknown := {*chosen} - {*there}:
            raise InputError(f"data.behaviours names {min(unknown)}; {root} has {', '.join(there)}.")
        self._all = _by_session([(session, path) for session, _, path in found])
        files = _by_session([(session, path) for session, behaviour, path in found if behaviour in chosen])
        labels = _labels(root, config)
        super().__init__(root, files, labels, config.max_sessions, config.dictionary)
        made = config.dictionary is not None or labels.made_from is not None
        self._words = None if made else labels.recorded

    def open(self, path: Path) -> "KunzRecording":
        match = _NAME.fullmatch(path.stem)
        return KunzRecording(path, match[2] if match else "", self._words)

    def unread(self) -> list[Problem]:
        return unread_files(self.root, self._all, _NOT_READ)


def _by_session(found: list[tuple[str, Path]]) -> dict[str, dict[str, tuple[Path, ...]]]:
    sessions = sorted({session for session, _ in found})
    files = {session: tuple(path for of, path in found if of == session) for session in sessions}
    return {session: dict.fromkeys(_SPLITS, paths) for session, paths in files.items()}


def _labels(root: Path, config: DataConfig) -> Labels:
    """The words, unless a dictionary makes labels of them, or there is another set."""
    own = config.dictionary is not None or config.labels is not None or (root / LABELS_FILE).exists()
    return labels_of(root, config.labels) if own else WORDS


class _Trial(NamedTuple):
    word: str
    split: str
    block: int
    number: int  # within the block
    features: NDArray[np.float32] | MalformedError


class KunzRecording:
    """One file, of which the trials are held in memory as float32.

    Args:
        words: the set that each word is a label of; None where labels are made of the word elsewhere.

    Raises:
        MalformedError: where it cannot be read or is not as the set has it.
    """

    def __init__(self, path: Path, behaviour: str, words: Labels | None) -> None:
        found = read_mat(path, VARIABLES)
        cues = _cues(found)
        spoken = [place for place, cue in enumerate(cues) if cue != NOTHING]
        epochs = matrix(variable(found, f"{'delay' if behaviour in HEARD else 'go'}TrialEpochs"), "epochs")
        if epochs.shape != (len(cues), 2):
            raise MalformedError(f"has epochs of shape {epochs.shape}, needed is ({len(cues)}, 2)", AGAIN)
        recorded = _Recorded(found)
        splits, counted = _splits([cues[place] for place in spoken]), Counter[int]()
        self._trials = []
        for place, split in zip(spoken, splits, strict=True):
            features, block = recorded.trial(*epochs[place])
            self._trials.append(_Trial(cues[place], split, block, counted[block], features))
            counted[block] += 1
        self.trials = [_found(trial, words) for trial in self._trials]
        still = f"has {len(cues) - len(spoken)} of {len(cues)} trials of doing nothing"
        self.notes = [(still, "Read are trials of words.")] if len(spoken) < len(cues) else []

    def features(self, place: int) -> NDArray[Any]:
        found = self._trials[place].features
        if isinstance(found, MalformedError):
            raise found
        return found


def _found(trial: _Trial, words: Labels | None) -> Found:
    fault = trial.features if isinstance(trial.features, MalformedError) else None
    shape = () if isinstance(trial.features, MalformedError) else trial.features.shape
    labels = None
    if words is not None:
        try:
            labels = cue_labels(trial.word, [trial.word], words)
        except MalformedError as malformed:
            fault = fault or malformed
    return Found(trial.split, trial.block, trial.number, shape, labels, trial.word, fault)


def _cues(found: dict[str, NDArray[Any]]) -> list[str]:
    """What each trial's cue says, in lower case; NOTHING for doing nothing, however it is written."""
    texts = [np.asarray(text) for text in variable(found, "cueList").reshape(-1)]
    if not all(text.dtype.kind == "U" and text.size == 1 for text in texts):
        raise MalformedError("has a cueList that is no list of texts", AGAIN)
    names = [str(text.reshape(-1)[0]).strip().lower() for text in texts]
    names = [NOTHING if re.sub(r"[^a-z]", "", name) == NOTHING else name for name in names]
    numbers = row(found, "trialCues", variable(found, "trialCues").size)
    cues = [check_whole(number, "trialCues", AGAIN) for number in numbers]
    if outside := [cue for cue in cues if not 1 <= cue <= len(names)]:
        raise MalformedError(f"has trialCues={outside[0]}, needed are 1 to {len(names)}, as many as cueList", AGAIN)
    return [names[cue - 1] for cue in cues]


def _splits(words: list[str]) -> list[str]:
    """The last fifth of each word's trials is val.

    >>> _splits(["ban"] * 5 + ["day"] * 2)
    ['train', 'train', 'train', 'train', 'val', 'train', 'train']
    """
    left, splits = Counter(words), []
    total = Counter(words)
    for word in words:
        splits.append("val" if left[word] <= total[word] // VAL_SHARE else "train")
        left[word] -= 1
    return splits


class _Recorded:
    """The bins of a file, and the frames of any of its trials."""

    def __init__(self, found: dict[str, NDArray[Any]]) -> None:
        self._crossings, self._power = (matrix(variable(found, name), name) for name in ("binnedTX", "spikePow"))
        bins, powers = len(self._crossings), len(self._power)
        if bins != powers:
            raise MalformedError(f"has {bins} rows of binnedTX and {powers} of spikePow, needed are as many", AGAIN)
        self._blocks = np.array([check_whole(b, "blockNum", AGAIN) for b in row(found, "blockNum", bins)], np.int64)
        (size,) = (check_whole(value, "binSize", AGAIN) for value in row(found, "binSize", 1))
        if not 1 <= size <= FRAME_MS or FRAME_MS % size:
            raise MalformedError(f"has binSize={size}, needed is 20 ms or a whole part of it", AGAIN)
        self._bins = FRAME_MS // size  # in a frame
        self._scales: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def trial(self, first: float, last: float) -> tuple[NDArray[np.float32] | MalformedError, int]:
        """The frames of an epoch, and the block that it begins in; bins are counted from 1 on."""
        if not 1 <= first <= last <= len(self._blocks) or first % 1 or last % 1:
            what = f"has bins {first:g} to {last:g}, needed are some of 1 to {len(self._blocks)}"
            return MalformedError(what, AGAIN), 0
        start, end = int(first) - 1, int(last)
        block = int(self._blocks[start])
        if block not in self._scales:
            rows = self._frames(self._blocks == block)
            self._scales[block] = rows.mean(axis=0), rows.std(axis=0) + 1e-8
        mean, sd = self._scales[block]
        return ((self._frames(slice(start, end)) - mean) / sd).astype(np.float32), block

    def _frames(self, which: Any) -> NDArray[np.float64]:
        """(frames, 2 C) of some bins; what is no whole frame at their end is left out."""
        crossings, power = self._crossings[which].astype(np.float64), self._power[which].astype(np.float64)
        count = len(crossings) // self._bins
        parts = [part[: count * self._bins].reshape(count, self._bins, -1) for part in (crossings, power)]
        return np.concatenate([parts[0].sum(axis=1), parts[1].mean(axis=1)], axis=1)
