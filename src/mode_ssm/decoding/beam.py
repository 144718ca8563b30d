"""Beam search over transducer hypotheses, frame by frame, for several trials at once.

A hypothesis is a label sequence; its alignments are summed (log-add), each of them with at most `max_labels_per_frame`
labels in a frame and a blank that closes every frame. With a beam as wide as the space of label sequences the search is
exhaustive. Graves 2012, Sequence transduction with recurrent neural networks, section 2.4, with the labels of a frame
expanded breadth first.
"""

from collections.abc import Hashable, Iterator, Sequence
from heapq import nlargest
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from mode_ssm.decoding.ctc import Floats
from mode_ssm.decoding.guide import Guide, SumOfGuides
from mode_ssm.decoding.hypotheses import BeamHypothesis, BeamOptions, Entry, Prefix, by_score, close_frame, close_trial
from mode_ssm.decoding.predictor_pool import PredictorPool
from mode_ssm.decoding.transducer import TransducerCallables

__all__ = ["BeamHypothesis", "BeamOptions", "transducer_beam"]

_Closed = dict[int, dict[Hashable, Entry]]  # by trial, hypotheses that have ended the frame


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
        self._blank = model.blank
        self._guides = guides if guides is not None else [SumOfGuides([])] * len(sizes)
        self._pool = PredictorPool(model, len(sizes), encoded.new_zeros(1, encoded.shape[2]))
        self._beams = [[Entry(self._first_prefix(trial), 0.0, ())] for trial in range(len(sizes))]

    def _first_prefix(self, trial: int) -> Prefix:
        state = self._guides[trial].start()
        return Prefix(trial, (), state, ((), self._guides[trial].key(state)), added=0.0, row=trial)

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
            log_probs[:, self._blank] -= self._options.blank_penalty
            for entry, log_prob in zip(entries, log_probs[:, self._blank].tolist(), strict=True):
                close_frame(closed[entry.prefix.trial], entry, log_prob)
            if labels_here < self._options.max_labels_per_frame:
                entries = self._expand(entries, log_probs, frame, closed)
                self._move_predictor(entries, rows)
        for trial in active:
            best = nlargest(self._options.beam_size, closed[trial].values(), key=by_score)
            self._beams[trial] = [entry for entry in best if entry.score >= best[0].score - self._options.threshold]
        self._drop_unused_rows()

    def _expand(self, entries: list[Entry], log_probs: Floats, frame: int, closed: _Closed) -> list[Entry]:
        """Append a label to each entry where that can still reach the beam."""
        best = log_probs.max(axis=1, keepdims=True)
        log_probs = np.where(log_probs >= best - self._options.label_threshold, log_probs, -np.inf)
        log_probs[:, self._blank] = -np.inf
        live = np.flatnonzero(log_probs.max(axis=1) > -np.inf)
        result = []
        for trial, group in groupby(live.tolist(), key=lambda place: entries[place].prefix.trial):
            places = list(group)
            floor = self._floor([entry.score for entry in closed[trial].values()])
            result += self._expand_trial([entries[place] for place in places], log_probs[places], frame, floor)
        return result

    def _expand_trial(self, parents: list[Entry], log_probs: Floats, frame: int, floor: float) -> list[Entry]:
        scores = log_probs + np.stack([self._label_options(parent.prefix) for parent in parents])
        scores += np.array([[parent.score] for parent in parents])
        flat = scores.ravel()
        size = min(self._options.beam_size, len(flat))
        best = np.argpartition(-flat, size - 1)[:size]
        children: list[Entry] = []
        for place in best[(flat[best] >= floor) & (flat[best] > -np.inf)].tolist():
            index, label = divmod(place, scores.shape[1])
            children += self._children(parents[index], label, float(log_probs[index, label]), frame)
        return nlargest(self._options.beam_size, children, key=by_score)

    def _children(self, parent: Entry, label: int, log_prob: float, frame: int) -> Iterator[Entry]:
        old = parent.prefix
        guide = self._guides[old.trial]
        labels = (*old.labels, label)
        internal = self._internal(old.row, label)
        for gain, state in guide.extend(old.guide_state, label):
            key = (labels, guide.key(state))
            prefix = Prefix(old.trial, labels, state, key, old.added + gain + internal, old.row)
            yield Entry(prefix, parent.transducer + log_prob, (*parent.frames, frame))

    def _label_options(self, prefix: Prefix) -> Floats:
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

    def _move_predictor(self, entries: list[Entry], rows: dict[tuple[int, tuple[int, ...]], int]) -> None:
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
        return [close_trial(guide, beam) for guide, beam in zip(self._guides, self._beams, strict=True)]


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
