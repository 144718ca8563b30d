"""What the word searches of all heads share: trials that come in pieces, their beam, and what was found in the end.

One implementation serves whole trials and streams: a whole trial is a stream that ends after its first piece.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.language.beam import Beam
from mode_ssm.language.history import Backtrace
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence, read_hypothesis
from mode_ssm.language.segments import Flags, Floats, Ints
from mode_ssm.language.trie import ROOT
from mode_ssm.language.word_graph import WordGraph

_TIDY_EVERY = 1 << 18  # emissions after which those that nothing comes from are forgotten


class Piece(Protocol):
    """Some frames of a trial as a head gives them."""

    def __len__(self) -> int: ...

    def __getitem__(self, frames: slice, /) -> Any: ...


P = TypeVar("P", bound=Piece)
B = TypeVar("B", bound=Beam)


class WordSearch(ABC, Generic[P]):
    """A lexicon, its scores and the weights of a search; it keeps nothing of a trial."""

    def __init__(self, graph: WordGraph, settings: WordSearchConfig, nbest: int) -> None:
        self.graph, self.settings, self.nbest = graph, settings, nbest

    @abstractmethod
    def begin(self, trials: int = 1) -> "WordStream[P, Any]":
        """Start that many trials side by side."""

    def __call__(self, trials: Sequence[P]) -> list[list[WordHypothesis]]:
        """Search whole trials: of each its n-best, best first."""
        stream = self.begin(len(trials))
        stream.step(trials)
        return stream.end()


class WordStream(ABC, Generic[P, B]):
    """Trials on their way through a search, which all get their frames in pieces of any size.

    Attributes:
        beam: the hypotheses of all trials.
        frames: (trials,) searched so far.
        heard: (trials,) taken so far; a search that looks ahead is behind these.
    """

    def __init__(self, search: WordSearch[P], beam: B, trials: int) -> None:
        self.graph, self._settings, self._nbest = search.graph, search.settings, search.nbest
        self._add = np.logaddexp if self._settings.merge is Merge.sum else np.maximum
        self.trace = Backtrace()
        self.beam = beam
        self._parked: B | None = None  # of trials that have no frame now
        self._going = np.ones(trials, np.bool_)
        self.frames = np.zeros(trials, np.int64)
        self._tidy_at = _TIDY_EVERY

    @abstractmethod
    def step(self, pieces: Sequence[P]) -> None:
        """Take the next frames of each trial; a piece may be empty."""

    @property
    def heard(self) -> Ints:
        return self.frames

    @property
    @abstractmethod
    def scores(self) -> Floats:
        """(N,) of the hypotheses of the beam."""

    @property
    @abstractmethod
    def traces(self) -> Ints:
        """(N,) the last emission of each hypothesis' best path."""

    @abstractmethod
    def _final(self) -> Floats:
        """(N,) the scores of the beam where the trials end here, without the sentence's end."""

    @abstractmethod
    def _forget(self) -> None:
        """Drop the emissions that no hypothesis comes from."""

    def keep(self, rows: Flags) -> None:
        """Drop all other hypotheses."""
        self.beam = self.beam.take(rows)

    def end(self) -> list[list[WordHypothesis]]:
        """Each trial's n-best; sentences that stop within a word only where there is no other."""
        beam, graph = self.beam, self.graph
        finished, gain = graph.finish(beam.lm, beam.node)
        score, lm, trace = self._final() + gain, beam.lm_score + finished, self.traces
        ended, boundary = graph.may_end(beam.node), int(graph.tree.label[ROOT])

        def read(row: int) -> WordHypothesis:
            path = self.trace.path(int(trace[row]))
            return read_hypothesis(path, score[row], lm[row], graph.scores.names, boundary)

        result = []
        for trial in range(len(self.frames)):
            rows = np.flatnonzero(beam.trial == trial)
            whole = rows[ended[rows]]
            rows = whole if len(whole) else rows
            best = rows[np.argsort(-score[rows], kind="stable")]
            result.append(self._nbest_of(map(read, best.tolist())))
        return result

    def _nbest_of(self, found: Iterable[WordHypothesis]) -> list[WordHypothesis]:
        """The n-best of hypotheses that come best first."""
        if self.graph.scores.names:
            return best_per_sentence(found, self._nbest, self._settings.merge)
        return list(islice(found, self._nbest))  # label sequences, each of which is one hypothesis

    def _go(self, going: Flags) -> None:
        """Set the hypotheses of all other trials aside."""
        if np.array_equal(going, self._going):
            return
        beam = self.beam
        if self._parked is not None:
            together = type(beam).join([self._parked, beam])
            beam = together.take(np.argsort(together.trial, kind="stable"))
        self._going, goes = going, going[beam.trial]
        self._parked = None if goes.all() else beam.take(~goes)
        self.beam = beam if goes.all() else beam.take(goes)

    def _rest(self) -> None:
        """A piece is over: all hypotheses together, and emissions forgotten where there are many."""
        self._go(np.ones(len(self.frames), np.bool_))
        if len(self.trace) > self._tidy_at:
            self._forget()
            self._tidy_at = max(_TIDY_EVERY, 2 * len(self.trace))
