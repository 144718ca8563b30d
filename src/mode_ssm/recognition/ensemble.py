"""What a trained network, or several averaged, says of each trial: CTC posteriors, and the transducer to search."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import DataConfig, Device, WordDecoder
from mode_ssm.config import Decoder as Head
from mode_ssm.data import LeftOut, LostTrial, Problem
from mode_ssm.decoding.transducer import State, TransducerCallables
from mode_ssm.errors import InputError
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.models.model import Encoded
from mode_ssm.recognition.network import Recogniser, load_recogniser, say_left_out
from mode_ssm.recognition.searches import references, transducer_callables


class Ensemble:
    """One network or several; probabilities are averaged frame by frame, for CTC and for the transducer.

    Raises:
        InputError: when their labels are not the same.
    """

    def __init__(self, recognisers: Sequence[Recogniser]) -> None:
        self.recognisers = tuple(recognisers)
        first, *others = (recogniser.checkpoint for recogniser in self.recognisers)
        for other in others:
            first.labels.require(other.labels, str(first.path), str(other.path))

    def word_decoder(self, asked: WordDecoder | None) -> WordDecoder:
        """The decoder asked for, where every network has trained its heads; None = the best head of the first network.

        Raises:
            InputError: for a head that some network has not trained.
        """
        chosen = self.recognisers[0].word_decoder(asked)
        for recogniser in self.recognisers[1:]:
            recogniser.word_decoder(chosen)
        return chosen

    @property
    def transducer(self) -> TransducerCallables:
        networks = [recogniser.model for recogniser in self.recognisers]
        widths = [network.transducer.joiner.encoder_projection.out_features for network in networks]
        return average_transducers([transducer_callables(network) for network in networks], widths)

    @property
    def heard(self) -> bool:
        """Whether every network has a trained CTC head."""
        return all(Head.ctc in recogniser.heads for recogniser in self.recognisers)

    @torch.no_grad()
    def encode(
        self, data: DataConfig, split: str, batch_size: int, *, for_transducer: bool, labelled: bool = False
    ) -> Iterator[list[SpokenTrial]]:
        """Every trial of a split once, a batch at a time; those that cannot be decoded are named, and come last.

        They have no frames, so that no sentence is found for them: what was said in them counts as deleted.
        `labelled` leaves trials without labels out.

        Raises:
            InputError: when the networks do not read the same trials at the same frame rate, or no trial can be read.
        """
        data = self.recognisers[0].data(data)
        datasets = [recogniser.open(data, split, labelled=labelled) for recogniser in self.recognisers]
        for recogniser, dataset in zip(self.recognisers, datasets, strict=True):
            self._check(dataset.entries == datasets[0].entries, recogniser)
        self.recognisers[0].introduce(datasets[0])
        left_out = LeftOut(split, datasets[0].problems, say_left_out)
        streams = [
            recogniser.encode(
                dataset,
                batch_size=batch_size,
                num_workers=data.num_workers,
                on_problem=left_out if recogniser is self.recognisers[0] else _keep_quiet,
            )
            for recogniser, dataset in zip(self.recognisers, datasets, strict=True)
        ]
        for together in zip(*streams, strict=True):
            for recogniser, (_, encoded) in zip(self.recognisers, together, strict=True):
                self._check(torch.equal(encoded.lengths, together[0][1].lengths), recogniser)
            yield self._trials(together, for_transducer)
        lost = [self._lost(trial) for trial in left_out.trials if trial.labels or not labelled]
        if lost:
            yield lost

    def _lost(self, trial: LostTrial) -> SpokenTrial:
        silence = np.zeros((0, len(self.recognisers[0].checkpoint.labels)), np.float32)
        return SpokenTrial(trial.key, trial.sentence, trial.labels, silence, torch.zeros(0, 0), lost=trial.reason)

    def _check(self, alike: bool, recogniser: Recogniser) -> None:
        if not alike:
            raise InputError(
                f"{recogniser.checkpoint.path} does not read the same trials at the same frame rate as "
                f"{self.recognisers[0].checkpoint.path}; the networks of an ensemble need equal "
                "preprocessor.num_channels, patch_frames and stride_frames."
            )

    def _trials(self, together: Sequence[tuple[Batch, Encoded]], for_transducer: bool) -> list[SpokenTrial]:
        batch, encoded = together[0]
        networks = [recogniser.model for recogniser in self.recognisers]
        pairs = list(zip(networks, (found.frames for _, found in together), strict=True))
        ctc = average_log_probs([network.ctc_log_probs(frames) for network, frames in pairs]).cpu().numpy()
        projected = encoded.frames.new_zeros(*encoded.frames.shape[:2], 0)
        if for_transducer:
            projected = torch.cat([network.transducer.joiner.encoder_projection(f) for network, f in pairs], dim=-1)
        rows = zip(batch.keys, batch.sentences, references(batch), encoded.lengths.tolist(), strict=True)
        return [
            SpokenTrial(key, sentence, labels, ctc[row, :size], projected[row, :size])
            for row, (key, sentence, labels, size) in enumerate(rows)
        ]


def load_ensemble(checkpoint: str, more: str | None, device: Device = Device.auto) -> Ensemble:
    """Load a run folder, and those of a list separated by colons."""
    names = [checkpoint, *_separated(more or "")]
    return Ensemble([load_recogniser(name, device) for name in names])


def _separated(names: str) -> list[str]:
    """At colons, but those of a path that is there, as in C:/runs/one or a folder named 12:30."""
    found: list[str] = []
    parts = names.split(":")
    while parts:
        size = next((n for n in range(len(parts), 0, -1) if Path(":".join(parts[:n])).exists()), 1)
        found.append(":".join(parts[:size]))
        parts = parts[size:]
    return [name for name in found if name]


def average_log_probs(several: Sequence[Tensor]) -> Tensor:
    """Logarithm of the mean of the probabilities."""
    return torch.stack(list(several)).logsumexp(dim=0) - float(np.log(len(several)))


def average_transducers(several: Sequence[TransducerCallables], widths: Sequence[int]) -> TransducerCallables:
    """Run transducers side by side: projections and states are joined, probabilities averaged.

    widths are each one's J.
    """
    if len(several) == 1:
        return several[0]
    state_sizes = [len(one.initial(1)) for one in several]

    def initial(hypotheses: int) -> State:
        return tuple(part for one in several for part in one.initial(hypotheses))

    def predict(labels: Tensor, state: State) -> tuple[Tensor, State]:
        ends = np.cumsum(state_sizes).tolist()
        own = [state[end - size : end] for end, size in zip(ends, state_sizes, strict=True)]
        results = [one.predict(labels, part) for one, part in zip(several, own, strict=True)]
        return torch.cat([out for out, _ in results], dim=-1), tuple(part for _, new in results for part in new)

    def join(encoded: Tensor, predicted: Tensor) -> Tensor:
        sides = zip(
            several, torch.split(encoded, list(widths), -1), torch.split(predicted, list(widths), -1), strict=True
        )
        return average_log_probs([one.join(enc, pred) for one, enc, pred in sides])

    return TransducerCallables(initial, predict, join, several[0].blank)


def _keep_quiet(_: Problem) -> None:
    """Further networks of an ensemble meet the same bad trials."""
