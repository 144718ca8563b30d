"""A stream of the network by its name: one that is lost is said, and looked for until it is there again."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pylsl
from numpy.typing import NDArray
from pylsl.util import LostError
from pylsl.util import TimeoutError as NoAnswer

from mode_ssm.errors import InputError, printable

BUFFER_SECONDS = 60  # of samples that are kept while the decoder is busy
_MOST = 500  # samples of a read
_FORGET_SECONDS = 2.0  # after which a stream that does not answer counts as gone
_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 5.0  # that a stream has to open, and to tell the difference of the clocks

Misfit = Callable[[Any], str | None]  # what is wrong with the description of a stream, as words that follow "it "


class Read(NamedTuple):
    """New samples: their values, when they were taken by this computer's clock, and the stamps of their sender."""

    values: NDArray[Any]  # (n, C)
    times: NDArray[np.float64]  # (n,) seconds
    stamps: NDArray[np.float64]  # (n,) seconds


NOTHING = Read(np.zeros((0, 0)), np.zeros(0), np.zeros(0))


class Inlet:
    """Reads what a stream sends from now on.

    Times are stamps with the difference of the two computers' clocks, which LSL measures anew every few seconds.
    Nothing smooths them, since LSL's smoothing counts samples and knows of no loss.

    Args:
        name: of the stream.
        misfit: what is wrong with a stream of that name.
        wait_seconds: for it to be there.

    Raises:
        InputError: when it is not, or does not fit.
    """

    def __init__(self, name: str, misfit: Misfit, wait_seconds: float) -> None:
        self.name, self._misfit = name, misfit
        self._stream: Any = None
        self._uid: str | None = None
        self._unfit: str | None = None  # a stream that came in its place
        self._looking: Any = None  # finds streams in the background while this one is lost
        found = pylsl.resolve_byprop("name", name, 1, wait_seconds)
        if not found:
            raise InputError(
                f"No LSL stream {name} was found in {wait_seconds:g} s, but {_others()}; start it, or give the name of "
                "one that is there, or a longer lsl.wait_seconds."
            )
        wrong = misfit(found[0])
        if wrong is not None:
            raise InputError(f"The LSL stream {name} was found, but it {wrong}.")
        try:
            self._open(found[0])
        except (LostError, NoAnswer) as error:
            raise InputError(f"The LSL stream {name} cannot be read ({error}); start its sender again.") from None

    def read(self, seconds: float) -> tuple[Read, list[str]]:
        """What is new, as soon as there is a sample or after so long, and what happened to the stream, in words."""
        if self._stream is None:
            return NOTHING, list(self._look(seconds))
        try:
            values, stamps = self._stream.pull_chunk(seconds, _MOST, min_samples=1, as_numpy=True)
            offset = self._stream.time_correction(_ANSWER_SECONDS)
        except (LostError, NoAnswer):
            self.close()
            return NOTHING, [f"the LSL stream {self.name} was lost; it is looked for until it is there again"]
        if len(stamps):
            self._looking = None
        return Read(values, stamps + offset, stamps), []

    def look_for_another(self) -> list[str]:
        """Go over to another stream of that name, where the one that is open has fallen silent."""
        return list(self._look(0.0)) if self._stream is not None else []

    def close(self) -> None:
        self._stream = self._uid = self._looking = None

    def _look(self, seconds: float) -> Iterator[str]:
        """Open what fits of the streams that LSL has found in the background, or wait for so long."""
        if self._looking is None:
            self._looking = pylsl.ContinuousResolver("name", self.name, forget_after=_FORGET_SECONDS)
        until = time.monotonic() + seconds
        while True:
            for found in self._looking.results():
                if (said := self._tried(found)) is not None:
                    yield said
                    return
            if time.monotonic() >= until:
                return
            time.sleep(_LOOK_SECONDS)

    def _tried(self, found: Any) -> str | None:
        """What became of a stream, once."""
        if found.uid() in (self._uid, self._unfit):
            return None
        wrong = self._misfit(found)
        if wrong is not None:
            self._unfit = found.uid()
            return f"the LSL stream {self.name} is there again, but it {wrong}; waiting for one that fits"
        return f"the LSL stream {self.name} is there again" if self._opened(found) else None

    def _opened(self, found: Any) -> bool:
        try:
            self._open(found)
        except (LostError, NoAnswer):
            return False
        return True

    def _open(self, found: Any) -> None:
        stream = pylsl.StreamInlet(found, max_buflen=BUFFER_SECONDS, recover=False)
        stream.open_stream(_ANSWER_SECONDS)
        stream.time_correction(_ANSWER_SECONDS)
        self._stream, self._uid, self._looking = stream, found.uid(), None


def _others() -> str:
    names = sorted({printable(stream.name()) for stream in pylsl.resolve_streams(1.0)})
    return ", ".join(names) or "no other stream either"
