"""Words from CTC posteriors: a beam search over the lexicon's prefix tree with the n-gram model at each word's end.

The score of a sentence is that of its best path, or of all its paths (`search.merge`). A word's best reachable unigram
score is applied as soon as its first phoneme is (look-ahead), and replaced at its end. A hypothesis keeps the paths
that end in a blank apart from those that end in its last label, as Hannun et al. 2014, First-pass large vocabulary
continuous speech recognition using bi-directional recurrent DNNs, section 3.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.language.beam import CTCBeam, append_word, first_ctc_beam
from mode_ssm.language.history import NO_WORD
from mode_ssm.language.model import WordModel
from mode_ssm.language.segments import Floats, Ints, best_rows, heads
from mode_ssm.language.trie import ROOT, PrefixTree
from mode_ssm.language.word_graph import word_graph
from mode_ssm.language.word_stream import WordSearch, WordStream

_LEAST = -1e4  # stands for the logarithm of 0, so that sums stay finite

LogProbs = NDArray[np.floating]  # (s, V), a piece of a trial


class CTCWordSearch(WordSearch[LogProbs]):
    """Searches log-probabilities (S, V)."""

    def __init__(self, model: WordModel, tree: PrefixTree, settings: WordSearchConfig, nbest: int) -> None:
        super().__init__(word_graph(model, tree, settings), settings, nbest)

    def begin(self, trials: int = 1) -> "CTCWordStream":
        return CTCWordStream(self, trials)


class _Ways(NamedTuple):
    """Ways on from a beam, by a label each."""

    beam: CTCBeam  # what the hypotheses become; their traces are still those of their parents
    label: Ints  # (N,)
    word: Ints  # (N,) that ends with the label, or NO_WORD


class CTCWordStream(WordStream[LogProbs, CTCBeam]):
    """The beam goes on with each frame."""

    def __init__(self, search: CTCWordSearch, trials: int) -> None:
        super().__init__(search, first_ctc_beam(trials, search.graph.scores.start), trials)
        self._tree = search.graph.tree
        labels = self._tree.labels
        self._boundary, self._blank = int(self._tree.label[ROOT]), labels.blank
        self._sounds = np.setdiff1d(np.arange(len(labels)), [self._blank, self._boundary])
        self._most = self._settings.lm_weight * search.graph.scores.most  # no way on gains more by words

    def step(self, pieces: Sequence[LogProbs]) -> None:
        emissions = [ctc_emissions(piece, self._settings, self._blank) for piece in pieces]
        sizes = np.array([len(piece) for piece in emissions])
        padded = np.zeros((sizes.max(initial=0), len(pieces), len(self._tree.labels)))
        for trial, piece in enumerate(emissions):
            padded[: len(piece), trial] = piece
        for frame, scores in enumerate(padded):
            self._go(frame < sizes)
            self._advance(scores)
            self.frames += frame < sizes
        self._rest()

    @property
    def scores(self) -> Floats:
        return self._add(self.beam.in_blank, self.beam.in_label)

    @property
    def traces(self) -> Ints:
        return self.beam.trace

    def _final(self) -> Floats:
        return self.scores

    def _advance(self, emission: Floats) -> None:
        """One frame, (trials, V), for the trials in the beam."""
        if not len(self.beam):
            return
        self._best = self._add(self.beam.in_blank, self.beam.in_label)
        self._best_trace = self.beam.trace
        stays = self._stay(emission)
        floor = self._floor(stays)
        ways = [way for way in (self._extend(emission, floor), self._end_words(emission, floor)) if len(way.label)]
        self.beam = self._merge(stays, ways) if ways else stays.take(self._survivors(stays))

    def _stay(self, emission: Floats) -> CTCBeam:
        """The frame is a blank, or holds the last label again; between words the boundary may come again."""
        beam = self.beam
        blank, last = emission[beam.trial, self._blank], emission[beam.trial, self._tree.label[beam.node]]
        between = beam.node == ROOT
        return replace(
            beam,
            in_blank=self._best + blank,
            blank_trace=self._best_trace,
            in_label=np.where(between, self._best + self._settings.silence_score, beam.in_label) + last,
            label_trace=np.where(between, self._best_trace, beam.label_trace),
        )

    def _floor(self, stays: CTCBeam) -> Floats:
        """(trials,) the score below which a hypothesis cannot be on the next beam."""
        score = self._add(stays.in_blank, stays.in_label)
        starts = np.flatnonzero(heads(stays.trial))
        counts = np.diff(starts, append=len(stays))
        best = np.maximum.reduceat(score, starts) - self._settings.beam_threshold
        worst = np.where(counts >= self._settings.ctc_beam_size, np.minimum.reduceat(score, starts), -np.inf)
        floor = np.full(len(self.frames), np.inf)
        floor[stays.trial[starts]] = np.maximum(best, worst)
        return floor

    def _extend(self, emission: Floats, floor: Floats) -> _Ways:
        """Append a sound within a word. Look-ahead never gains, hot words aside, so acoustics alone can rule it out."""
        beam, trial = self.beam, self.beam.trial
        most = emission[:, self._sounds].max(axis=1) + self._most
        rows = np.flatnonzero(self._best + most[trial] >= floor[trial])
        sounds = self.graph.sounds(beam.node[rows])
        parent, label = rows[sounds.parent], sounds.label
        repeated = label == self._tree.label[beam.node[parent]]  # needs a blank between
        score = np.where(repeated, beam.in_blank[parent], self._best[parent]) + emission[trial[parent], label]
        score += sounds.gain
        kept = np.flatnonzero(score >= floor[trial[parent]])
        parent, label = parent[kept], label[kept]
        after = replace(
            beam.take(parent),
            node=sounds.node[kept],
            in_label=score[kept],
            in_blank=np.full(len(kept), -np.inf),
            label_trace=np.where(repeated[kept], beam.blank_trace[parent], self._best_trace[parent]),
        )
        return _Ways(after, label, np.full(len(kept), NO_WORD))

    def _end_words(self, emission: Floats, floor: Floats) -> _Ways:
        """Append the boundary where words end, each homophone a way of its own."""
        graph, settings, beam, trial = self.graph, self._settings, self.beam, self.beam.trial
        heard = self._best + emission[trial, self._boundary] + settings.silence_score
        likely = heard - graph.ahead(beam.node) + settings.word_score + self._most >= floor[trial]
        rows = np.flatnonzero((self._tree.word_count[beam.node] > 0) & likely)
        ends = graph.ends(beam.node[rows], beam.lm[rows])
        parent = rows[ends.parent]
        after = replace(
            beam.take(parent),
            words=append_word(beam.words[parent], ends.word),
            node=np.full(len(parent), ROOT),
            lm=ends.lm,
            lm_score=beam.lm_score[parent] + ends.lm_score,
            in_label=heard[parent] + ends.gain,
            in_blank=np.full(len(parent), -np.inf),
            label_trace=self._best_trace[parent],
        )
        return _Ways(after, np.full(len(parent), self._boundary), ends.word)

    def _merge(self, stays: CTCBeam, ways: list[_Ways]) -> CTCBeam:
        """Make one of the hypotheses with the same words and node, and drop those that are too bad."""
        every = CTCBeam.join([stays, *(way.beam for way in ways)])
        key = every.key
        order = np.lexsort((-every.in_label, key, every.trial))
        first = heads(every.trial[order], key[order])
        group = np.empty(len(order), np.int64)
        group[order] = np.cumsum(first) - 1
        chosen, stayed = order[first], group[: len(stays)]
        merged = every.take(chosen)
        if self._settings.merge is Merge.sum:
            merged.in_label = np.logaddexp.reduceat(every.in_label[order], np.flatnonzero(first))
        merged.in_blank[stayed], merged.blank_trace[stayed] = stays.in_blank, stays.blank_trace
        kept = self._survivors(merged)
        return self._emit(merged.take(kept), chosen[kept] - len(stays), ways)

    def _survivors(self, beam: CTCBeam) -> Ints:
        score = self._add(beam.in_blank, beam.in_label)
        return best_rows(score, beam.trial, self._settings.ctc_beam_size, self._settings.beam_threshold)

    def _emit(self, beam: CTCBeam, way: Ints, ways: list[_Ways]) -> CTCBeam:
        """Remember the emissions that led to a beam; way says which of the ways each hypothesis took, below 0 none."""
        new = np.flatnonzero(way >= 0)
        label, word = (np.concatenate(columns)[way[new]] for columns in zip(*(w[1:] for w in ways), strict=True))
        beam.label_trace[new] = self.trace.add(beam.label_trace[new], label, self.frames[beam.trial[new]], word)
        return beam

    def _forget(self) -> None:
        beam, size = self.beam, len(self.beam)
        traces = self.trace.keep(np.concatenate([beam.blank_trace, beam.label_trace]))
        beam.blank_trace, beam.label_trace = traces[:size], traces[size:]


def ctc_emissions(log_probs: NDArray[np.floating], settings: WordSearchConfig, blank: int) -> Floats:
    """Flatten posteriors (S, V) by the temperature, then take the penalty from blank."""
    scaled = np.asarray(log_probs, dtype=np.float64) / settings.temperature
    scaled -= np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    scaled[:, blank] -= settings.blank_penalty
    return np.maximum(scaled, _LEAST)
