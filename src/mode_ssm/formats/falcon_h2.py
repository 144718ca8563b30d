"""FALCON's H2 (DANDI 000950, T5, attempted handwriting): NWB files of threshold crossings and the cued characters.

sub-T5-held-in-calib_ses-YYYYMMDD.nwb and the like, in the root or in folders below it; the challenge's own names
(T5_YYYY.MM.DD_held_in_calib.nwb) are read too. Held-in calibration is train, held-out calibration val, and what is held
back for evaluation, for whom has it, test. Minival repeats trials of the calibration and is not read.

A file has acquisition/binned_spikes (bins, 192), a row every 20 ms with its timestamp, acquisition/eval_mask (bins,),
and a trials table with start_time and stop_time (of the first bin and of the last one), cue and block_num. Features are
the counts of the trial's bins whose eval_mask is true. Labels are the characters of the cue: `>` stands between words,
`~` for the full stop.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import check_whole
from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError
from mode_ssm.formats.files import FilesSource, Found, cue_labels
from mode_ssm.formats.mat import AGAIN
from mode_ssm.formats.nwb_file import (
    HALF_FRAME,
    Content,
    need_pynwb,
    numeric,
    opened,
    read_apart,
    trial_columns,
    trial_times,
)
from mode_ssm.formats.roots import files_below, root_files, unread_files
from mode_ssm.index import MalformedError, Problem, SplitIndex
from mode_ssm.labels import LABELS_FILE, Labels, labels_of

CHARACTERS = Labels(("_", *"abcdefghijklmnopqrstuvwxyz", ">", ",", "'", "~", "?"), boundary=27)
SPLIT_OF = {"in_calib": "train", "out_calib": "val", "in_eval": "test", "out_eval": "test"}
COLUMNS = "start_time stop_time cue block_num".split()
BIN_S = 0.02
_NAME = re.compile(r"(?:sub-)?(T\d+).*?held[-_](in|out)[-_](calib|eval|minival|oracle)", re.IGNORECASE)
_DATE = re.compile(r"(20\d\d)[.-]?(\d\d)[.-]?(\d\d)")
_NOT_READ = (
    "Read are sub-T5-held-in-calib_ses-YYYYMMDD.nwb, held-out-calib and held-in-eval or held-out-eval, one of each and "
    "session; minival repeats trials of the calibration, and oracle is of the evaluation's days."
)


class FalconH2Source(FilesSource):
    """
    Raises:
        InputError: where pynwb is not installed, or there is no data root with such files.
    """

    kept = 4
    features_name = "binned_spikes"
    write_again = AGAIN

    def __init__(self, config: DataConfig) -> None:
        root, _ = root_files(config.data_root)
        self._found: dict[str, dict[str, tuple[Path, ...]]] = {}
        for path in files_below(root, ".nwb"):
            if found := session_and_split(path.stem):
                self._found.setdefault(found[0], {}).setdefault(found[1], (path,))
        if not self._found:
            raise InputError(
                f"data.data_root={root} holds no files such as sub-T5-held-in-calib_ses-20220518.nwb, nor do its "
                "folders; set data.data_root to the folder of FALCON's H2 (DANDI 000950)."
            )
        need_pynwb()
        own = config.labels is not None or (root / LABELS_FILE).exists()
        labels = labels_of(root, config.labels) if own else CHARACTERS
        super().__init__(root, self._found, labels, config.max_sessions)

    def open(self, path: Path) -> "H2Recording":
        return H2Recording(path, self.labels)

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        """A session that is held out has no train file by design, so that none is missed."""
        index = super().index(split, sessions)
        if split == "train" and index.records:
            index.absent = []
        return index

    def unread(self) -> list[Problem]:
        return unread_files(self.root, self._found, _NOT_READ)


def session_and_split(name: str) -> tuple[str, str] | None:
    """What a file is, by its name without the suffix; None for one that is not read.

    >>> session_and_split("sub-T5-held-out-calib_ses-20230417"), session_and_split("T5_2022.05.18_held_in_eval")
    (('t5.2023.04.17', 'val'), ('t5.2022.05.18', 'test'))
    """
    found, date = _NAME.match(name), _DATE.search(name)
    if found is None or date is None or "_".join(found.groups()[1:]).lower() not in SPLIT_OF:
        return None
    participant, *kind = (part.lower() for part in found.groups())
    return ".".join([participant, *date.groups()]), SPLIT_OF["_".join(kind)]


class H2Recording:
    """One file, held in memory.

    Raises:
        MalformedError: where it cannot be read or is not as the schema has it.
    """

    def __init__(self, path: Path, labels: Labels) -> None:
        self._content, self._labels = read_apart(read_h2, path), labels
        columns = self._content.columns
        blocks = [check_whole(np.asarray(block)[()], "block_num", AGAIN) for block in columns["block_num"]]
        self.trials = [
            self._trial(place, block, blocks[:place].count(block), str(columns["cue"][place]))
            for place, block in enumerate(blocks)
        ]
        self.notes = self._content.notes

    def features(self, place: int) -> NDArray[Any]:
        start, end = self._content.bounds[place]
        return self._content.values[start:end]

    def _trial(self, place: int, block: int, number: int, cue: str) -> Found:
        start, end = self._content.bounds[place]
        shape, sentence = (max(end - start, 0), self._content.values.shape[1]), cue_sentence(cue)
        if self._labels.made_from is not None:  # of the sentence, by a rule
            return Found(None, block, number, shape, None, sentence)
        try:
            labels = cue_labels(cue, [*cue], self._labels.recorded)
        except MalformedError as fault:
            return Found(None, block, number, shape, None, sentence, fault)
        return Found(None, block, number, shape, labels, sentence)


def cue_sentence(cue: str) -> str | None:
    """
    >>> cue_sentence("i>am>here~")
    'i am here.'
    """
    return cue.replace(">", " ").replace("~", ".").strip() or None


def read_h2(path: Path) -> Content:
    """
    Raises:
        MalformedError: where it cannot be read or is not as the schema has it.
    """
    with opened(path) as file:
        columns, others = trial_columns(file, COLUMNS)
        if missing := {"cue", "block_num"} - {*columns}:
            raise MalformedError(f"has no column {min(missing)} in its trials table", AGAIN)
        (values, times), (mask, _) = _series(file, "binned_spikes"), _series(file, "eval_mask")
        used, rows = mask.astype(bool), _rows(times, columns)
    if len(numeric(values)) != len(times) or used.shape != times.shape:
        shapes = f"binned_spikes, timestamps and eval_mask of shapes {values.shape}, {times.shape} and {used.shape}"
        raise MalformedError(f"has {shapes}, needed are as many rows in each", AGAIN)
    notes = [(f"has columns {', '.join(others)}", f"Read are {', '.join(COLUMNS)}.")] if others else []
    if masked := int((~used).sum()):
        notes.append((f"has {masked} of {len(used)} bins outside its eval_mask", "They are no features of a trial."))
    kept = np.cumsum([0, *used])  # of the bins before each, those within the mask
    return Content(values[used], [(int(a), int(b)) for a, b in kept[rows].T], columns, notes)


def _rows(times: NDArray[np.float64], columns: dict[str, list[Any]]) -> NDArray[np.int64]:
    """(2, trials): the first bin of each, and the one after its last."""
    if len(times) > 1 and not np.isclose(step := np.median(np.diff(times)), BIN_S, atol=1e-3):
        raise MalformedError(f"has a bin every {1000 * step:g} ms, needed are bins of 20 ms", AGAIN)
    starts, stops = trial_times(columns)
    return np.searchsorted(times, [starts - HALF_FRAME * BIN_S, stops + HALF_FRAME * BIN_S])


def _series(file: Any, name: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Its data, and its timestamps."""
    if name not in file.acquisition:
        raise MalformedError(f"has no series {name}", AGAIN)
    series = file.acquisition[name]
    if series.timestamps is None:
        raise MalformedError(f"has a series {name} without timestamps", AGAIN)
    return np.asarray(series.data[:]), np.asarray(series.timestamps[:], dtype=np.float64)
