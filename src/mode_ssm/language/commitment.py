"""Words while they are spoken: those that will not change any more, and those that still may."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.history import NO_WORD
from mode_ssm.language.hypothesis import WordHypothesis


class SpokenWords(NamedTuple):
    """What is known after a piece of a trial."""

    committed: tuple[str, ...]  # since the trial began; only ever longer
    open: tuple[str, ...]  # of the best hypothesis after those; may change


class CommittingStream:
    """One trial on its way through a CTC word search.

    A word is committed when every hypothesis of the beam has it, or when the best one has had it for more than
    `lag_frames`; hypotheses that do not have it are then dropped. The age is counted from the frame of the boundary
    after the word.

    Args:
        search: what is searched with.
        lag_frames: encoder frames; with None words are committed by agreement alone, which changes no result.
    """

    def __init__(self, search: CTCWordSearch, lag_frames: int | None = None) -> None:
        self._stream = search.begin()
        self._names = search.graph.scores.names
        self._lag = np.inf if lag_frames is None else lag_frames
        self._committed: list[int] = []  # words

    def step(self, log_probs: NDArray[np.floating]) -> SpokenWords:
        """Take the next log-probabilities (s, V), a frame at a time, so that their pieces do not matter."""
        for frame in log_probs:
            self._stream.step([frame[None]])
            self._commit()
        return self._words()

    def end(self) -> list[WordHypothesis]:
        """The n-best, best first; all of them begin with the committed words."""
        (found,) = self._stream.end()
        return found

    def _commit(self) -> None:
        stream = self._stream
        best = int(np.argmax(stream.scores))
        words, frames = stream.trace.ended(stream.traces)
        while True:
            place = len(self._committed)
            here = words[place] if place < len(words) else np.full(len(stream.beam), NO_WORD)
            if here[best] == NO_WORD:
                return
            agree = here == here[best]
            age = int(stream.frames[0]) - 1 - int(frames[place, best])
            if not (agree.all() or age > self._lag):
                return
            self._committed.append(int(here[best]))
            stream.keep(agree)
            best, words, frames = int(np.count_nonzero(agree[:best])), words[:, agree], frames[:, agree]

    def _words(self) -> SpokenWords:
        stream = self._stream
        best = int(np.argmax(stream.scores))
        words, _ = stream.trace.ended(stream.traces[[best]])
        names = tuple(self._names[word] for word in words[:, 0].tolist())
        return SpokenWords(names[: len(self._committed)], names[len(self._committed) :])
