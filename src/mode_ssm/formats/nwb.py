"""NWB files, by pynwb: a binned series, or the spike times of units, with a trials table.

<participant>.YYYY.MM.DD.nwb in the root. A TimeSeries (frames, channels) with a rate or timestamps, in acquisition or a
processing module, of the name that data.nwb_series gives: a trial's frames are those with start_time <= time <
stop_time. Where there is no series, or data.nwb_series=units, the spikes of each unit are counted in bins of 20 ms from
start_time on. Columns of the trials table that are read where they are there: sentence (or data.sentence_column),
labels (a row of numbers of the set), block, number, split (train, val or test; train unless given).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import MAX_FRAMES, check_whole
from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.files import SPLITS, FilesSource, Found
from mode_ssm.formats.nwb_file import (
    AGAIN,
    HALF_FRAME,
    Content,
    need_pynwb,
    numeric,
    opened,
    read_apart,
    trial_columns,
    trial_times,
)
from mode_ssm.formats.roots import root_files, unread_files
from mode_ssm.formats.spikes import bin_edges, count_spikes
from mode_ssm.index import MalformedError, Problem
from mode_ssm.labels import labels_of
from mode_ssm.t15.sessions import SESSION_NAME

SENTENCE, UNITS = "sentence", "units"
COLUMNS = "start_time stop_time labels block number split".split()
_RENAME = "Read are files <participant>.YYYY.MM.DD.nwb; rename it, or move it elsewhere."


class NwbSource(FilesSource):
    """
    Raises:
        InputError: where pynwb is not installed, there is no data root with such files, or the dictionary or the
            labels cannot be read.
    """

    kept = 4
    features_name = "the series"
    write_again = AGAIN

    def __init__(self, config: DataConfig) -> None:
        root, paths = root_files(config.data_root)
        self._found = {
            path.stem: dict.fromkeys(SPLITS, (path,))
            for path in paths
            if path.suffix == ".nwb" and SESSION_NAME.fullmatch(path.stem)
        }
        if not self._found:
            raise InputError(
                f"data.data_root={root} holds no <participant>.YYYY.MM.DD.nwb, such as t15.2023.08.13.nwb; set "
                "data.data_root to the folder that holds them, or rename them so."
            )
        need_pynwb()
        labels = labels_of(root, config.labels)
        super().__init__(root, self._found, labels, config.max_sessions, config.dictionary)
        self._series, self._sentence = config.nwb_series, config.sentence_column

    def open(self, path: Path) -> "NwbRecording":
        return NwbRecording(path, self._series, self._sentence)

    def unread(self) -> list[Problem]:
        return unread_files(self.root, self._found, _RENAME)


class NwbRecording:
    """One file. Its series is held in memory, so that no HDF5 file stays open.

    Raises:
        MalformedError: where it cannot be read or is not as the schema has it.
    """

    def __init__(self, path: Path, series: str | None, sentence: str | None) -> None:
        self._content, self._sentence = read_apart(read_nwb, path, series, sentence), sentence or SENTENCE
        self.trials = [self._trial(place) for place in range(len(self._content.bounds))]
        self.notes = self._content.notes

    def features(self, place: int) -> NDArray[Any]:
        start, end = self._content.bounds[place]
        return self._content.values[start:end]

    def _trial(self, place: int) -> Found:
        (start, end), columns = self._content.bounds[place], self._content.columns
        block, number = (
            check_whole(np.asarray(columns[name][place])[()], name, AGAIN) if name in columns else unless
            for name, unless in (("block", 0), ("number", place))
        )
        split = str(columns["split"][place]) if "split" in columns else "train"
        if split not in SPLITS:
            raise MalformedError(f"has split={printable(split, 40)}, needed is train, val or test", AGAIN)
        sentence = str(columns[self._sentence][place]) if self._sentence in columns else ""
        labels = np.asarray(columns["labels"][place]).reshape(-1) if "labels" in columns else None
        fault = None
        if labels is not None and len(labels) and labels.dtype.kind not in "iu":
            fault = MalformedError(f"has labels of type {labels.dtype}, needed are whole numbers", AGAIN)
        said = None if labels is None or fault or not len(labels) else labels.astype(np.int64)
        shape = (max(end - start, 0), self._content.values.shape[1])
        return Found(split, block, number, shape, said, sentence if sentence.strip() else None, fault)


def read_nwb(path: Path, series: str | None, sentence: str | None) -> Content:
    """
    Raises:
        MalformedError: where it cannot be read or is not as the schema has it.
    """
    wanted = [*COLUMNS, sentence or SENTENCE]
    with opened(path) as file:
        columns, others = trial_columns(file, wanted)
        if sentence is not None and sentence not in columns:
            has = f"has no column {printable(sentence, 40)} among its {', '.join([*columns, *others])}"
            raise MalformedError(has, "Name the one with the sentences: data.sentence_column=NAME.")
        found = _series(file, series)
        cut = _bin_units if found is None else _cut_series
        values, bounds = cut(file.units if found is None else found, columns)
    notes = [(f"has columns {', '.join(others)}", f"Read are {', '.join(wanted)}.")] if others else []
    return Content(values, bounds, columns, notes)


def _series(file: Any, name: str | None) -> Any:
    """The series of that name, the only one unless named; None for the units, where they are meant."""
    places = [file.acquisition, *(module.data_interfaces for module in file.processing.values())]
    found = {key: value for place in places for key, value in place.items() if hasattr(value, "data")}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    spikes = file.units is not None and "spike_times" in file.units.colnames
    if spikes and (name == UNITS or (name is None and not found)):
        return None
    has = ", ".join([*sorted(found), *([UNITS] if spikes else [])]) or "none"
    raise MalformedError(f"has the series {has}", "Name the one with the features: data.nwb_series=NAME.")


def _cut_series(series: Any, columns: dict[str, list[Any]]) -> tuple[NDArray[Any], list[tuple[int, int]]]:
    values, times = numeric(np.asarray(series.data[:])), _times(series)
    step = np.median(np.diff(times)) if len(times) > 1 else 0.0
    starts, stops = (np.searchsorted(times + HALF_FRAME * step, at) for at in trial_times(columns))
    return values, [(int(start), int(end)) for start, end in zip(starts, stops, strict=True)]


def _times(series: Any) -> NDArray[np.float64]:
    """When each frame begins, in seconds."""
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], dtype=np.float64)
    return float(series.starting_time or 0.0) + np.arange(len(series.data)) / float(series.rate)


def _bin_units(units: Any, columns: dict[str, list[Any]]) -> tuple[NDArray[Any], list[tuple[int, int]]]:
    spikes = [np.asarray(times, dtype=np.float64) for times in units["spike_times"][:]]
    counts, bounds, total = [np.empty((0, len(spikes)), dtype=np.int32)], [], 0
    for start, stop in zip(*trial_times(columns), strict=True):
        edges = bin_edges(start, stop)
        bounds.append((total, total + len(edges) - 1))
        if len(edges) - 1 <= MAX_FRAMES:  # else it is a bad trial, by its length
            counts.append(count_spikes(spikes, edges))
            total = bounds[-1][1]
    return np.concatenate(counts), bounds
