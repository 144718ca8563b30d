"""Beam search over transducer hypotheses, frame by frame, for several trials at once.

A hypothesis is a label sequence; its alignments are summed (log-add), each of them with at most `max_labels_per_frame`
labels in a frame and a blank that closes every frame. With a beam as wide as the space of label sequences the search is
exhaustive. Graves 2012, Sequence transduction with recurrent neural networks, section 2.4, with the labels of a frame
expanded breadth first.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
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
class _Entry:
    """A hypothesis on the beam."""

    trial: int
    labels: tuple[int, ...]
    frames: tuple[int, ...]
    transducer: float
    added: float
    guide_state: Any
    row: int  # in the predictor pool
    internal: Floats | None = None  # (V,) what the internal language model takes from each next label
    options: Floats | None = None  # (V,) the same plus the guide's scores; equal in every frame, so kept

    @property
    def score(self) -> float:
        return self.transducer + self.added


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
        starts = [guide.start() for guide in self._guides]
        self._beams = [[_Entry(i, (), (), 0.0, 0.0, state, row=i)] for i, state in enumerate(starts)]

    def step(self, frame: int) -> None:
        active = [trial for trial, size in enumerate(self._sizes) if frame < size]
        entries = [entry for trial in active for entry in self._beams[trial]]
        rows = {(entry.trial, entry.labels): entry.row for entry in entries}
        closed: dict[int, dict[Hashable, _Entry]] = {trial: {} for trial in active}
        for labels_here in range(self._options.max_labels_per_frame + 1):
            if not entries:
                break
            frames = self._encoded[[entry.trial for entry in entries], frame]
            log_probs = self._pool.join(frames, [entry.row for entry in entries])
            log_probs[:, BLANK] -= self._options.blank_penalty
            for entry, log_prob in zip(entries, log_probs[:, BLANK], strict=True):
                self._close(closed[entry.trial], entry, float(log_prob))
            if labels_here < self._options.max_labels_per_frame:
                entries = self._expand(entries, log_probs, frame, closed)
                self._move_predictor(entries, rows)
        for trial in active:
            best = nlargest(self._options.beam_size, closed[trial].values(), key=_score)
            self._beams[trial] = [entry for entry in best if entry.score >= best[0].score - self._options.threshold]
        self._drop_unused_rows()

    def _close(self, closed: dict[Hashable, _Entry], entry: _Entry, log_prob: float) -> None:
        """End the frame with a blank and add up the alignments that lead to one hypothesis."""
        key = (entry.labels, self._guides[entry.trial].key(entry.guide_state))
        transducer = entry.transducer + log_prob
        other = closed.get(key)
        if other is None:
            closed[key] = replace(entry, transducer=transducer)
            return
        if transducer > other.transducer:
            other.frames = entry.frames
        other.transducer = float(np.logaddexp(transducer, other.transducer))

    def _expand(
        self, entries: list[_Entry], log_probs: Floats, frame: int, closed: dict[int, dict[Hashable, _Entry]]
    ) -> list[_Entry]:
        """Append a label to each entry where that can still reach the beam."""
        result = []
        for trial, group in groupby(range(len(entries)), key=lambda index: entries[index].trial):
            places = list(group)
            parents = [entries[place] for place in places]
            floor = self._floor(list(closed[trial].values()))
            result += self._expand_trial(parents, log_probs[places], frame, floor)
        return result

    def _expand_trial(self, parents: list[_Entry], log_probs: Floats, frame: int, floor: float) -> list[_Entry]:
        scores = log_probs + np.stack([self._label_options(parent) + parent.score for parent in parents])
        scores[:, BLANK] = -np.inf
        flat = scores.ravel()
        size = min(self._options.beam_size, len(flat))
        best = np.argpartition(-flat, size - 1)[:size]
        children = [
            child
            for index, label in (
                divmod(int(place), scores.shape[1]) for place in best if floor <= flat[place] > -np.inf
            )
            for child in self._children(parents[index], label, float(log_probs[index, label]), frame)
        ]
        return nlargest(self._options.beam_size, children, key=_score)

    def _children(self, parent: _Entry, label: int, log_prob: float, frame: int) -> Iterator[_Entry]:
        internal = 0.0 if parent.internal is None else float(parent.internal[label])
        for gain, state in self._guides[parent.trial].extend(parent.guide_state, label):
            yield _Entry(
                trial=parent.trial,
                labels=(*parent.labels, label),
                frames=(*parent.frames, frame),
                transducer=parent.transducer + log_prob,
                added=parent.added + gain + internal,
                guide_state=state,
                row=parent.row,
            )

    def _label_options(self, entry: _Entry) -> Floats:
        if entry.options is None:
            entry.options = self._guides[entry.trial].scores(entry.guide_state)
            if self._options.internal_lm_weight:
                entry.internal = -self._options.internal_lm_weight * self._pool.internal_lm(entry.row)
                entry.options = entry.options + entry.internal
        return entry.options

    def _floor(self, closed: list[_Entry]) -> float:
        """The score below which a hypothesis cannot stay on the beam, as far as is known within the frame."""
        scores = nlargest(self._options.beam_size, (entry.score for entry in closed))
        worst = scores[-1] if len(scores) == self._options.beam_size else -np.inf
        return max(worst, scores[0] - self._options.threshold)

    def _move_predictor(self, entries: list[_Entry], rows: dict[tuple[int, tuple[int, ...]], int]) -> None:
        """Give each new label sequence its predictor row; entries still point at their parent's."""
        new = {(entry.trial, entry.labels): entry.row for entry in entries}
        missing = [key for key in new if key not in rows]
        if missing:
            made = self._pool.extend([new[key] for key in missing], [labels[-1] for _, labels in missing])
            rows.update(zip(missing, made, strict=True))
        for entry in entries:
            entry.row = rows[entry.trial, entry.labels]

    def _drop_unused_rows(self) -> None:
        entries = [entry for beam in self._beams for entry in beam]
        used = sorted({entry.row for entry in entries})
        self._pool.keep(used)
        place = {row: index for index, row in enumerate(used)}
        for entry in entries:
            entry.row = place[entry.row]

    def finish(self) -> list[list[BeamHypothesis]]:
        return [_close_trial(guide, beam) for guide, beam in zip(self._guides, self._beams, strict=True)]


def _score(entry: _Entry) -> float:
    return entry.score


def _close_trial(guide: Guide, beam: list[_Entry]) -> list[BeamHypothesis]:
    result = []
    for entry in beam:
        gain, complete = guide.end(entry.guide_state)
        score = entry.score + gain
        result.append(BeamHypothesis(entry.labels, score, entry.frames, entry.transducer, entry.guide_state, complete))
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
