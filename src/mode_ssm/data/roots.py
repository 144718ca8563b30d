"""Several data roots as one: data.roots, whose sessions stand in one order and are labelled with one set."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.errors import InputError
from mode_ssm.index import Record, SplitIndex
from mode_ssm.t15.sessions import first_by_date

if TYPE_CHECKING:
    from mode_ssm.data.source import Source


class SeveralRoots:
    """A Source of the sessions of several others, by date, then by name. Each reads its own.

    Args:
        sources: by the name of their root.

    Raises:
        InputError: where two have a session of one name, or their labels differ.
    """

    def __init__(self, sources: dict[str, "Source"]) -> None:
        (first, source), *others = sources.items()
        self.labels = source.labels
        for root, other in others:
            self.labels.require(other.labels, first, root)
        self._sources = [*sources.values()]
        self._source: dict[str, Source] = {}  # by session
        root_of: dict[str, str] = {}
        for root, source in sources.items():
            for session in source.sessions:
                if session in root_of:
                    raise InputError(
                        f"data.roots: {root_of[session]} and {root} both hold a session {session}; a session stands in "
                        "one root, so rename one, such as p2.2023.08.13 for that of another participant."
                    )
                root_of[session], self._source[session] = root, source
        self.sessions = first_by_date(root_of, None)

    def file(self, session: str, split: str) -> str:
        return self._source[session].file(session, split)

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        """Records stand in the order of the sessions."""
        whole = SplitIndex()
        for source in self._sources:
            part = source.index(split, [session for session in sessions if self._source[session] is source])
            for each in fields(SplitIndex):
                if each.name != "records":
                    getattr(whole, each.name).extend(getattr(part, each.name))
            whole.records |= part.records
        whole.records = {session: whole.records[session] for session in sessions if session in whole.records}
        return whole

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        return self._source[key.session].read_labels(key, record)

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        return self._source[key.session].read_features(key, record)
