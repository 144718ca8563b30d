"""Faults of public training codes, put into our training for benchmarks/stability.py and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import LossesConfig
from mode_ssm.losses import fused
from mode_ssm.losses.arguments import Size, Trials
from mode_ssm.losses.lattice import Flows, _Lattices
from mode_ssm.models.model import ModeSSM, TransducerInputs
from mode_ssm.training.terms import rnnt

STORED_LABELS = 500  # the length of seq_class_ids in a T15 file, zero-padded


@contextmanager
def padded_labels() -> Iterator[None]:
    """In training, the transducer reads `seq_class_ids` with its zero padding: 500 labels a trial, mostly the blank."""
    predict, nats = ModeSSM.transducer_inputs, rnnt.transducer_nats

    def padded(labels: Tensor) -> Tensor:
        return F.pad(labels, (0, STORED_LABELS - labels.shape[1]))

    def inputs(model: ModeSSM, frames: Tensor, labels: Tensor) -> TransducerInputs:
        return predict(model, frames, padded(labels) if model.training else labels)

    def all_of_them(
        model: ModeSSM, sides: TransducerInputs, batch: Batch, lengths: Tensor, config: LossesConfig
    ) -> Tensor:
        whole = batch._replace(
            labels=padded(batch.labels), label_lengths=torch.full_like(batch.label_lengths, STORED_LABELS)
        )
        return nats(model, sides, whole, lengths, config)

    with (
        patch.object(ModeSSM, "transducer_inputs", inputs),
        patch.object(rnnt, "transducer_nats", all_of_them),
        patch.object(fused, "check_trials", _unchecked),
    ):
        yield


def _unchecked(
    _size: Size, _device: torch.device, targets: Tensor, logit_lengths: Tensor, target_lengths: Tensor, _blank: int
) -> Trials:
    """Labels and lengths as they are, blanks among the labels included."""
    lengths = (tuple(int(length) for length in given) for given in (logit_lengths, target_lengths))
    return Trials(targets, logit_lengths, target_lengths, *lengths)


@contextmanager
def float16_lattice() -> Iterator[None]:
    """The sums over alignments in half precision, as some public losses have them under autocast."""
    with patch.object(fused, "lattice_flows", _half_flows):
        yield


def _half_flows(blank: Tensor, label: Tensor, trials: Trials) -> tuple[Tensor, Flows]:
    lattices = _Lattices(blank, label, trials, directions=2)
    lattices.steps = lattices.steps.half()
    alpha, backwards = lattices.reached().chunk(2)
    beta, total = backwards.flip(1, 2), alpha[:, -1, -1]
    by_label = F.pad(alpha[:, :-1, :-1] + beta[:, :-1, 1:] + label.half(), (0, 1), value=-torch.inf)
    by_blank = alpha[:, :-1] + beta[:, 1:] + blank.half()
    padding = ~trials.real_cells(blank.shape[1])
    flows = ((flow - total[:, None, None]).exp().masked_fill(padding, 0.0).double() for flow in (by_blank, by_label))
    return -total.double(), Flows(*flows)
