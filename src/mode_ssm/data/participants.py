"""The participants of a data root, or of several: their sessions, and how many channels each was recorded with."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from mode_ssm.config import DataConfig
from mode_ssm.data.source import Source, open_source
from mode_ssm.index import SplitIndex
from mode_ssm.t15.sessions import participant_of

Channels = int | Mapping[str, int]  # C of every trial, or of each participant's by name


def channels_of(channels: Channels, session: str) -> int | None:
    """C of a session's trials; None for a participant that is not named.

    >>> channels_of(512, "t15.2023.08.13"), channels_of({"p1": 96}, "p1.2023.08.13"), channels_of({}, "p2.2023.08.13")
    (512, 96, None)
    """
    return channels if isinstance(channels, int) else channels.get(participant_of(session))


def sessions_of(source: Source, participant: str | None) -> tuple[str, ...]:
    """Those of one participant; None: of all."""
    return tuple(session for session in source.sessions if participant in (None, participant_of(session)))


def count_channels(indexes: Iterable[SplitIndex]) -> dict[str, Counter[int]]:
    """Trials by their number of channels, of each participant."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for index in indexes:
        for session, records in index.records.items():
            found[participant_of(session)].update(record.channels for record in records)
    return found


def participant_channels(config: DataConfig, splits: Iterable[str]) -> dict[str, int]:
    """C of each participant who has trials of these splits, in the order of their names: that of most of the trials.

    Raises:
        InputError: where there is no data root.
    """
    source = open_source(config)
    counts = count_channels(source.index(split, source.sessions) for split in splits)
    return {name: counts[name].most_common(1)[0][0] for name in sorted(counts) if counts[name]}
