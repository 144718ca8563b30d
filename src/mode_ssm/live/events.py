"""What a source tells: a trial begins, frames came, the trial is over, something went wrong, or the lock turned."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Begin(NamedTuple):
    """Someone may speak from here on; the state of the network starts anew."""

    session: str | None = None  # the day; None = one that the network does not know
    trial: str | None = None  # what the source calls it
    sentence: str | None = None  # what was to be said, where the source knows


class Frames(NamedTuple):
    """Feature frames in the order of their time; their numbers follow one another."""

    first: int  # number of the first, counted by the source; 50 of them are a second
    time: float  # seconds on the source's clock when the last one ended
    features: Floats  # (t, C)


class End(NamedTuple):
    """What is said is said."""


class Notice(NamedTuple):
    """Something that went wrong, in words for who watches."""

    frame: int
    text: str
    alarm: str | None = None  # where it lasts: what it is called
    channels: tuple[int, ...] = ()  # all that have the alarm now; none = it is over


class Correction(NamedTuple):
    """What who watches says was meant in the place of a word that was told."""

    end: int  # the frame of the message `end` that told it
    place: int  # of the word there, from 0
    word: str
    by: str  # instead; empty = no word


class Turn(NamedTuple):
    """The lock opens or closes here: what is decoded while it is closed stays in the process."""

    open: bool
    why: str  # start, phrase or time


Event = Begin | Frames | End | Notice | Correction | Turn
Aside = Notice | Correction | Turn  # leaves the trial that is under way


class LiveSource(Protocol):
    """Where features come from."""

    def __iter__(self) -> Iterator[Event]:
        """The events, each as it comes; frames stand between a Begin and its End."""
