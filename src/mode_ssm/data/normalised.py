"""Features z-scored by the trials before them: preprocessor.normalisation=running, over any source."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.index import MalformedError, Record, SplitIndex
from mode_ssm.labels import Labels
from mode_ssm.running_scale import WINDOW, Moments, Scale, running_scale
from mode_ssm.t15.sessions import participant_of

if TYPE_CHECKING:
    from mode_ssm.data.source import Source


class _Place(NamedTuple):
    """A trial of a session, whatever its split."""

    key: TrialKey
    record: Record


class RunningNormalised:
    """A Source that gives the features of another one as a decoder that goes with the session would have scaled them.

    A session's trials are taken in the order of their blocks and, within a block, of their splits and numbers; test
    trials count too, for no label is needed. The reference of a session is the end of the participant's session before
    it; that of the first, its own beginning: what a day of calibration would give. A trial that cannot be read, or is
    not finite, does not count. Each trial is read once more for its moments, when they are first needed.
    """

    def __init__(self, source: "Source", splits: Sequence[str]) -> None:
        self._source, self._splits = source, tuple(splits)
        self.sessions: tuple[str, ...] = source.sessions
        self.labels: Labels = source.labels
        self._trials: dict[str, list[_Place]] = {}  # by session, in the order in which they were recorded
        self._moments: dict[TrialKey, Moments | None] = {}
        self._references: dict[tuple[str, int], Scale | None] = {}

    def file(self, session: str, split: str) -> str:
        return self._source.file(session, split)

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        if not self._trials:
            self._trials = self._in_order()
        return self._source.index(split, sessions)

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        return self._source.read_labels(key, record)

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        features = self._source.read_features(key, record)
        scale = self.scale_of(key, record)
        if scale is None:  # neither it nor a trial before it is finite: whoever reads it finds that
            return features
        return torch.from_numpy(scale.normalised(features.numpy()))

    def scale_of(self, key: TrialKey, record: Record) -> Scale | None:
        """What the features of an indexed trial are z-scored with; None where nothing is known of them."""
        trials = self._of(key.session, record.channels)
        place = trials.index(_Place(key, record))
        before, reference = self._known(trials[:place][::-1])[::-1], self._reference(key.session, record.channels)
        return running_scale(before, reference) if before or reference else None

    def last_scale(self, channels: int, participant: str | None = None) -> Scale | None:
        """The reference of a day after all of these, or after all of a participant's."""
        return self._end_of([s for s in self.sessions if participant in (None, participant_of(s))], channels)

    def _known(self, trials: Sequence[_Place]) -> list[Moments]:
        """Of the first trials that can be read, as many as count."""
        found: list[Moments] = []
        for trial in trials:
            if len(found) == WINDOW:
                break
            if (moments := self._moments_of(trial)) is not None:
                found.append(moments)
        return found

    def _moments_of(self, trial: _Place) -> Moments | None:
        if trial.key not in self._moments:
            try:
                features = self._source.read_features(trial.key, trial.record)
            except MalformedError:
                self._moments[trial.key] = None  # named where the trial itself is read
            else:
                sound = len(features) > 0 and bool(torch.isfinite(features).all())
                self._moments[trial.key] = Moments.of(features.numpy()) if sound else None
        return self._moments[trial.key]

    def _reference(self, session: str, channels: int) -> Scale | None:
        if (session, channels) not in self._references:
            who = participant_of(session)
            before = [s for s in self.sessions[: self.sessions.index(session)] if participant_of(s) == who]
            self._references[session, channels] = self._end_of(before, channels) or self._beginning(session, channels)
        return self._references[session, channels]

    def _end_of(self, sessions: Sequence[str], channels: int) -> Scale | None:
        trials = [trial for session in sessions for trial in self._of(session, channels)]
        return _scale(self._known(trials[::-1]))

    def _beginning(self, session: str, channels: int) -> Scale | None:
        return _scale(self._known(self._of(session, channels)))

    def _of(self, session: str, channels: int) -> list[_Place]:
        return [trial for trial in self._trials[session] if trial.record.channels == channels]

    def _in_order(self) -> dict[str, list[_Place]]:
        """The trials of each session, of all splits, as they were recorded."""
        found: dict[str, list[_Place]] = {session: [] for session in self.sessions}
        for split in self._splits:
            for session, records in self._source.index(split, self.sessions).records.items():
                keys = (TrialKey(session, split, record.group, record.block, record.number) for record in records)
                found[session] += map(_Place, keys, records)
        for trials in found.values():
            trials.sort(key=lambda trial: trial.record.block)  # splits and numbers are in order already
        return found


def _scale(known: Sequence[Moments]) -> Scale | None:
    return Moments.together(known).scale if known else None
