"""A trained network to label sequences: the bridge from batches to the searches of `decoding`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import Decoder
from mode_ssm.decoding.alignment import ctc_alignment, rnnt_alignment
from mode_ssm.decoding.ctc import ctc_greedy
from mode_ssm.decoding.transducer import TransducerCallables, transducer_greedy
from mode_ssm.language.transducer_search import TransducerFrames, label_search
from mode_ssm.models.model import Encoded, ModeSSM


@dataclass(frozen=True)
class SearchOptions:
    beam_size: int = 1  # 1 = greedy
    max_labels_per_frame: int = 3


def transducer_callables(model: ModeSSM) -> TransducerCallables:
    """The predictor and joiner as a search sees them."""
    return TransducerCallables(model.initial, model.predict, model.join, model.labels.blank)


@torch.no_grad()
def recognise(model: ModeSSM, encoded: Encoded, decoder: Decoder, options: SearchOptions) -> list[list[int]]:
    """Decode each trial of an encoded batch to label ids; the model is in evaluation mode."""
    if decoder is Decoder.ctc:
        return ctc_greedy(model.ctc_log_probs(encoded.frames), encoded.lengths, model.labels.blank)
    projected: Tensor = model.transducer.joiner.encoder_projection(encoded.frames)
    search = transducer_callables(model)
    if options.beam_size == 1:
        greedy = transducer_greedy(projected, encoded.lengths, search, options.max_labels_per_frame)
        return [list(hypothesis.labels) for hypothesis in greedy]
    found = label_search(model.labels, search, options.beam_size, options.max_labels_per_frame)(
        [TransducerFrames(frames[:size]) for frames, size in zip(projected, encoded.lengths.tolist(), strict=True)]
    )
    return [list(best.labels) for best, *_ in found]


@torch.no_grad()
def align_labels(model: ModeSSM, frames: Tensor, labels: Tensor, decoder: Decoder) -> Tensor:
    """The encoder frame in which each of one trial's labels (U,) stands on the best path through its frames (S, D).

    For CTC the first frame of the label, for RNN-T that which emits it.

    Raises:
        InputError: when the labels do not fit into the frames.
    """
    if decoder is Decoder.ctc:
        return ctc_alignment(model.ctc_log_probs(frames), labels, model.labels.blank)
    encoder, predictor = model.transducer_inputs(frames[None], labels[None])
    log_probs = model.join(encoder[0, :, None], predictor[0, None])
    emit = log_probs[:, :-1].gather(2, labels[None, :, None].expand(len(log_probs), -1, 1))[..., 0]
    return rnnt_alignment(log_probs[..., model.labels.blank], emit)


def references(batch: Batch) -> list[list[int]]:
    """The labels of each trial, without padding."""
    return [row[:length].tolist() for row, length in zip(batch.labels, batch.label_lengths.tolist(), strict=True)]
