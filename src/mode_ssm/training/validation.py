"""Phoneme error rates of a network on labelled trials, by head and by session."""

from collections.abc import Iterable

import torch
from lightning_fabric import Fabric

from mode_ssm.batch import Batch
from mode_ssm.config import Decoder
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition import SearchOptions, recognise, references
from mode_ssm.scoring import ErrorRate, edit_counts
from mode_ssm.training.devices import sum_over_processes

BySession = dict[str, ErrorRate]


@torch.no_grad()
def validate(
    fabric: Fabric,
    model: ModeSSM,
    batches: Iterable[Batch | None],
    decoders: list[Decoder],
    session_index: dict[str, int],
) -> dict[Decoder, BySession]:
    """Greedy phoneme errors of each decoder by session, summed over all processes."""
    counts = torch.zeros(len(decoders), len(session_index), 4, dtype=torch.int64)
    model.eval()
    for batch in batches:
        if batch is None:
            continue
        with fabric.autocast():
            encoded = model.encode(batch.to(fabric.device))
            found = [recognise(model, encoded, decoder, SearchOptions()) for decoder in decoders]
        for row, hypotheses in enumerate(found):
            for key, reference, hypothesis in zip(batch.keys, references(batch), hypotheses, strict=True):
                errors = edit_counts(reference, hypothesis)
                numbers = (errors.substitutions, errors.deletions, errors.insertions, errors.reference_length)
                counts[row, session_index[key.session]] += torch.tensor(numbers)
    model.train()
    counts = counts.to(fabric.device)
    sum_over_processes(fabric, [counts])
    return {
        decoder: {
            session: ErrorRate(*counts[row, index].tolist())
            for session, index in session_index.items()
            if counts[row, index, 3] > 0
        }
        for row, decoder in enumerate(decoders)
    }
