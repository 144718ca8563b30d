"""What a run's best checkpoint makes of recorded trials: the part of a report that needs the network and the data."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mode_ssm.batch import Trial, TrialKey, collate
from mode_ssm.config import BadTrial, Decoder, ReportConfig
from mode_ssm.data import LeftOut, LostTrial, TrialDataset, TrialEntry
from mode_ssm.errors import InputError
from mode_ssm.labels import NAMED
from mode_ssm.recognition.network import Recogniser, load_recogniser, say_left_out
from mode_ssm.recognition.searches import SearchOptions, align_labels, recognise, references
from mode_ssm.report.records import Run
from mode_ssm.scoring import ErrorRate, edit_counts, total

_Trial = TypeVar("_Trial")


@dataclass(frozen=True)
class DecodedTrial:
    key: TrialKey
    sentence: str
    reference: list[int]
    hypotheses: dict[str, list[int]]  # by the name of the head

    def errors(self, head: str) -> ErrorRate:
        return edit_counts(self.reference, self.hypotheses[head])

    @property
    def all_errors(self) -> ErrorRate:
        """Of all heads together."""
        return total(self.errors(head) for head in self.hypotheses)


@dataclass(frozen=True)
class DecodedSplit:
    """Trials of a labelled split, decoded greedily by the heads that the run has trained."""

    dataset: TrialDataset
    split: str
    of: int  # labelled trials of the split, of which `trials` may be a part
    trials: list[DecodedTrial]  # in session, block and trial order; one that could not be decoded said nothing
    lost: list[str]  # why some of them could not

    @property
    def heads(self) -> list[str]:
        return list(self.trials[0].hypotheses)

    def rate(self, head: str) -> float:
        """Pooled phoneme error rate in per cent."""
        return 100 * total(trial.errors(head) for trial in self.trials).rate


@dataclass(frozen=True)
class DecodedRun:
    """A run, and where they can be had its network and what that decodes; `problem` says what cannot and why."""

    run: Run
    network: Recogniser | None
    decoded: DecodedSplit | None
    problem: str

    @property
    def unit(self) -> str:
        """What its labels are called; T15's are phonemes."""
        if self.network is None:
            known = NAMED.get(self.run.config.data.labels or "t15")
            return known.unit if known else "label"
        return self.network.model.labels.unit


def decode_run(run: Run, config: ReportConfig) -> DecodedRun:
    """Load the best checkpoint of a run and decode some trials of its data."""
    try:
        network = load_recogniser(str(run.path), config.device)
    except InputError as error:
        return DecodedRun(run, None, None, f"The run's network could not be read: {error}")
    try:
        return DecodedRun(run, network, _decode(run, network, config), "")
    except InputError as error:
        where = "name another place with data.data_root=DIR" if config.data.data_root is None else "look there"
        return DecodedRun(run, network, None, f"The run's data could not be read ({str(error).rstrip('.')}); {where}.")


def _decode(run: Run, network: Recogniser, config: ReportConfig) -> DecodedSplit:
    data = replace(run.config.data, on_bad_trial=BadTrial.skip, num_workers=0)
    if config.data.data_root is not None:
        data = replace(data, data_root=config.data.data_root, roots=None)
    whole = network.open(data, config.split, labelled=True)
    lost = LeftOut(config.split, whole.problems, say_left_out).labelled
    everything: list[TrialEntry | LostTrial] = sorted([*whole.entries, *lost], key=_place_of)
    chosen = _some(everything, config.max_trials)
    dataset = whole.subset(trial for trial in chosen if isinstance(trial, TrialEntry))
    heads, unread = [head.value for head in network.heads], LeftOut(config.split, [], say_left_out)
    trials = [*_decode_all(network, dataset, heads, config.batch_size, unread)] if len(dataset) else []
    lost = [trial for trial in chosen if isinstance(trial, LostTrial)] + unread.labelled
    trials += [DecodedTrial(t.key, t.sentence or "", t.labels, {head: [] for head in heads}) for t in lost]
    trials.sort(key=lambda trial: _place(trial.key))
    return DecodedSplit(dataset, config.split, len(everything), trials, [trial.reason for trial in lost])


def _place(key: TrialKey) -> tuple[str, int, int]:
    return key.session, key.block, key.number


def _place_of(trial: TrialEntry | LostTrial) -> tuple[str, int, int]:
    return _place(trial.key)


def _some(trials: list[_Trial], most: int | None) -> list[_Trial]:
    """At most so many trials, evenly spread over sessions and blocks."""
    if most is None or len(trials) <= most:
        return trials
    return [trials[i] for i in np.linspace(0, len(trials) - 1, most).round().astype(int)]


def _decode_all(
    network: Recogniser, dataset: TrialDataset, heads: list[str], batch_size: int, unread: LeftOut
) -> Iterator[DecodedTrial]:
    for batch, encoded in network.encode(dataset, batch_size=batch_size, num_workers=0, on_problem=unread):
        found = [recognise(network.model, encoded, Decoder(head), SearchOptions()) for head in heads]
        for key, sentence, said, *decoded in zip(batch.keys, batch.sentences, references(batch), *found, strict=True):
            yield DecodedTrial(key, sentence or "", said, dict(zip(heads, decoded, strict=True)))


@dataclass(frozen=True)
class Aligned:
    """One trial's features, and the encoder frame in which each label of its reference stands, by head."""

    trial: DecodedTrial
    features: Tensor  # (T, C)
    frames: dict[str, list[int]]


@torch.no_grad()
def align(network: Recogniser, decoded: DecodedSplit, trial: DecodedTrial) -> Aligned | None:
    """The best paths of the heads through a trial; None where the trial cannot be read.

    CTC has none where the frames are too few for its labels.
    """
    place = next((i for i, entry in enumerate(decoded.dataset.entries) if entry.key == trial.key), None)
    read = None if place is None else decoded.dataset.read(place)
    if not isinstance(read, Trial):
        return None
    model, batch = network.model, collate([read], network.session_index).to(network.device)
    frames, lengths = model.encode(batch)
    real, labels = frames[0, : int(lengths[0])], batch.labels[0]
    heads = [head for head in decoded.heads if head != "ctc" or bool(batch.aligned(lengths)[0])]
    found = {head: align_labels(model, real, labels, Decoder(head)).tolist() for head in heads}
    return Aligned(trial, read.features, found)
