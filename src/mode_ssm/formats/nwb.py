"""NWB files, by pynwb: a binned series with its trials table.

<participant>.YYYY.MM.DD.nwb in the root: a TimeSeries (frames, channels) with a rate or timestamps, in acquisition or a
processing module, of the name that data.nwb_series gives, and a trials table with start_time and stop_time. A trial's
frames are those with start_time <= time < stop_time. Columns that are read where they are there: sentence, labels (a
row of numbers of the set), block, number, split (train, val or test; train unless given).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import check_whole
from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.files import SPLITS, FilesSource, Found
from mode_ssm.formats.roots import root_files, unread_files
from mode_ssm.index import MalformedError, Problem, Remedy
from mode_ssm.labels import labels_of
from mode_ssm.t15.files import COPY_AGAIN
from mode_ssm.t15.sessions import SESSION_NAME

AGAIN = Remedy("Write the file again (docs/data.md)", "remove it")
COLUMNS = "start_time stop_time sentence labels block number split".split()
_HALF_FRAME = 0.5  # of a frame, within which a time counts as its start: times are floats
_RENAME = "Read are files <participant>.YYYY.MM.DD.nwb; rename it, or move it elsewhere."
_BROKEN = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError)  # h5py's and hdmf's


class NwbSource(FilesSource):
    """
    Raises:
        InputError: where pynwb is not installed, or there is no data root with such files.
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
        super().__init__(root, self._found, labels_of(root, config.labels), config.max_sessions)
        self._series = config.nwb_series

    def open(self, path: Path) -> "NwbRecording":
        return NwbRecording(path, self._series)

    def unread(self) -> list[Problem]:
        return unread_files(self.root, self._found, _RENAME)


class NwbRecording:
    """One file. Its series is held in memory, so that no HDF5 file stays open.

    Raises:
        InputError: where pynwb is not installed.
        MalformedError: where it cannot be read or is not as the schema has it.
    """

    def __init__(self, path: Path, series: str | None) -> None:
        try:
            from pynwb import NWBHDF5IO
        except ImportError:
            raise InputError("NWB files are read by pynwb; install it: pip install 'mode-ssm[nwb]'.") from None
        try:
            with NWBHDF5IO(str(path), "r") as io:
                file = io.read()
                found = _series(file, series)
                self._values, self._times = np.asarray(found.data[:]), _times(found)
                table = file.trials
                self._columns = {} if table is None else {name: [*table[name][:]] for name in table.colnames}
        except _BROKEN as error:
            reason = printable(str(error) or type(error).__name__)
            raise MalformedError(f"is no NWB file that can be read ({reason})", COPY_AGAIN) from None
        if self._values.ndim != 2 or self._values.dtype.kind not in "fiu":
            what = f"has a series of type {self._values.dtype} and shape {self._values.shape}"
            raise MalformedError(f"{what}, needed is (frames, channels) of numbers", AGAIN)
        self._bounds = self._cut()
        self.trials = [self._trial(place) for place in range(len(self._bounds))]
        others = [name for name in self._columns if name not in COLUMNS]
        self.notes = [(f"has columns {', '.join(others)}", f"Read are {', '.join(COLUMNS)}.")] if others else []

    def features(self, place: int) -> NDArray[Any]:
        start, end = self._bounds[place]
        return self._values[start:end]

    def _cut(self) -> list[tuple[int, int]]:
        for name in ("start_time", "stop_time"):
            if name not in self._columns:
                raise MalformedError(f"has no trials table with {name}", AGAIN)
        step = np.median(np.diff(self._times)) if len(self._times) > 1 else 0.0
        early = self._times + _HALF_FRAME * step
        starts, stops = (np.searchsorted(early, self._columns[name]) for name in ("start_time", "stop_time"))
        return [(int(start), int(end)) for start, end in zip(starts, stops, strict=True)]

    def _trial(self, place: int) -> Found:
        start, end = self._bounds[place]
        block, number = (
            check_whole(np.asarray(self._columns[name][place])[()], name, AGAIN) if name in self._columns else unless
            for name, unless in (("block", 0), ("number", place))
        )
        split = str(self._columns["split"][place]) if "split" in self._columns else "train"
        if split not in SPLITS:
            raise MalformedError(f"has split={printable(split, 40)}, needed is train, val or test", AGAIN)
        sentence = str(self._columns["sentence"][place]).strip() if "sentence" in self._columns else ""
        labels = np.asarray(self._columns["labels"][place]) if "labels" in self._columns else None
        fault = None
        if labels is not None and len(labels) and labels.dtype.kind not in "iu":
            fault = MalformedError(f"has labels of type {labels.dtype}, needed are whole numbers", AGAIN)
        said = None if labels is None or fault or not len(labels) else labels.astype(np.int64)
        shape = (max(end - start, 0), self._values.shape[1])
        return Found(split, block, number, shape, said, sentence or None, fault)


def _series(file: Any, name: str | None) -> Any:
    """The series of that name; the only one, unless named."""
    places = [file.acquisition, *(module.data_interfaces for module in file.processing.values())]
    found = {key: value for place in places for key, value in place.items() if hasattr(value, "data")}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    has = ", ".join(sorted(found)) or "none"
    raise MalformedError(f"has the series {has}", "Name the one with the features: data.nwb_series=NAME.")


def _times(series: Any) -> NDArray[np.float64]:
    """When each frame begins, in seconds."""
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], dtype=np.float64)
    return float(series.starting_time or 0.0) + np.arange(len(series.data)) / float(series.rate)
