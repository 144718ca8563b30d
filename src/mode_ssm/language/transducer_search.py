"""Words from a transducer, alone or jointly with CTC: a beam search over the lexicon's prefix tree, frame by frame.

A hypothesis is words, a node of the tree and the labels so far; each of its alignments has at most
`max_labels_per_frame` labels in a frame and a blank that closes every frame, with the labels of a frame expanded
breadth first (Graves 2012, Sequence transduction with recurrent neural networks, section 2.4). The score of a sentence
is that of its best alignment, or of all of them (`search.merge`):

    log P_transducer + lm_weight * log P_ngram - internal_lm_weight * log P_internal + word_score * words

and jointly + ctc_weight * log P_ctc(labels), which sums over CTC's own paths. While the frames come, the probability
that CTC has said just these labels, a little before the transducer's frame or up to `ctc_ahead_frames` after it, stands
for the latter: CTC often says a label a little later. (The probability of all that begins with the labels would not do:
it never falls, so that hypotheses that leave words out would drive the others off the beam.) The first word from a
stream comes so much later, and nothing else of the future is needed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.decoding.label_prefixes import LabelPrefixes
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.labels import Labels
from mode_ssm.language.beam import TransducerBeam, append_word, first_transducer_beam
from mode_ssm.language.history import NO_WORD
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.segments import Flags, Floats, Ints, best_rows, heads
from mode_ssm.language.trie import ROOT
from mode_ssm.language.word_graph import LabelGraph, WordGraph
from mode_ssm.language.word_stream import WordSearch, WordStream

_LEAST = -1e4  # of a prefix for which CTC has not heard enough frames yet
_LATE = 2  # frames: a label that CTC has and a hypothesis lacks may come so much later in the transducer
_WINDOW = 16  # frames: a label's places in CTC and in the transducer are no farther apart


@dataclass(frozen=True)
class TransducerFrames:
    """A piece of a trial."""

    encoded: Tensor  # (s, J) encoder projections
    ctc: NDArray[np.floating] | None = None  # (s, V) log-probabilities, for a joint search

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, frames: slice) -> "TransducerFrames":
        return TransducerFrames(self.encoded[frames], None if self.ctc is None else self.ctc[frames])


class TransducerSearch(WordSearch[TransducerFrames]):
    """A transducer with a graph of words or of labels; joint where pieces bring CTC's log-probabilities.

    Args:
        graph: what may be said.
        transducer: predictor and joiner.
        settings: the beam and its weights.
        nbest: hypotheses of a trial at its end.
        joint: whether CTC's log-probabilities come with the pieces, and count.
    """

    def __init__(
        self,
        graph: WordGraph,
        transducer: TransducerCallables,
        settings: WordSearchConfig,
        nbest: int,
        *,
        joint: bool = False,
    ) -> None:
        super().__init__(graph, settings, nbest)
        self.transducer, self.joint = transducer, joint and settings.ctc_weight > 0

    def begin(self, trials: int = 1) -> "TransducerStream":
        return TransducerStream(self, trials)


class _Ways(NamedTuple):
    """Ways on from a beam, by a label each."""

    beam: TransducerBeam  # what the hypotheses become; their prefixes and traces are still those of their parents
    label: Ints  # (N,)
    word: Ints  # (N,) that ends with the label, or NO_WORD


class TransducerStream(WordStream[TransducerFrames, TransducerBeam]):
    """The beam goes on with each frame, once CTC has heard `ctc_ahead_frames` more where it counts."""

    def __init__(self, search: TransducerSearch, trials: int) -> None:
        super().__init__(search, first_transducer_beam(trials, search.graph.scores.start), trials)
        self._transducer, settings = search.transducer, search.settings
        self._blank, self._boundary = search.transducer.blank, int(search.graph.tree.label[ROOT])
        self._ctc_weight = settings.ctc_weight if search.joint else 0.0
        self._most = settings.lm_weight * search.graph.scores.most
        self._ahead = settings.ctc_ahead_frames if search.joint else 0
        self._heard = np.zeros(trials, np.int64)
        self._waiting: Tensor | None = None  # (trials, 1 + ahead, J), frame t of a trial at t % (1 + ahead)
        self._prefixes: LabelPrefixes | None = None  # made with the first frame, which says where the network is

    @property
    def heard(self) -> Ints:
        return self._heard

    @torch.no_grad()
    def step(self, pieces: Sequence[TransducerFrames]) -> None:
        sizes = np.array([len(piece) for piece in pieces])
        if sizes.max(initial=0):
            waiting = self._begun(pieces)
            for frame in range(sizes.max()):
                comes: Flags = frame < sizes
                self._hear(pieces, frame, comes, waiting)
                self._advance_those(comes & (self._heard - self.frames > self._ahead), waiting)
        self._rest()

    def _begun(self, pieces: Sequence[TransducerFrames]) -> Tensor:
        if self._waiting is None:
            first = pieces[0].encoded
            self._waiting = first.new_zeros(len(pieces), 1 + self._ahead, first.shape[1])
            classes = len(self.graph.tree.labels) if self._ctc_weight else None
            self._prefixes = LabelPrefixes(self._transducer, len(pieces), _WINDOW, classes, first.device)
        return self._waiting

    def _hear(self, pieces: Sequence[TransducerFrames], frame: int, comes: Flags, waiting: Tensor) -> None:
        """Keep one frame of each trial that has one, and let CTC's prefixes know it."""
        trials = np.flatnonzero(comes).tolist()
        for trial, place in zip(trials, (self._heard[trials] % (1 + self._ahead)).tolist(), strict=True):
            waiting[trial, place] = pieces[trial].encoded[frame]
        prefixes = self._prefixes
        if prefixes is not None and prefixes.ctc is not None:
            emission = np.zeros((len(pieces), len(self.graph.tree.labels)))
            for trial in trials:
                ctc = pieces[trial].ctc
                if ctc is None:
                    raise TypeError("A joint search needs the CTC log-probabilities of each piece.")
                emission[trial] = ctc[frame]
            prefixes.ctc.hear(emission, comes, prefixes.alive)
        self._heard += comes

    def _final(self) -> Floats:
        ctc = None if self._prefixes is None else self._prefixes.ctc
        return self.beam.score if ctc is None else self.beam.score + self._ctc_weight * ctc.whole[self.beam.prefix]

    @torch.no_grad()
    def end(self) -> list[list[WordHypothesis]]:
        while self._waiting is not None and np.any(self._heard > self.frames):  # frames that waited for CTC
            self._advance_those(self._heard > self.frames, self._waiting)
        self._rest()
        return super().end()

    @property
    def scores(self) -> Floats:
        return self._total(self.beam.score, self.beam.prefix)

    @property
    def traces(self) -> Ints:
        return self.beam.trace

    def _most_total(self, score: Floats, prefix: Ints) -> Floats:
        """What CTC makes of scores, at most, however hypotheses go on."""
        ctc = None if self._prefixes is None else self._prefixes.ctc
        return score if ctc is None else score + self._ctc_weight * np.maximum(ctc.prefix[prefix], _LEAST)

    def _total(self, score: Floats, prefix: Ints) -> Floats:
        ctc = None if self._prefixes is None else self._prefixes.ctc
        if ctc is None:
            return score
        return score + self._ctc_weight * np.maximum(ctc.lately(prefix, self._ahead + _LATE), _LEAST)

    def _advance_those(self, going: Flags, waiting: Tensor) -> None:
        """One frame of the trials that are going."""
        if not going.any():
            return
        self._go(going)
        places = (self.frames % (1 + self._ahead)).tolist()
        self._advance(torch.stack([kept[place] for kept, place in zip(waiting, places, strict=True)]))
        self.frames += going
        assert self._prefixes is not None
        if self._parked is None:
            self.beam.prefix = self._prefixes.end_frame(going, self.beam.prefix)
        else:
            size = len(self.beam)
            rows = self._prefixes.end_frame(going, np.concatenate([self.beam.prefix, self._parked.prefix]))
            self.beam.prefix, self._parked.prefix = rows[:size], rows[size:]

    def _advance(self, frames: Tensor) -> None:
        """One frame, (trials, J), for the trials in the beam."""
        prefixes, settings = self._prefixes, self._settings
        assert prefixes is not None
        open_ones, closed, floor = self.beam, [], None
        for labels_here in range(settings.max_labels_per_frame + 1):
            log_probs = prefixes.join(frames, open_ones.prefix)
            log_probs[:, self._blank] -= settings.blank_penalty
            ended = replace(open_ones, score=open_ones.score + log_probs[:, self._blank])
            closed.append(ended)
            if floor is None:
                floor = self._floor(ended)
            if labels_here == settings.max_labels_per_frame:
                break
            open_ones = self._expand(open_ones, log_probs, floor, frames.shape[1])
            if not len(open_ones):
                break
        self.beam = self._merge(closed)

    def _floor(self, beam: TransducerBeam) -> Floats:
        """(trials,) the score below which a hypothesis cannot be on the next beam."""
        score = self._total(beam.score, beam.prefix)
        starts = np.flatnonzero(heads(beam.trial))
        counts = np.diff(starts, append=len(beam))
        best = np.maximum.reduceat(score, starts) - self._settings.beam_threshold
        worst = np.where(counts >= self._settings.rnnt_beam_size, np.minimum.reduceat(score, starts), -np.inf)
        floor = np.full(len(self.frames), np.inf)
        floor[beam.trial[starts]] = np.maximum(best, worst)
        return floor

    def _expand(self, beam: TransducerBeam, log_probs: Floats, floor: Floats, width: int) -> TransducerBeam:
        """Append a label where that can still reach the beam; the best of each trial. log_probs are given up."""
        prefixes, settings = self._prefixes, self._settings
        assert prefixes is not None
        least = log_probs.max(axis=1, keepdims=True) - settings.label_threshold
        log_probs[:, self._blank] = -np.inf
        log_probs[log_probs < least] = -np.inf
        rows = np.flatnonzero(log_probs.max(axis=1) > -np.inf)
        heard = log_probs[rows]
        if settings.internal_lm_weight and len(rows):
            heard -= settings.internal_lm_weight * prefixes.internal_lm(beam.prefix[rows], width)
        most = self._most_total(beam.score[rows], beam.prefix[rows]) + heard.max(axis=1, initial=-np.inf) + self._most
        likely = most + max(settings.word_score, 0.0) >= floor[beam.trial[rows]]
        rows, heard = rows[likely], heard[likely]
        several = [self._sounds(beam, rows, heard), self._ends(beam, rows, heard)]
        label, word = (np.concatenate(columns) for columns in zip(*(ways[1:] for ways in several), strict=True))
        return self._say(_Ways(TransducerBeam.join([ways.beam for ways in several]), label, word), floor)

    def _sounds(self, beam: TransducerBeam, rows: Ints, heard: Floats) -> _Ways:
        """A sound more of a word."""
        sounds = self.graph.sounds(beam.node[rows])
        acoustic = heard[sounds.parent, sounds.label]
        kept = np.flatnonzero(acoustic > -np.inf)
        parent = rows[sounds.parent[kept]]
        score = beam.score[parent] + acoustic[kept] + sounds.gain[kept]
        after = replace(beam.take(parent), node=sounds.node[kept], score=score)
        return _Ways(after, sounds.label[kept], np.full(len(kept), NO_WORD))

    def _ends(self, beam: TransducerBeam, rows: Ints, heard: Floats) -> _Ways:
        """The boundary where words end, each homophone a way of its own."""
        tree, graph = self.graph.tree, self.graph
        ending = np.flatnonzero((tree.word_count[beam.node[rows]] > 0) & (heard[:, self._boundary] > -np.inf))
        rows, acoustic = rows[ending], heard[ending, self._boundary]
        ends = graph.ends(beam.node[rows], beam.lm[rows])
        parent = rows[ends.parent]
        after = replace(
            beam.take(parent),
            words=append_word(beam.words[parent], ends.word),
            node=np.full(len(parent), ROOT),
            lm=ends.lm,
            lm_score=beam.lm_score[parent] + ends.lm_score,
            score=beam.score[parent] + acoustic[ends.parent] + ends.gain,
        )
        return _Ways(after, np.full(len(parent), self._boundary), ends.word)

    def _say(self, ways: _Ways, floor: Floats) -> TransducerBeam:
        """The best ways on of each trial, with the prefixes and traces of what was said."""
        prefixes, trial = self._prefixes, ways.beam.trial
        assert prefixes is not None
        total = self._most_total(ways.beam.score, ways.beam.prefix)  # CTC's part can only fall
        rows = np.flatnonzero(total >= floor[trial])
        rows = rows[np.argsort(trial[rows], kind="stable")]
        total = total[rows]
        if prefixes.ctc is not None and len(rows):
            ctc = prefixes.ctc.extended(ways.beam.prefix[rows], ways.label[rows])
            total = ways.beam.score[rows] + self._ctc_weight * np.maximum(ctc, _LEAST)
            likely = total >= floor[trial[rows]]
            rows, total = rows[likely], total[likely]
        if len(rows):
            rows = rows[best_rows(total, trial[rows], self._settings.rnnt_beam_size, np.inf)]
        after, label = ways.beam.take(rows), ways.label[rows]
        if len(rows):
            after.prefix = prefixes.extend(after.prefix, label)
            after.trace = self.trace.add(after.trace, label, self.frames[after.trial], ways.word[rows])
        return after

    def _merge(self, closed: list[TransducerBeam]) -> TransducerBeam:
        """Make one of the alignments of a hypothesis, and drop hypotheses that are too bad."""
        merged = TransducerBeam.join(closed)
        if len(closed) > 1:
            key = merged.key
            order = np.lexsort((-merged.score, key, merged.trial))
            first = heads(merged.trial[order], key[order])
            score = merged.score[order]
            merged = merged.take(order[first])
            if self._settings.merge is Merge.sum:
                merged.score = np.logaddexp.reduceat(score, np.flatnonzero(first))
        total = self._total(merged.score, merged.prefix)
        settings = self._settings
        return merged.take(best_rows(total, merged.trial, settings.rnnt_beam_size, settings.beam_threshold))

    def _forget(self) -> None:
        self.beam.trace = self.trace.keep(self.beam.trace)


def label_search(
    labels: Labels, transducer: TransducerCallables, beam_size: int, max_labels_per_frame: int
) -> TransducerSearch:
    """The n-best label sequences, without a lexicon: each is worth all its alignments."""
    settings = WordSearchConfig(
        rnnt_beam_size=beam_size,
        max_labels_per_frame=max_labels_per_frame,
        merge=Merge.sum,
        beam_threshold=math.inf,
        label_threshold=math.inf,
        internal_lm_weight=0.0,
        blank_penalty=0.0,
    )
    return TransducerSearch(LabelGraph(labels), transducer, settings, beam_size)
