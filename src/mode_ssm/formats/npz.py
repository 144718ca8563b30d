"""A folder of .npz files, the plainest way to bring one's own recordings: one file a session, or one a split.

<participant>.YYYY.MM.DD.npz, or <participant>.YYYY.MM.DD/{train,val,test}.npz, of N trials in a row:

    features       (sum of T, C)  any real number type
    offsets        (N + 1,)       trial i is features[offsets[i]:offsets[i + 1]]
    labels         (sum of U,)    label numbers, with label_offsets (N + 1,); both absent where nothing is labelled,
                                  or data.dictionary makes them of the sentences
    sentences      (N,) texts     "" where there is none; may be absent
    block, number  (N,)           the block, and the trial's number within; 0 and the trial's place unless given
    split          (N,) texts     train, val or test, of a file of a session; train unless given

`np.savez` leaves the features where a trial can be read alone; of `np.savez_compressed` a file is held whole.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.files import SPLITS, FilesSource, Found
from mode_ssm.formats.npz_members import map_member, mapped_anew, member_names, needs, read_member
from mode_ssm.formats.roots import folder_files, root_files, unread_files
from mode_ssm.index import Problem, Remedy
from mode_ssm.labels import labels_of
from mode_ssm.t15.sessions import SESSION_NAME

KEYS = "features offsets labels label_offsets sentences block number split".split()
_RENAME = "Read are <participant>.YYYY.MM.DD.npz and <participant>.YYYY.MM.DD/{train,val,test}.npz; rename it."


class NpzSource(FilesSource):
    """
    Raises:
        InputError: where there is no data root with such files, or its labels cannot be read.
    """

    kept = 4
    write_again = Remedy("Write the trial again in the npz schema", "remove it from the file")

    def __init__(self, config: DataConfig) -> None:
        root, paths = root_files(config.data_root)
        files: dict[str, dict[str, tuple[Path, ...]]] = {}
        for path in paths:
            if path.suffix == ".npz" and SESSION_NAME.fullmatch(path.stem):
                files.setdefault(path.stem, dict.fromkeys(SPLITS, (path,)))
        for folder in paths:
            parts = {path.stem: (path,) for path in folder_files(folder) if path.name in _SPLIT_FILES}
            if parts and SESSION_NAME.fullmatch(folder.name):
                whole = files.setdefault(folder.name, {})
                whole.update({split: (*whole.get(split, ()), *part) for split, part in parts.items()})
        if not files:
            raise InputError(
                f"data.data_root={root} holds no <participant>.YYYY.MM.DD.npz, such as m1.2016.03.25.npz, and no such "
                "folder with train.npz; set data.data_root to the folder that holds them, or data.source to its format."
            )
        super().__init__(root, files, labels_of(root, config.labels), config.max_sessions, config.dictionary)
        self._found = files

    def open(self, path: Path) -> "NpzRecording":
        return NpzRecording(path, None if path.name in _SPLIT_FILES else "train")

    def unread(self) -> list[Problem]:
        return unread_files(self.root, self._found, _RENAME)


_SPLIT_FILES = tuple(f"{split}.npz" for split in SPLITS)


class NpzRecording:
    """One file.

    Raises:
        MalformedError: where it is not as the schema has it.
    """

    def __init__(self, path: Path, split: str | None) -> None:
        self._path, self._names = path, member_names(path)
        self._values = self._features()
        self._offsets = self._bounds("offsets", len(self._values))
        self.trials = self._trials(split)
        others = sorted({*self._names} - {*KEYS})
        self.notes = [(f"holds {', '.join(others)}", f"Read are {', '.join(KEYS)}.")] if others else []

    def features(self, place: int) -> NDArray[Any]:
        return mapped_anew(self._values)[self._offsets[place] : self._offsets[place + 1]]

    def _features(self) -> NDArray[Any]:
        if "features" not in self._names:
            raise needs("no features", "an array (frames of all trials, channels)")
        values = map_member(self._path, "features")
        if values.ndim != 2 or values.dtype.kind not in "fiu":
            raise needs(f"features of type {values.dtype} and shape {values.shape}", "(frames of all trials, channels)")
        return values

    def _bounds(self, name: str, end: int) -> NDArray[np.int64]:
        """Where each trial begins, and the end of the last."""
        bounds = self._numbers(name, None)
        if not len(bounds) or bounds[0] != 0 or bounds[-1] != end or (np.diff(bounds) < 0).any():
            raise needs(f"{name} of another kind", f"rising numbers from 0 to {end}, one more than there are trials")
        return bounds

    def _numbers(self, name: str, count: int | None) -> NDArray[np.int64]:
        if name not in self._names:
            raise needs(f"no {name}", "one row of whole numbers")
        values = read_member(self._path, name)
        if values.dtype.kind not in "iu" or values.ndim != 1 or count not in (None, len(values)):
            row = "one row of whole numbers" if count is None else f"a row of {count} whole numbers, one a trial"
            raise needs(f"{name} of type {values.dtype} and shape {values.shape}", row)
        return values.astype(np.int64)

    def _texts(self, name: str, count: int) -> list[str]:
        values = read_member(self._path, name)
        if values.dtype.kind != "U" or values.shape != (count,):
            has = f"{name} of type {values.dtype} and shape {values.shape}"
            raise needs(has, f"a row of {count} texts (dtype str), one a trial")
        return [str(value) for value in values]

    def _trials(self, split: str | None) -> list[Found]:
        count = len(self._offsets) - 1
        blocks = self._numbers("block", count).tolist() if "block" in self._names else [0] * count
        numbers = self._numbers("number", count).tolist() if "number" in self._names else [*range(count)]
        sentences = self._texts("sentences", count) if "sentences" in self._names else [""] * count
        labels, splits = self._labels(count), self._splits(split, count)
        shapes = [(int(length), self._values.shape[1]) for length in np.diff(self._offsets)]
        return [
            Found(splits[n], blocks[n], numbers[n], shapes[n], labels[n], sentences[n].strip() or None)
            for n in range(count)
        ]

    def _splits(self, split: str | None, count: int) -> list[str | None]:
        if "split" not in self._names:
            return [split] * count
        if split is None:
            raise needs("the key split", f"none in {self._path.name}, whose name says the split")
        found = self._texts("split", count)
        if other := {*found} - {*SPLITS}:
            raise needs(f"split={printable(min(other), 40)}", "train, val or test")
        return [*found]

    def _labels(self, count: int) -> list[NDArray[np.int64] | None]:
        if "labels" not in self._names and "label_offsets" not in self._names:
            return [None] * count
        labels = self._numbers("labels", None)
        bounds = self._bounds("label_offsets", len(labels))
        if len(bounds) != count + 1:
            raise needs(f"{len(bounds)} label_offsets", f"{count + 1}, one more than there are trials")
        return [labels[start:end] for start, end in pairwise(bounds)]
