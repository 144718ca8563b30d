"""Raw frames as the network knows features: z-scored by the trials before, as it was trained with."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from mode_ssm.live.events import Aside, Begin, End, Event, Floats, Frames
from mode_ssm.running_scale import WINDOW, Moments, Scale, running_scale


class RunningNormaliser:
    """Events whose features are raw become events whose features are normalised.

    The scale changes from trial to trial, never within one. Frames that are not of C finite values are given on as
    they are, for `Repair` to say so, and do not count. A day begins where the source names another session.

    Args:
        events: of a source.
        reference: of the end of training; (C,) each.
    """

    def __init__(self, events: Iterable[Event], reference: Scale) -> None:
        self._events, self._reference, self._scale = events, reference, reference
        self._before: deque[Moments] = deque(maxlen=WINDOW)
        self._session: str | None = None
        self._heard: list[Floats] = []  # of the trial that is under way

    def __iter__(self) -> Iterator[Event]:
        for event in self._events:
            if isinstance(event, Frames):
                yield event._replace(features=self._normalised(event.features))
                continue
            if isinstance(event, Aside):
                yield event
                continue
            self._remember()
            if isinstance(event, Begin) and event.session != self._session:
                self._new_day(event.session)
            yield event
            if isinstance(event, End):
                self._remember()

    def _normalised(self, features: Floats) -> Floats:
        if features.shape[1:] != self._reference.mean.shape:
            return features
        sound = np.isfinite(features).all(axis=1)
        self._heard.append(features[sound])
        found = features.copy()
        found[sound] = self._scale.normalised(features[sound])
        return found

    def _remember(self) -> None:
        """Count the trial that is over."""
        heard, self._heard = self._heard, []
        if sum(map(len, heard)):
            self._before.append(Moments.of(np.concatenate(heard)))
            self._scale = running_scale(self._before, self._reference)

    def _new_day(self, session: str | None) -> None:
        if self._before and self._session is not None:
            self._reference = self._scale = Moments.together(self._before).scale
            self._before.clear()
        self._session = session
