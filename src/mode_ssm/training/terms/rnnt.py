"""RNN-T: a distribution over labels and blank for each encoder frame and label so far (Graves 2012), scaled.

Its raw nats are those of whole trials; `losses.rnnt_scaling` brings them to the size of the loss that it is trained
beside (see losses/objective.py). With the scaling `gradient` the scale follows what the updates measure.
"""

from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import TypedDict

import torch
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import CTCNormalisation, Decoder, LossesConfig, ModelConfig, NoJoinerConfig, RNNTScaling
from mode_ssm.decoding.transducer import TransducerCallables, transducer_greedy
from mode_ssm.losses import additive_rnnt_loss, fused_rnnt_loss, gradient_scale, rnnt_loss
from mode_ssm.losses.objective import rnnt_divisor
from mode_ssm.models.joiner import TanhJoiner
from mode_ssm.models.model import Encoded, ModeSSM, TransducerInputs, encoder_frame_ms
from mode_ssm.recognition.searches import SearchOptions, align_labels
from mode_ssm.training.history import Alarm, History
from mode_ssm.training.terms.ctc import CTC
from mode_ssm.training.terms.term import GreedyPath, Measured, Term, TermInput, TermLoss

ALIGNED_TRIALS = 8  # of the first validated batch: enough for a mean delay
ALARM_UPDATES = 50
LOSS_RATIO_LIMITS = 0.05, 20.0
UNTRAINED_CTC = 2.0  # nats per label; with less the CTC head has learnt something, and a loss ratio says little
DELAY_LIMIT_MS = 1000.0


class RNNT(Term):
    name = "rnnt"
    title = "RNN-T"
    healthy = (
        "Healthy: falls from the start of its stage, without a plateau at its first value. One that rises for hundreds "
        "of updates is lost."
    )
    parts = ("predictor", "joiner")
    validated = True
    unit = "scaled"
    loss_title = "Scaled RNN-T loss"
    gradient_ratio_key = "encoder_grad_ratio"
    loss_ratio_band = 0.3, 3.0
    loss_ratio_healthy = (
        "Healthy: in the band from 0.3 to 3 while both heads are untrained. Later it may leave the band, since it then "
        "compares how much the heads have learnt; the ratio of the gradients tells more."
    )
    carried = ("gradient_scale", "equalising_scales")
    measured = (
        Measured(
            "loss_rnnt_raw",
            "RNN-T loss, unscaled",
            "RNN-T, unscaled",
            "Before losses.rnnt_scaling, so that runs with different scalings can be compared.",
            "nats per trial",
            log=True,
        ),
        Measured(
            "rnnt_scale",
            "What the raw RNN-T loss was multiplied by",
            "scale",
            "Healthy: nearly level for the schemes by length; with losses.rnnt_scaling=gradient it follows what the "
            "gradients ask for, and neither falls nor rises without end.",
            log=True,
        ),
    )
    validation_measured = (
        Measured(
            "emission_delay_ms",
            "Emission delay of RNN-T behind CTC",
            "delay",
            "Healthy: a few hundred milliseconds or less, and steady. A delay that grows to seconds is a transducer "
            "that waits for the end of the sentence; losses.fastemit_lambda rewards early labels.",
            "ms",
            section="rates",
        ),
    )

    def __init__(self, losses: LossesConfig) -> None:
        super().__init__(losses)
        self.gradient_scale = 1.0  # of the nats per label, with the scaling `gradient`
        self.equalising_scales: list[float] = []  # what it should have been in the last updates
        used = losses.rnnt_scaling is RNNTScaling.gradient
        self.scaling_hint = "losses.rnnt_scaling=" + ("label_length" if used else "gradient")

    @property
    def compared(self) -> Measured:
        return self.measured[0]

    def lacks(self, model: ModelConfig) -> str:
        return "joiner=none; set it to 0, or choose joiner=tanh" if isinstance(model.joiner, NoJoinerConfig) else ""

    def loss(self, given: TermInput) -> TermLoss:
        batch, trials = given.batch, given.size.trials
        with given.autocast():
            sides = given.model.transducer_inputs(given.encoded.frames, batch.labels)
        raw = transducer_nats(given.model, sides, batch, given.encoded.lengths, self.losses)
        divisor = rnnt_divisor(self.losses.rnnt_scaling, batch.label_lengths, given.size, self.gradient_scale).to(raw)
        numbers = {"loss_rnnt_raw": raw.detach().sum() / trials, "rnnt_scale": (1 / divisor).sum() / trials}
        return TermLoss((raw / divisor).sum() / trials, numbers)

    def follow(self, gradient: float, first: float) -> None:
        if self.losses.rnnt_scaling is not RNNTScaling.gradient:
            return
        equalising = gradient_scale.equalising_scale(self.gradient_scale, first, gradient)
        if equalising is not None:
            self.equalising_scales = [*self.equalising_scales, equalising][-gradient_scale.WINDOW_UPDATES :]
        self.gradient_scale = gradient_scale.followed_scale(self.gradient_scale, self.equalising_scales)

    def decode(self, model: ModeSSM, encoded: Encoded) -> GreedyPath:
        met, blank = [], model.labels.blank

        def join(encoder: Tensor, predictor: Tensor) -> Tensor:
            log_probs = model.join(encoder, predictor)
            met.append(log_probs[:, blank].exp())
            return log_probs

        projected = model.transducer.joiner.encoder_projection(encoded.frames)
        search = TransducerCallables(model.initial, model.predict, join, blank)
        found = transducer_greedy(projected, encoded.lengths, search, SearchOptions().max_labels_per_frame)
        return GreedyPath([list(hypothesis.labels) for hypothesis in found], torch.cat(met))

    def validate(self, model: ModeSSM, encoded: Encoded, batch: Batch, others: Sequence[Term]) -> dict[str, float]:
        if not any(isinstance(other, CTC) for other in others):
            return {}
        delay = emission_delay_ms(model, encoded, batch)
        return {} if delay is None else {"emission_delay_ms": delay}

    def silence_hint(self, setting: str) -> str:
        return f"train CTC alone before, raise {setting}.rnnt_weight, or set training.optimizer.lr near 1e-3"

    def update_alarms(self, first: Term) -> tuple[Alarm, ...]:
        return (Alarm("loss_ratio", _loss_ratio),) if isinstance(first, CTC) else ()

    def validation_alarms(self, first: Term) -> tuple[Alarm, ...]:
        return (Alarm("emission_delay", partial(_emission_delay, first)),)


class _Options(TypedDict):
    blank: int
    reduction: str
    clamp: float
    fastemit_lambda: float


def transducer_nats(
    model: ModeSSM, sides: TransducerInputs, batch: Batch, lengths: Tensor, config: LossesConfig
) -> Tensor:
    """Raw RNN-T nats of each trial, (B,), in float32 or better."""
    joiner = model.transducer.joiner
    targets, u_lengths = batch.labels, batch.label_lengths
    options = _Options(
        blank=model.labels.blank, reduction="none", clamp=config.clamp, fastemit_lambda=config.fastemit_lambda
    )
    if not config.fused:
        encoder, predictor = (side.to(torch.promote_types(side.dtype, torch.float32)) for side in sides)
        logits = joiner.logits(encoder[:, :, None], predictor[:, None])
        return rnnt_loss(logits, targets, lengths, u_lengths, **options)
    if isinstance(joiner, TanhJoiner):
        weight, bias = joiner.output.weight, joiner.output.bias
        return fused_rnnt_loss(*sides, weight, bias, targets, lengths, u_lengths, **options)
    return additive_rnnt_loss(*sides, targets, lengths, u_lengths, **options)


def emission_delay_ms(model: ModeSSM, encoded: Encoded, batch: Batch) -> float | None:
    """How much later the transducer emits a label than CTC begins it: the mean over a batch's first aligned trials."""
    delays = [torch.zeros(0, dtype=torch.int64)]
    for row in batch.aligned(encoded.lengths.to(batch.labels.device)).nonzero().flatten().tolist()[:ALIGNED_TRIALS]:
        frames = encoded.frames[row, : int(encoded.lengths[row])]
        labels = batch.labels[row, : int(batch.label_lengths[row])].to(frames.device)
        ctc, rnnt = (align_labels(model, frames, labels, head) for head in (Decoder.ctc, Decoder.rnnt))
        delays.append(rnnt - ctc)
    frames_late = torch.cat(delays).double()
    if not len(frames_late):
        return None
    return float(frames_late.mean()) * encoder_frame_ms(model.config)


def _loss_ratio(history: History) -> str | None:
    """Only while CTC has learnt little: later its loss is small beside that of a sound transducer."""
    ratios, ctc = (history.last(key, ALARM_UPDATES) for key in ("rnnt_ctc_ratio", "loss_ctc"))
    low, high, losses = *LOSS_RATIO_LIMITS, history.losses
    if losses.rnnt_scaling is RNNTScaling.gradient or losses.ctc_normalisation is CTCNormalisation.trial:
        return None  # the first seeks no ratio of the losses, the second has another unit
    if not ratios or not ctc or min(ctc) < UNTRAINED_CTC or low <= median(ratios) <= high:
        return None
    better = "gradient" if losses.rnnt_scaling is RNNTScaling.label_length else "label_length"
    return (
        f"The scaled RNN-T loss has been {median(ratios):.3g} times the CTC loss for {len(ratios)} updates, where "
        f"{low:g} to {high:g} is usual; set losses.rnnt_scaling={better}."
    )


def _emission_delay(first: Term, history: History) -> str | None:
    delay = history.validations[-1].get("emission_delay_ms")
    if delay is None or delay <= DELAY_LIMIT_MS or not history.settled:
        return None
    return (
        f"The transducer emits labels {delay:.0f} ms after CTC does (mean of a val batch after {history.done} updates "
        f"of the stage); set losses.fastemit_lambda=0.01, or raise {history.setting}.{first.name}_weight."
    )
