"""Beam search over transducer hypotheses, frame by frame, for several trials at once.

A hypothesis is a label sequence; its alignments are summed (log-add), each of them with at most `max_labels_per_frame`
labels in a frame and a blank that closes every frame. With a beam as wide as the space of label sequences the search is
exhaustive. Graves 2012, Sequence transduction with recurrent neural networks, section 2.4, with the labels of a frame
expanded breadth first.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mode_ssm.decoding.ctc import Floats
from mode_ssm.decoding.guide import Guide, SumOfGuides
from mode_ssm.decoding.predictor_pool import PredictorPool
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.phonemes import BLANK


@dataclass(frozen=True)
class BeamOptions:
    beam_size: int  # hypotheses kept per trial
    max_labels_per_frame: int
    threshold: float  # nats below the trial's best at which a hypothesis is dropped; may be infinite
    label_threshold: float = math.inf  # nats below a frame's best symbol, blank included, at which no label is tried
    internal_lm_weight: float = 0.0  # how much of the predictor's own language model is taken away
    blank_penalty: float = 0.0  # nats taken from blank in every frame


class BeamHypothesis(NamedTuple):
    """A finished hypothesis; score = transducer + what the guide and the internal language model added."""

    labels: tuple[int, ...]
    score: float  # natural log, like all scores here
    frames: tuple[int, ...]  # the encoder frame of each label, in the better-scored alignments
    transducer: float  # log P(labels), summed over alignments, blank penalties taken
    guide_state: Any
    complete: bool  # false where the guide was left within a word


@dataclass(slots=True)
class _Prefix:
    """What of a hypothesis does not depend on its alignment; kept from frame to frame."""

    trial: int
    labels: tuple[int, ...]
    guide_state: Any
    key: Hashable  # of labels and guide state
    added: float  # by the guide and the internal language model
    row: int  # in the predictor pool
    options: Floats | None = None  # (V,) what each next label would add


class _Entry(NamedTuple):
    """A hypothesis on the beam: a prefix, its alignments summed up to some frame."""

    prefix: _Prefix
    transducer: float
    frames: tuple[int, ...]

    @property
    def score(self) -> float:
        return self.transducer + self.prefix.added


_Closed = dict[int, dict[Hashable, _Entry]]  # by trial, hypotheses that have ended the frame


class _Search:
    """The beams of all trials, moved forward together a frame at a time."""

    def __init__(
        self,
        encoded: Tensor,
        sizes: list[int],
        model: TransducerCallables,
        options: BeamOptions,
        guides: Sequence[Guide] | None,
    ) -> None:
        self._encoded = encoded
        self._sizes = sizes
        self._options = options
        self._guides = guides if guides is not None else [SumOfGuides([])] * len(sizes)
        self._pool = PredictorPool(model, len(sizes), encoded.new_zeros(1, encoded.shape[2]))
        self._beams = [[_Entry(self._first_prefix(trial), 0.0, ())] for trial in range(len(sizes))]

    def _first_prefix(self, trial: int) -> _Prefix:
        state = self._guides[trial].start()
        return _Prefix(trial, (), state, ((), self._guides[trial].key(state)), added=0.0, row=trial)

    def step(self, frame: int) -> None:
        active = [trial for trial, size in enumerate(self._sizes) if frame < size]
        entries = [entry for trial in active for entry in self._beams[trial]]
        rows = {(entry.prefix.trial, entry.prefix.labels): entry.prefix.row for entry in entries}
        closed: _Closed = {trial: {} for trial in active}
        for labels_here in range(self._options.max_labels_per_frame + 1):
            if not entries:
                break
            frames = self._encoded[[entry.prefix.trial for entry in entries], frame]
            log_probs = self._pool.join(frames, [entry.prefix.row for entry in entries])
            log_probs[:, BLANK] -= self._options.blank_penalty
            for entry, log_prob in zip(entries, log_probs[:, BLANK].tolist(), strict=True):
                _close(closed[entry.prefix.trial], entry, log_prob)
            if labels_here < self._options.max_labels_per_frame:
                entries = self._expand(entries, log_probs, frame, closed)
                self._move_predictor(entries, rows)
        for trial in active:
            best = nlargest(self._options.beam_size, closed[trial].values(), key=_score)
            self._beams[trial] = [entry for entry in best if entry.score >= best[0].score - self._options.threshold]
        self._drop_unused_rows()

    def _expand(self, entries: list[_Entry], log_probs: Floats, frame: int, closed: _Closed) -> list[_Entry]:
        """Append a label to each entry where that can still reach the beam."""
        best = log_probs.max(axis=1, keepdims=True)
        log_probs = np.where(log_probs >= best - self._options.label_threshold, log_probs, -np.inf)
        log_probs[:, BLANK] = -np.inf
        live = np.flatnonzero(log_probs.max(axis=1) > -np.inf)
        result = []
        for trial, group in groupby(live.tolist(), key=lambda place: entries[place].prefix.trial):
            places = list(group)
            floor = self._floor([entry.score for entry in closed[trial].values()])
            result += self._expand_trial([entries[place] for place in places], log_probs[places], frame, floor)
        return result

    def _expand_trial(self, parents: list[_Entry], log_probs: Floats, frame: int, floor: float) -> list[_Entry]:
        scores = log_probs + np.stack([self._label_options(parent.prefix) for parent in parents])
        scores += np.array([[parent.score] for parent in parents])
        flat = scores.ravel()
        size = min(self._options.beam_size, len(flat))
        best = np.argpartition(-flat, size - 1)[:size]
        children: list[_Entry] = []
        for place in best[(flat[best] >= floor) & (flat[best] > -np.inf)].tolist():
            index, label = divmod(place, scores.shape[1])
            children += self._children(parents[index], label, float(log_probs[index, label]), frame)
        return nlargest(self._options.beam_size, children, key=_score)

    def _children(self, parent: _Entry, label: int, log_prob: float, frame: int) -> Iterator[_Entry]:
        old = parent.prefix
        guide = self._guides[old.trial]
        labels = (*old.labels, label)
        internal = self._internal(old.row, label)
        for gain, state in guide.extend(old.guide_state, label):
            key = (labels, guide.key(state))
            prefix = _Prefix(old.trial, labels, state, key, old.added + gain + internal, old.row)
            yield _Entry(prefix, parent.transducer + log_prob, (*parent.frames, frame))

    def _label_options(self, prefix: _Prefix) -> Floats:
        if prefix.options is None:
            prefix.options = self._guides[prefix.trial].scores(prefix.guide_state)
            if self._options.internal_lm_weight:
                prefix.options = prefix.options - self._options.internal_lm_weight * self._pool.internal_lm(prefix.row)
        return prefix.options

    def _internal(self, row: int, label: int) -> float:
        """What the internal language model takes from a label."""
        weight = self._options.internal_lm_weight
        return -weight * float(self._pool.internal_lm(row)[label]) if weight else 0.0

    def _floor(self, scores: list[float]) -> float:
        """The score below which a hypothesis cannot stay on the beam, as far as is known within the frame."""
        best = nlargest(self._options.beam_size, scores)
        worst = best[-1] if len(best) == self._options.beam_size else -np.inf
        return max(worst, best[0] - self._options.threshold)

    def _move_predictor(self, entries: list[_Entry], rows: dict[tuple[int, tuple[int, ...]], int]) -> None:
        """Give each new label sequence its predictor row; entries still point at their parent's."""
        prefixes = [entry.prefix for entry in entries]
        missing = {(p.trial, p.labels): p.row for p in prefixes if (p.trial, p.labels) not in rows}
        if missing:
            made = self._pool.extend(list(missing.values()), [labels[-1] for _, labels in missing])
            rows.update(zip(missing, made, strict=True))
        for prefix in prefixes:
            prefix.row = rows[prefix.trial, prefix.labels]

    def _drop_unused_rows(self) -> None:
        prefixes = [entry.prefix for beam in self._beams for entry in beam]
        used = sorted({prefix.row for prefix in prefixes})
        self._pool.keep(used)
        place = {row: index for index, row in enumerate(used)}
        for prefix in prefixes:
            prefix.row = place[prefix.row]

    def finish(self) -> list[list[BeamHypothesis]]:
        return [_close_trial(guide, beam) for guide, beam in zip(self._guides, self._beams, strict=True)]


def _score(entry: _Entry) -> float:
    return entry.score


def _close(closed: dict[Hashable, _Entry], entry: _Entry, log_prob: float) -> None:
    """End the frame with a blank and add up the alignments that lead to one hypothesis."""
    ended = entry._replace(transducer=entry.transducer + log_prob)
    other = closed.get(entry.prefix.key)
    if other is not None:
        likelier = max(ended, other, key=_score)
        both = float(np.logaddexp(ended.transducer, other.transducer))
        ended = _Entry(other.prefix, both, likelier.frames)
    closed[entry.prefix.key] = ended


def _close_trial(guide: Guide, beam: list[_Entry]) -> list[BeamHypothesis]:
    result = []
    for entry in beam:
        prefix = entry.prefix
        gain, complete = guide.end(prefix.guide_state)
        hypothesis = BeamHypothesis(
            prefix.labels, entry.score + gain, entry.frames, entry.transducer, prefix.guide_state, complete
        )
        result.append(hypothesis)
    kept = [hypothesis for hypothesis in result if hypothesis.complete] or result
    return sorted(kept, key=lambda hypothesis: -hypothesis.score)


@torch.no_grad()
def transducer_beam(
    encoded: Tensor,
    lengths: Tensor,
    model: TransducerCallables,
    options: BeamOptions,
    guides: Sequence[Guide] | None = None,
) -> list[list[BeamHypothesis]]:
    """Search each trial; its hypotheses come best first, at most a beam of them and at least one.

    encoded (B, S, J) are encoder projections; guides are one a trial.
    """
    sizes = lengths.tolist()
    search = _Search(encoded, sizes, model, options, guides)
    for frame in range(max(sizes, default=0)):
        search.step(frame)
    return search.finish()
