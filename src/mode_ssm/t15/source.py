"""T15's recordings as a source: what the rest of the house asks of any format, answered from HDF5 files."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.config import DataConfig
from mode_ssm.index import MalformedError, Record, SplitIndex
from mode_ssm.labels import labels_of
from mode_ssm.t15.files import OpenFiles
from mode_ssm.t15.groups import read_features, read_record
from mode_ssm.t15.kept_index import index_split
from mode_ssm.t15.sessions import file_name, find_sessions


class T15Source:
    """A mode_ssm.data.source.Source. A copy in another process opens files of its own, a few at a time.

    Raises:
        InputError: where there is no data root with sessions, or its labels cannot be read.
    """

    def __init__(self, config: DataConfig) -> None:
        self.root, self.sessions = find_sessions(config.data_root, config.max_sessions)
        self.labels = labels_of(self.root, config.labels)
        self.cache_dir = config.cache_dir
        self._files = OpenFiles()

    def file(self, session: str, split: str) -> str:
        return file_name(session, split)

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        return index_split(self.root, sessions, split, self.labels.recorded, self.cache_dir)

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        file = self._files.get(self.root / file_name(key.session, key.split))
        found, labels = read_record(file, record.group, key.session, self.labels)
        if found != record:
            raise MalformedError(
                "has changed since it was indexed", "Start the run again; if this stays so, `touch` the file."
            )
        return None if labels is None else torch.from_numpy(labels)

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        file = self._files.get(self.root / file_name(key.session, key.split))
        return torch.from_numpy(read_features(file, record))
