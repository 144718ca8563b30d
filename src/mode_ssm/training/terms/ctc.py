"""CTC: a distribution over labels and blank in each encoder frame (Graves et al. 2006)."""

from torch import Tensor

from mode_ssm.batch import length_mask
from mode_ssm.config import CTCNormalisation
from mode_ssm.decoding.ctc import ctc_greedy
from mode_ssm.losses.objective import UpdateSize, ctc_nats, ctc_nats_per_label
from mode_ssm.models.model import Encoded, ModeSSM
from mode_ssm.training.terms.term import GreedyPath, Measured, Term, TermInput, TermLoss


class CTC(Term):
    name = "ctc"
    title = "CTC"
    healthy = (
        "Healthy: falls steeply, then levels off; a step up at a stage switch is made good within some dozens of "
        "updates."
    )
    needs_alignment = True
    parts = ("ctc_head",)
    validated = True
    measured = (
        Measured(
            "blank_ctc",
            "Blank probability of the CTC head, training",
            "CTC",
            "Healthy: as in validation, with more noise.",
            "mean over frames",
            section="rates",
        ),
    )

    @property
    def unit(self) -> str:
        return f"nats per {self.losses.ctc_normalisation}"

    @property
    def compared(self) -> Measured:
        return super().compared._replace(healthy="Comparable where losses.ctc_normalisation is the same.")

    def loss(self, given: TermInput) -> TermLoss:
        batch, lengths, size = given.batch, given.encoded.lengths, given.size
        blank = given.model.labels.blank
        with given.autocast():
            log_probs = given.model.ctc_log_probs(given.encoded.frames)
        nats = ctc_nats_per_label if self.losses.ctc_normalisation is CTCNormalisation.label else ctc_nats
        loss = nats(log_probs, batch.labels, lengths, batch.label_lengths, blank).sum() / size.trials
        return TermLoss(loss, {"blank_ctc": mean_blank(log_probs[..., blank], lengths, size)})

    def decode(self, model: ModeSSM, encoded: Encoded) -> GreedyPath:
        log_probs, blank = model.ctc_log_probs(encoded.frames), model.labels.blank
        real = length_mask(encoded.lengths, log_probs.shape[1])
        return GreedyPath(ctc_greedy(log_probs, encoded.lengths, blank), log_probs[..., blank][real].exp())

    def silence_hint(self, setting: str) -> str:  # noqa: ARG002
        return "look at the labels, or raise training.optimizer.lr"


def mean_blank(blank_log_probs: Tensor, lengths: Tensor, size: UpdateSize) -> Tensor:
    """A batch's share of the mean probability of blank over the encoder frames of the update."""
    blank = blank_log_probs.detach().exp() * length_mask(lengths, blank_log_probs.shape[1])
    return blank.sum() / size.encoder_frames
