"""Words while they are spoken: those that will not change any more, and those that still may."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np

from mode_ssm.language.history import NO_WORD
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.segments import Flags
from mode_ssm.language.word_stream import Piece, WordSearch

P = TypeVar("P", bound=Piece)


class SpokenWords(NamedTuple):
    """What is known after a piece of a trial."""

    committed: tuple[str, ...]  # since the trial began; only ever longer
    open: tuple[str, ...]  # of the best hypothesis after those; may change


def lag_frames(seconds: float | None, frame_ms: float) -> int | None:
    """An age of words in encoder frames."""
    return None if seconds is None else round(1000 * seconds / frame_ms)


class CommittingStream(Generic[P]):
    """One trial on its way through a word search, of CTC, of a transducer or of both.

    A word of the best hypothesis is committed when those of the beam that have it hold `share` of its probability, or
    when the best one has had it for more than `lag_frames`; hypotheses that do not have it are then dropped. The age is
    counted from the frame of the boundary after the word to the newest frame that was heard. With share=1 and no lag,
    words are committed when all hypotheses have them, which changes no result. What the rules cost:
    benchmarks/commitment.py.

    Args:
        search: what is searched with.
        share: of the sum of the hypotheses' scores as probabilities, 0 to 1; 1 = every one, however improbable.
        lag_frames: encoder frames; None = no word for its age alone.
    """

    def __init__(self, search: WordSearch[P], share: float = 1.0, lag_frames: int | None = None) -> None:
        self._stream = search.begin()
        self._names = search.graph.scores.names
        self._doubt = np.log1p(-share) if share < 1 else -np.inf  # log-probability of the rest
        self._lag = np.inf if lag_frames is None else lag_frames
        self._committed: list[int] = []  # words

    def step(self, piece: P) -> SpokenWords:
        """Take the next frames, one at a time, so that their pieces do not matter."""
        for frame in range(len(piece)):
            self._stream.step([piece[frame : frame + 1]])
            self._commit()
        return self._words()

    def end(self) -> list[WordHypothesis]:
        """The n-best, best first; all of them begin with the committed words."""
        (found,) = self._stream.end()
        return found

    def _commit(self) -> None:
        stream = self._stream
        best = int(np.argmax(stream.scores))
        words, frames = stream.trace.ended(stream.traces, known=len(self._committed))
        now = int(stream.heard[0]) - 1
        for here, ended in zip(words, frames, strict=True):
            if here[best] == NO_WORD:
                return
            agree = here == here[best]
            if not (self._doubted(agree) <= self._doubt or now - ended[best] > self._lag):
                return
            self._committed.append(int(here[best]))
            if not agree.all():
                stream.keep(agree)
                self._commit()
                return

    def _doubted(self, agree: Flags) -> float:
        """The log-probability that the hypotheses that do not agree hold; -inf where there is none."""
        scores = self._stream.scores
        return float(np.logaddexp.reduce(scores[~agree]) - np.logaddexp.reduce(scores))

    def _words(self) -> SpokenWords:
        stream = self._stream
        best = int(np.argmax(stream.scores))
        words, _ = stream.trace.ended(stream.traces[[best]], known=len(self._committed))
        return SpokenWords(self._named(self._committed), self._named(words[:, 0].tolist()))

    def _named(self, words: list[int]) -> tuple[str, ...]:
        return tuple(self._names[word] for word in words)
