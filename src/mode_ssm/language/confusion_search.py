"""Words from confusion networks: a beam over the lexicon's prefix tree with edits, all trials side by side.

Slot by slot, a hypothesis takes a phoneme for what the slot holds, or leaves the slot as added; between slots it can
take phonemes that were lost. All alignments of the same words are summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.language.confusion import ConfusionScores
from mode_ssm.language.model import WordModel
from mode_ssm.language.scores import WordScores
from mode_ssm.language.segments import Flags, Floats, Ints, best_rows, expand, heads
from mode_ssm.language.trie import ROOT, PrefixTree, build_tree

_MOST_LOST = 2  # phonemes in a row, between two slots
_MULTIPLIER, _TRIAL, _NODE = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))


@dataclass(frozen=True)
class ConfusionWeights:
    """Scores are natural logarithms; the confusion model's has weight 1."""

    lm_weight: float = 0.9
    word_score: float = 1.0  # added for each word
    beam_size: int = 200  # hypotheses of a trial
    beam_threshold: float = 14.0  # nats below the best at which a hypothesis is dropped


class HeardSentence(NamedTuple):
    """A reading of a trial: its word numbers, and each score without its weight."""

    words: tuple[int, ...]
    channel: float  # of the confusion model
    lm: float  # sentence end included
    score: float  # what the search ranks by


@dataclass(slots=True)
class _Beam:
    """Each field (N,): the hypotheses of all trials; those of a trial stand together."""

    trial: Ints
    node: Ints
    channel: Floats  # log-probability of the slots so far
    lm: Floats  # of the words so far
    count: Ints  # of words
    history: Ints  # the place of the last word among all that ended
    key: NDArray[np.uint64]  # of the words so far
    state: Ints  # of the words' scores

    def __len__(self) -> int:
        return len(self.trial)

    def take(self, rows: Ints | Flags) -> "_Beam":
        return _Beam(*(getattr(self, field.name)[rows] for field in fields(self)))


def _join(beams: Sequence[_Beam]) -> _Beam:
    """All hypotheses, those of a trial together again."""
    joined = _Beam(*(np.concatenate([getattr(beam, field.name) for beam in beams]) for field in fields(_Beam)))
    return joined.take(np.argsort(joined.trial, kind="stable"))


class ConfusionSearch:
    """Searches many trials at once; keeps nothing of them."""

    def __init__(self, model: WordModel, weights: ConfusionWeights) -> None:
        self._scores, self._weights = WordScores(model), weights
        self._tree = build_tree(model)

    def __call__(self, trials: Sequence[ConfusionScores], nbest: int) -> list[list[HeardSentence]]:
        """The best sentences of each trial, best first; an empty list where no sentence is within the beam."""
        return _Run(self._scores, self._tree, self._weights, trials).search(nbest)


class _Run:
    def __init__(
        self, scores: WordScores, tree: PrefixTree, weights: ConfusionWeights, trials: Sequence[ConfusionScores]
    ) -> None:
        self._scores, self._tree, self._weights = scores, tree, weights
        self._lengths = np.array([len(trial.added) for trial in trials])
        self._said = np.full((len(trials), int(self._lengths.max()), len(tree.labels)), -np.inf)
        self._added = np.full(self._said.shape[:2], -np.inf)
        for row, trial in enumerate(trials):
            self._said[row, : len(trial.said)], self._added[row, : len(trial.said)] = trial.said, trial.added
        self._lost = np.stack([trial.lost for trial in trials])
        self._parents, self._words, self._ended = [np.array([-1])], [np.array([-1])], 1

    def search(self, nbest: int) -> list[list[HeardSentence]]:
        beam = self._lose(self._begin())
        done: list[_Beam] = []
        for slot in range(int(self._lengths.max())):
            going_on = self._lengths[beam.trial] > slot
            done.append(beam.take(~going_on))
            beam = beam.take(going_on)
            moved = self._advance(beam, self._said[:, slot])
            beam.channel = beam.channel + self._added[beam.trial, slot]
            beam = self._lose(self._prune(_join([beam, *moved])))
        return self._read(_join([*done, beam]), nbest)

    def _begin(self) -> _Beam:
        trials = np.arange(len(self._lengths))
        zeros, nothing = np.zeros(len(trials)), np.zeros(len(trials), np.int64)
        start = nothing + self._scores.start
        return _Beam(trials, nothing + ROOT, zeros, zeros, nothing, nothing, nothing.astype(np.uint64), start)

    def _lose(self, beam: _Beam) -> _Beam:
        """Also take phonemes that no slot holds."""
        new = beam
        for _ in range(_MOST_LOST):
            best = self._best(beam)
            moved = _join(self._advance(new, self._lost))
            new = moved.take(self._total(moved) > best[moved.trial] - self._weights.beam_threshold)
            if not len(new):
                break
            beam = self._prune(_join([beam, new]))
        return beam

    def _total(self, beam: _Beam) -> Floats:
        ahead = beam.lm + self._tree.best[beam.node]
        return np.asarray(beam.channel + self._weights.lm_weight * ahead + self._weights.word_score * beam.count)

    def _best(self, beam: _Beam) -> Floats:
        best = np.full(len(self._lengths), -np.inf)
        np.maximum.at(best, beam.trial, self._total(beam))
        return best

    def _advance(self, beam: _Beam, scores: Floats) -> list[_Beam]:
        """Every next phoneme of every hypothesis, and every word that can end; scores (trials, V)."""
        tree = self._tree
        rows, edges = expand(tree.first_child[beam.node], tree.child_count[beam.node])
        node = tree.children[edges]
        channel = beam.channel[rows] + scores[beam.trial[rows], tree.label[node]]
        hopeful = self._hopeful(beam, rows, node, channel)
        within = beam.take(rows[hopeful])
        within.node, within.channel = node[hopeful], channel[hopeful]
        rows, edges = expand(tree.first_word[beam.node], tree.word_count[beam.node])
        channel = beam.channel[rows] + scores[beam.trial[rows], tree.labels.boundary]
        hopeful = self._hopeful(beam, rows, beam.node[rows], channel)
        ended = beam.take(rows[hopeful])
        ended.channel = channel[hopeful]
        self._end_words(ended, tree.words[edges[hopeful]])
        return [within, ended]

    def _hopeful(self, beam: _Beam, rows: Ints, node: Ints, channel: Floats) -> Flags:
        """Which moves are within the threshold of their trial's best before what a word's end costs is known."""
        ahead = beam.lm[rows] + self._tree.best[node]
        total = channel + self._weights.lm_weight * ahead + self._weights.word_score * beam.count[rows]
        best = np.full(len(self._lengths), -np.inf)
        np.maximum.at(best, beam.trial[rows], total)
        kept: Flags = total > best[beam.trial[rows]] - self._weights.beam_threshold
        return kept

    def _end_words(self, beam: _Beam, words: Ints) -> None:
        beam.state, gained = self._scores.score(beam.state, words)
        beam.lm, beam.count, beam.node = beam.lm + gained, beam.count + 1, np.full(len(beam), ROOT)
        self._parents.append(beam.history)
        self._words.append(words)
        beam.history = self._ended + np.arange(len(beam))
        self._ended += len(beam)
        key = (beam.key + words.astype(np.uint64) + np.uint64(1)) * _MULTIPLIER
        beam.key = key ^ (key >> np.uint64(29))

    def _prune(self, beam: _Beam) -> _Beam:
        """Sum the alignments of equal words and nodes, then keep each trial's best."""
        beam = beam.take(self._total(beam) > self._best(beam)[beam.trial] - self._weights.beam_threshold)
        key = beam.key ^ beam.trial.astype(np.uint64) * _TRIAL ^ beam.node.astype(np.uint64) * _NODE
        order = np.lexsort((key, beam.trial))
        starts = np.flatnonzero(heads(beam.trial[order], key[order]))
        channel = np.logaddexp.reduceat(beam.channel[order], starts)
        beam = beam.take(order[starts])
        beam.channel = channel
        return beam.take(
            best_rows(self._total(beam), beam.trial, self._weights.beam_size, self._weights.beam_threshold)
        )

    def _read(self, beam: _Beam, nbest: int) -> list[list[HeardSentence]]:
        beam = beam.take(beam.node == ROOT)
        beam.lm = beam.lm + self._scores.finish(beam.state)
        total = self._total(beam)
        parents, words = np.concatenate(self._parents), np.concatenate(self._words)
        found: list[list[HeardSentence]] = [[] for _ in self._lengths]
        for row in np.lexsort((-total, beam.trial)).tolist():
            trial, place = found[beam.trial[row]], int(beam.history[row])
            if len(trial) < nbest:
                said = _follow(parents, words, place)
                trial.append(HeardSentence(said, float(beam.channel[row]), float(beam.lm[row]), float(total[row])))
        return found


def _follow(parents: Ints, words: Ints, place: int) -> tuple[int, ...]:
    said = []
    while place > 0:
        said.append(int(words[place]))
        place = int(parents[place])
    return tuple(said[::-1])
