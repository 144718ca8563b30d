"""Words from CTC posteriors: a beam search over the lexicon's prefix tree with the n-gram model at each word's end.

The score of a sentence is that of its best path, or of all its paths (`search.merge`). A word's best reachable unigram
score is applied as soon as its first phoneme is (look-ahead), and replaced at its end. A hypothesis keeps the paths
that end in a blank apart from those that end in its last label, as Hannun et al. 2014, First-pass large vocabulary
continuous speech recognition using bi-directional recurrent DNNs, section 3.

One implementation serves whole trials and streams: a whole trial is a stream that ends after its first piece.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.language.beam import Beam, append_word, first_beam, join
from mode_ssm.language.history import NO_WORD, Backtrace
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence, read_hypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.scores import WordScores
from mode_ssm.language.segments import Flags, Floats, Ints, best_rows, expand, heads
from mode_ssm.language.trie import ROOT, PrefixTree

_LEAST = -1e4  # stands for the logarithm of 0, so that sums stay finite
_TIDY_EVERY = 1 << 18  # emissions after which those that nothing comes from are forgotten


class CTCWordSearch:
    """A lexicon, its n-gram scores and the weights of a search; it keeps nothing of a trial."""

    def __init__(self, model: WordModel, tree: PrefixTree, settings: WordSearchConfig, nbest: int) -> None:
        self.scores = WordScores(model)
        self.tree = tree
        self.settings = settings
        self.nbest = nbest

    def begin(self, trials: int = 1) -> "CTCWordStream":
        """Start that many trials side by side."""
        return CTCWordStream(self, trials)

    def __call__(self, trials: Sequence[NDArray[np.floating]]) -> list[list[WordHypothesis]]:
        """Search whole trials, log-probabilities (S, V) each: of each its n-best, best first."""
        stream = self.begin(len(trials))
        stream.step(trials)
        return stream.end()


class _Ways(NamedTuple):
    """Ways on from a beam, by a label each."""

    beam: Beam  # what the hypotheses become; their traces are still those of their parents
    label: Ints  # (N,)
    word: Ints  # (N,) that ends with the label, or NO_WORD


class CTCWordStream:
    """Trials on their way through the search, which all get their frames in pieces of any size."""

    def __init__(self, search: CTCWordSearch, trials: int) -> None:
        self._tree, self._scores, self._settings = search.tree, search.scores, search.settings
        self._nbest = search.nbest
        labels = self._tree.labels
        self._boundary, self._blank = int(self._tree.label[ROOT]), labels.blank
        self._sounds = np.setdiff1d(np.arange(len(labels)), [self._blank, self._boundary])
        self._add = np.logaddexp if self._settings.merge is Merge.sum else np.maximum
        self.trace = Backtrace()
        self.beam = first_beam(trials, self._scores.start)
        self.frames = np.zeros(trials, np.int64)  # taken so far, by trial
        self._tidy_at = _TIDY_EVERY

    def step(self, pieces: Sequence[NDArray[np.floating]]) -> None:
        """Take the next log-probabilities (s, V) of each trial; a piece may be empty."""
        emissions = [ctc_emissions(piece, self._settings, self._blank) for piece in pieces]
        sizes = np.array([len(piece) for piece in emissions])
        parked = []
        padded = np.zeros((sizes.max(initial=0), len(pieces), len(self._tree.labels)))
        for trial, piece in enumerate(emissions):
            padded[: len(piece), trial] = piece
        for frame, scores in enumerate(padded):
            if np.any(sizes == frame):
                going = frame < sizes[self.beam.trial]
                parked.append(self.beam.take(~going))
                self.beam = self.beam.take(going)
            self._advance(scores)
            self.frames += frame < sizes
        if parked:
            together = join([*parked, self.beam])
            self.beam = together.take(np.argsort(together.trial, kind="stable"))
        if len(self.trace) > self._tidy_at:
            self._tidy()

    @property
    def scores(self) -> Floats:
        """(N,) of the hypotheses of the beam."""
        return self._add(self.beam.in_blank, self.beam.in_label)

    @property
    def traces(self) -> Ints:
        """(N,) the last emission of each hypothesis' best path."""
        return likelier_trace(self.beam)

    def keep(self, rows: Flags) -> None:
        """Drop all other hypotheses."""
        self.beam = self.beam.take(rows)

    def end(self) -> list[list[WordHypothesis]]:
        """Each trial's n-best; sentences that stop within a word only where there is no other."""
        beam, tree = self.beam, self._tree
        finished = self._scores.finish(beam.lm)
        score = self._add(beam.in_blank, beam.in_label)
        score = score + self._settings.lm_weight * (finished - tree.best[beam.node])
        lm, trace = beam.lm_score + finished, likelier_trace(beam)

        def read(row: int) -> WordHypothesis:
            path = self.trace.path(int(trace[row]))
            return read_hypothesis(path, score[row], lm[row], self._scores.names, self._boundary)

        result = []
        for trial in range(len(self.frames)):
            rows = np.flatnonzero(beam.trial == trial)
            whole = rows[beam.node[rows] == ROOT]
            rows = whole if len(whole) else rows
            best = rows[np.argsort(-score[rows], kind="stable")]
            result.append(best_per_sentence(map(read, best.tolist()), self._nbest))
        return result

    def _advance(self, emission: Floats) -> None:
        """One frame, (trials, V), for the trials in the beam."""
        if not len(self.beam):
            return
        self._best = self._add(self.beam.in_blank, self.beam.in_label)
        self._best_trace = likelier_trace(self.beam)
        stays = self._stay(emission)
        floor = self._floor(stays)
        ways = [way for way in (self._extend(emission, floor), self._end_words(emission, floor)) if len(way.label)]
        self.beam = self._merge(stays, ways) if ways else stays.take(self._survivors(stays))

    def _stay(self, emission: Floats) -> Beam:
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

    def _floor(self, stays: Beam) -> Floats:
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
        tree, beam, trial, weight = self._tree, self.beam, self.beam.trial, self._settings.lm_weight
        most = emission[:, self._sounds].max(axis=1) + weight * self._scores.most
        rows = np.flatnonzero(self._best + most[trial] >= floor[trial])
        parent, edge = expand(tree.first_child[beam.node[rows]], tree.child_count[beam.node[rows]])
        parent, child = rows[parent], tree.children[edge]
        label, node = tree.label[child], beam.node[parent]
        repeated = label == tree.label[node]  # needs a blank between
        score = np.where(repeated, beam.in_blank[parent], self._best[parent]) + emission[trial[parent], label]
        score += weight * (tree.best[child] - tree.best[node])
        kept = np.flatnonzero(score >= floor[trial[parent]])
        parent, label = parent[kept], label[kept]
        after = replace(
            beam.take(parent),
            node=child[kept],
            in_label=score[kept],
            in_blank=np.full(len(kept), -np.inf),
            label_trace=np.where(repeated[kept], beam.blank_trace[parent], self._best_trace[parent]),
        )
        return _Ways(after, label, np.full(len(kept), NO_WORD))

    def _end_words(self, emission: Floats, floor: Floats) -> _Ways:
        """Append the boundary where words end, each homophone a way of its own."""
        tree, settings, beam, trial = self._tree, self._settings, self.beam, self.beam.trial
        heard = self._best + emission[trial, self._boundary] + settings.silence_score + settings.word_score
        heard -= settings.lm_weight * tree.best[beam.node]
        likely = heard + settings.lm_weight * self._scores.most >= floor[trial]
        rows = np.flatnonzero((tree.word_count[beam.node] > 0) & likely)
        parent, place = expand(tree.first_word[beam.node[rows]], tree.word_count[beam.node[rows]])
        parent, word = rows[parent], tree.words[place]
        lm, gained = self._scores.score(beam.lm[parent], word)
        after = replace(
            beam.take(parent),
            words=append_word(beam.words[parent], word),
            node=np.full(len(word), ROOT),
            lm=lm,
            lm_score=beam.lm_score[parent] + gained,
            in_label=heard[parent] + settings.lm_weight * gained,
            in_blank=np.full(len(word), -np.inf),
            label_trace=self._best_trace[parent],
        )
        return _Ways(after, np.full(len(word), self._boundary), word)

    def _merge(self, stays: Beam, ways: list[_Ways]) -> Beam:
        """Make one of the hypotheses with the same words and node, and drop those that are too bad."""
        every = join([stays, *(way.beam for way in ways)])
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

    def _survivors(self, beam: Beam) -> Ints:
        score = self._add(beam.in_blank, beam.in_label)
        return best_rows(score, beam.trial, self._settings.ctc_beam_size, self._settings.beam_threshold)

    def _emit(self, beam: Beam, way: Ints, ways: list[_Ways]) -> Beam:
        """Remember the emissions that led to a beam; way says which of the ways each hypothesis took, below 0 none."""
        new = np.flatnonzero(way >= 0)
        label, word = (np.concatenate(columns)[way[new]] for columns in zip(*(w[1:] for w in ways), strict=True))
        beam.label_trace[new] = self.trace.add(beam.label_trace[new], label, self.frames[beam.trial[new]], word)
        return beam

    def _tidy(self) -> None:
        beam, size = self.beam, len(self.beam)
        traces = self.trace.keep(np.concatenate([beam.blank_trace, beam.label_trace]))
        beam.blank_trace, beam.label_trace = traces[:size], traces[size:]
        self._tidy_at = max(_TIDY_EVERY, 2 * len(self.trace))


def likelier_trace(beam: Beam) -> Ints:
    """(N,) the last emission of each hypothesis' best path."""
    return np.where(beam.in_blank >= beam.in_label, beam.blank_trace, beam.label_trace)


def ctc_emissions(log_probs: NDArray[np.floating], settings: WordSearchConfig, blank: int) -> Floats:
    """Flatten posteriors (S, V) by the temperature, then take the penalty from blank."""
    scaled = np.asarray(log_probs, dtype=np.float64) / settings.temperature
    scaled -= np.logaddexp.reduce(scaled, axis=1, keepdims=True)
    scaled[:, blank] -= settings.blank_penalty
    return np.maximum(scaled, _LEAST)
