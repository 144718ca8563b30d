"""Some of a data root's channels: the setting data.channels, over any source."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError, Problem, Record, SplitIndex

if TYPE_CHECKING:
    from mode_ssm.data.source import Source

ALL_BUT = "not:"


def chosen_channels(setting: str, channels: int) -> list[int]:
    """The channels that a setting names, of so many, in their order.

    >>> chosen_channels("0:3,6", 8), chosen_channels("not:0:3,6", 8)
    ([0, 1, 2, 6], [3, 4, 5, 7])

    Raises:
        InputError: where it is no list of channels and ranges, names one twice or that is not there, or leaves none.
    """
    named: list[int] = []
    try:
        for part in setting.removeprefix(ALL_BUT).strip("[]").split(","):
            first, colon, end = part.strip().partition(":")
            named += range(int(first), int(end)) if colon else [int(first)]
    except ValueError:
        raise InputError(
            f"data.channels={setting} names no channels; write 0:256, [0,5,9:12], or not:0:16 for all but those."
        ) from None
    outside = [channel for channel in named if not 0 <= channel < channels]
    if outside:
        raise InputError(f"data.channels={setting} names channel {outside[0]}; there are 0 to {channels - 1}.")
    if len({*named}) < len(named):
        raise InputError(f"data.channels={setting} names a channel twice; name each once.")
    chosen = sorted(named) if not setting.startswith(ALL_BUT) else [c for c in range(channels) if c not in {*named}]
    if not chosen:
        raise InputError(f"data.channels={setting} leaves no channel; name some of 0 to {channels - 1}.")
    return chosen


class SomeChannels:
    """A Source that gives some channels of another one. Trials with too few for the setting are problems."""

    def __init__(self, source: "Source", setting: str) -> None:
        self._source, self._setting = source, setting
        self.sessions, self.labels = source.sessions, source.labels
        self._whole: dict[tuple[str, str, str], Record] = {}  # by split, session and trial, with all channels

    def file(self, session: str, split: str) -> str:
        return self._source.file(session, split)

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        whole = self._source.index(split, sessions)
        index = replace(whole, records={}, problems=[*whole.problems])
        for session, records in whole.records.items():
            kept = []
            for record in records:
                try:
                    self._whole[split, session, record.group] = record
                    kept.append(record._replace(channels=len(chosen_channels(self._setting, record.channels))))
                except InputError as error:
                    sentence = str(error).rstrip(".")
                    index.problems.append(
                        Problem(
                            self.file(session, split),
                            record.group,
                            f"has {record.channels} feature channels: {sentence}",
                            "Choose other channels.",
                        )
                    )
            index.records[session] = tuple(kept)
        return index

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        return self._source.read_labels(key, self._whole_record(key, record))

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        whole = self._whole_record(key, record)
        features = self._source.read_features(key, whole)
        return features[:, torch.tensor(chosen_channels(self._setting, whole.channels))].contiguous()

    def _whole_record(self, key: TrialKey, record: Record) -> Record:
        """Raises: MalformedError, where there is no such trial any more."""
        place = key.split, key.session, record.group
        if place not in self._whole:
            self.index(key.split, [key.session])
        if place not in self._whole:
            raise MalformedError("has changed since it was indexed", "Start the run again.")
        return self._whole[place]
