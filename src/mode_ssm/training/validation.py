"""What a network makes of labelled trials: phoneme errors by head and session, blank mass, the transducer's delay."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mode_ssm.batch import Batch, length_mask
from mode_ssm.config import Decoder
from mode_ssm.decoding.ctc import ctc_greedy
from mode_ssm.decoding.transducer import TransducerCallables, transducer_greedy
from mode_ssm.models.model import Encoded, ModeSSM, encoder_frame_ms
from mode_ssm.recognition.searches import SearchOptions, align_labels, references
from mode_ssm.scoring import ErrorRate, edit_counts, total
from mode_ssm.training.devices import any_process, sum_over_processes

ALIGNED_TRIALS = 8  # of the first batch: enough for a mean delay

BySession = dict[str, ErrorRate]


class Validation(NamedTuple):
    errors: dict[Decoder, BySession]
    blank: dict[Decoder, float]  # mean probability of blank: of CTC over frames, of RNN-T along the greedy path
    emission_delay_ms: float | None  # of the transducer behind CTC; None unless both heads were asked for

    @property
    def rates(self) -> dict[Decoder, float]:
        """Of each head; none where no trial could be read."""
        return {decoder: total(errors.values()).rate for decoder, errors in self.errors.items() if errors}

    def record(self) -> dict[str, Any]:
        """For metrics.jsonl; null for a head that was not asked for, or without a trial."""
        rates = self.rates
        by_session = {d: {session: e.rate for session, e in errors.items()} for d, errors in self.errors.items()}
        return (
            {f"per_{d.value}": rates.get(d) for d in Decoder}
            | {f"per_{d.value}_by_session": by_session[d] for d in by_session}
            | {f"blank_{d.value}": self.blank.get(d) for d in Decoder}
            | {"emission_delay_ms": self.emission_delay_ms}
        )


class _Tally:
    """Errors and blank probabilities by head, as tensors that processes can add up."""

    def __init__(self, decoders: list[Decoder], sessions: Sequence[str]) -> None:
        self.decoders, self.sessions = decoders, sessions
        self.counts = torch.zeros(len(decoders), len(sessions), 4, dtype=torch.int64)
        self.blanks = torch.zeros(len(decoders), 2, dtype=torch.float64)  # sum and number of probabilities

    def add(self, decoder: Decoder, batch: Batch, hypotheses: list[list[int]], blanks: Tensor) -> None:
        row = self.decoders.index(decoder)
        self.blanks[row] += torch.tensor([float(blanks.sum()), len(blanks)], dtype=torch.float64)
        for key, reference, hypothesis in zip(batch.keys, references(batch), hypotheses, strict=True):
            errors = edit_counts(reference, hypothesis)
            numbers = (errors.substitutions, errors.deletions, errors.insertions, errors.reference_length)
            self.counts[row, self.sessions.index(key.session)] += torch.tensor(numbers)

    def sum_over_processes(self, fabric: Fabric) -> None:
        self.counts, self.blanks = self.counts.to(fabric.device), self.blanks.to(fabric.device)
        sum_over_processes(fabric, [self.counts])
        sum_over_processes(fabric, [self.blanks])

    def errors(self, decoder: Decoder) -> BySession:
        counts = self.counts[self.decoders.index(decoder)].tolist()
        by_session = {session: ErrorRate(*count) for session, count in zip(self.sessions, counts, strict=True)}
        return {session: errors for session, errors in by_session.items() if errors.reference_length > 0}

    def blank(self, decoder: Decoder) -> float:
        mass, number = self.blanks[self.decoders.index(decoder)].tolist()
        return float(mass / max(number, 1.0))


@torch.no_grad()
def validate(
    fabric: Fabric,
    model: ModeSSM,
    batches: Iterable[Batch | None],
    decoders: list[Decoder],
    sessions: Sequence[str],
    stopped: Callable[[], bool] = lambda: False,
) -> Validation | None:
    """Decode greedily and compare, over the batches of all processes; None where `stopped` came true in one of them."""
    tally, delay, cut_short = _Tally(decoders, sessions), None, False
    measures_delay = fabric.global_rank == 0 and len(decoders) == len(Decoder)
    model.eval()
    for batch in batches:
        cut_short = stopped()
        if cut_short:
            break
        if batch is None:
            continue
        with fabric.autocast():
            encoded = model.encode(batch.to(fabric.device))
            if measures_delay and delay is None:
                delay = emission_delay_ms(model, encoded, batch)
            for decoder in decoders:
                tally.add(decoder, batch, *_decode(model, encoded, decoder))
    model.train()
    tally.sum_over_processes(fabric)
    if any_process(fabric, cut_short):
        return None
    return Validation({d: tally.errors(d) for d in decoders}, {d: tally.blank(d) for d in decoders}, delay)


def _decode(model: ModeSSM, encoded: Encoded, decoder: Decoder) -> tuple[list[list[int]], Tensor]:
    """Greedy hypotheses, and the blank probabilities met on the way."""
    blank = model.labels.blank
    if decoder is Decoder.ctc:
        log_probs = model.ctc_log_probs(encoded.frames)
        real = length_mask(encoded.lengths, log_probs.shape[1])
        return ctc_greedy(log_probs, encoded.lengths, blank), log_probs[..., blank][real].exp()
    met = []

    def join(encoder: Tensor, predictor: Tensor) -> Tensor:
        log_probs = model.join(encoder, predictor)
        met.append(log_probs[:, blank].exp())
        return log_probs

    projected = model.transducer.joiner.encoder_projection(encoded.frames)
    search = TransducerCallables(model.initial, model.predict, join, blank)
    found = transducer_greedy(projected, encoded.lengths, search, SearchOptions().max_labels_per_frame)
    return [list(hypothesis.labels) for hypothesis in found], torch.cat(met)


def emission_delay_ms(model: ModeSSM, encoded: Encoded, batch: Batch) -> float | None:
    """How much later the transducer emits a label than CTC begins it: the mean over a batch's first trials."""
    delays = []
    for row in range(min(len(batch.keys), ALIGNED_TRIALS)):
        frames = encoded.frames[row, : int(encoded.lengths[row])]
        labels = batch.labels[row, : int(batch.label_lengths[row])].to(frames.device)
        ctc, rnnt = (align_labels(model, frames, labels, head) for head in (Decoder.ctc, Decoder.rnnt))
        delays.append(rnnt - ctc)
    frames_late = torch.cat(delays).double()
    if not len(frames_late):
        return None
    return float(frames_late.mean()) * encoder_frame_ms(model.config)
