"""Brain-to-Text '24 (T12, Willett et al. 2023): competitionData/{train,test,competitionHoldOut}/t12.YYYY.MM.DD.mat.

A file has S sentences: sentenceText, an S x C matrix of characters; blockIdx (S,); and cells of (T, 256) each, tx1 to
tx4 (threshold crossings at -3.5 to -6.5 RMS) and spikePow, a row every 20 ms. Features are the usual ones: tx1 and
spikePow of area 6v, the first 128 channels of each, z-scored by block over the trials of the file (mean and standard
deviation, and 1e-8). The set's `test` is val here, and its held-out blocks are test. There are no phonemes:
a dictionary (data.dictionary) makes them of each sentence (mode_ssm.formats.pronounced).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mode_ssm.checks import check_whole
from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError
from mode_ssm.formats.files import FilesSource, Found
from mode_ssm.formats.mat import AGAIN, matrix, read_mat, row, variable
from mode_ssm.formats.roots import folder_files, root_files, unread_files
from mode_ssm.formats.scaling import z_score
from mode_ssm.index import MalformedError, Problem
from mode_ssm.labels import labels_of
from mode_ssm.t15.sessions import SESSION_NAME

FOLDERS = {"train": "train", "test": "val", "competitionHoldOut": "test"}
AREA_6V = 128  # channels
_RENAME = "Read are {train,test,competitionHoldOut}/<participant>.YYYY.MM.DD.mat; rename it, or move it elsewhere."


class T12Source(FilesSource):
    """
    Raises:
        InputError: where there is no such data root, or the dictionary or the labels cannot be read.
    """

    kept = 4  # of about 150 MB each
    features_name = "tx1 and spikePow"
    write_again = AGAIN

    def __init__(self, config: DataConfig) -> None:
        root, paths = root_files(config.data_root)
        if any(path.name == "competitionData" for path in paths):
            root = root / "competitionData"
        self._found: dict[str, dict[str, tuple[Path, ...]]] = {}
        for folder, split in FOLDERS.items():
            for path in folder_files(root / folder):
                if path.suffix == ".mat" and SESSION_NAME.fullmatch(path.stem):
                    self._found.setdefault(path.stem, {})[split] = (path,)
        if not self._found:
            raise InputError(
                f"data.data_root={config.data_root} holds no train, test or competitionHoldOut with files such as "
                "t12.2022.04.28.mat; set data.data_root to competitionData of Brain-to-Text '24, or the folder above."
            )
        super().__init__(root, self._found, labels_of(root, config.labels), config.max_sessions, config.dictionary)

    def open(self, path: Path) -> "T12Recording":
        return T12Recording(path)

    def unread(self) -> list[Problem]:
        return unread_files(self.root, self._found, _RENAME)


class T12Recording:
    """One file, held in memory as float32.

    Raises:
        MalformedError: where it cannot be read or is not as the set has it.
    """

    notes = ()

    def __init__(self, path: Path) -> None:
        found = read_mat(path, ("sentenceText", "blockIdx", "tx1", "spikePow"))
        count = variable(found, "tx1").size
        blocks = [check_whole(block, "blockIdx", AGAIN) for block in row(found, "blockIdx", count)]
        texts = _texts(found, count)
        crossings, powers = (row(found, name, count) for name in ("tx1", "spikePow"))
        self._features = [_joined(*pair) for pair in zip(crossings, powers, strict=True)]
        z_score(self._features, blocks)
        self.trials = [
            self._trial(place, block, texts[place], blocks[:place].count(block)) for place, block in enumerate(blocks)
        ]

    def features(self, place: int) -> NDArray[Any]:
        found = self._features[place]
        if isinstance(found, MalformedError):
            raise found
        return found

    def _trial(self, place: int, block: int, text: str, number: int) -> Found:
        features = self._features[place]
        if isinstance(features, MalformedError):
            return Found(None, block, number, (), None, text or None, features)
        return Found(None, block, number, features.shape, None, text or None)


def _texts(found: dict[str, NDArray[Any]], count: int) -> list[str]:
    """The sentences; none in held-out files, whether the variable is absent or its texts are empty."""
    if "sentenceText" not in found or not found["sentenceText"].size:
        return [""] * count
    texts = row(found, "sentenceText", count)
    if not all(isinstance(text, str) for text in texts):
        raise MalformedError("has sentenceText that is no matrix of characters", AGAIN)
    return [text.strip() for text in texts]


def _joined(crossings: Any, powers: Any) -> NDArray[np.float32] | MalformedError:
    """(T, 256) of the area, or what is wrong with them."""
    try:
        both = [matrix(crossings, "tx1"), matrix(powers, "spikePow")]
        if len(both[0]) != len(both[1]) or min(part.shape[1] for part in both) < AREA_6V:
            shapes = " and ".join(str(part.shape) for part in both)
            raise MalformedError(
                f"has tx1 and spikePow of shapes {shapes}, needed are as many rows in both and 256 columns", AGAIN
            )
    except MalformedError as malformed:
        return malformed
    return np.concatenate([part[:, :AREA_6V] for part in both], axis=1, dtype=np.float32, casting="unsafe")
