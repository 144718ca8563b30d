"""What a transducer beam holds, and how alignments of one hypothesis are put together."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mode_ssm.decoding.ctc import Floats
from mode_ssm.decoding.guide import Guide


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
class Prefix:
    """What of a hypothesis does not depend on its alignment; kept from frame to frame."""

    trial: int
    labels: tuple[int, ...]
    guide_state: Any
    key: Hashable  # of labels and guide state
    added: float  # by the guide and the internal language model
    row: int  # in the predictor pool
    options: Floats | None = None  # (V,) what each next label would add


class Entry(NamedTuple):
    """A hypothesis on the beam: a prefix, its alignments summed up to some frame."""

    prefix: Prefix
    transducer: float
    frames: tuple[int, ...]

    @property
    def score(self) -> float:
        return self.transducer + self.prefix.added


def by_score(entry: Entry) -> float:
    return entry.score


def close_frame(closed: dict[Hashable, Entry], entry: Entry, log_prob: float) -> None:
    """End the frame with a blank and add up the alignments that lead to one hypothesis."""
    ended = entry._replace(transducer=entry.transducer + log_prob)
    other = closed.get(entry.prefix.key)
    if other is not None:
        likelier = max(ended, other, key=by_score)
        both = float(np.logaddexp(ended.transducer, other.transducer))
        ended = Entry(other.prefix, both, likelier.frames)
    closed[entry.prefix.key] = ended


def close_trial(guide: Guide, beam: list[Entry]) -> list[BeamHypothesis]:
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
