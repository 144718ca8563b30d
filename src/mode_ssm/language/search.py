"""From trials to n-best sentences, by any of the three decoders."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from mode_ssm.config import WordDecoder, WordSearchConfig
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.transducer_search import TransducerWordSearch
from mode_ssm.language.trie import PrefixTree


class Found(NamedTuple):
    trial: SpokenTrial
    hypotheses: list[WordHypothesis]  # best first; empty where no sentence fits into the trial


def search_ctc(trials: list[SpokenTrial], pool: CTCWordPool, settings: WordSearchConfig, nbest: int) -> list[Found]:
    """Search CTC posteriors."""
    found = pool.search([trial.ctc for trial in trials], settings, nbest)
    return [Found(trial, hypotheses) for trial, hypotheses in zip(trials, found, strict=True)]


def search_transducer(
    batches: Iterable[list[SpokenTrial]],
    model: WordModel,
    tree: PrefixTree,
    transducer: TransducerCallables,
    decoder: WordDecoder,
    settings: WordSearchConfig,
    nbest: int,
) -> Iterator[Found]:
    """Search the transducer, with the CTC head's prefix scores where the decoder is joint."""
    search = TransducerWordSearch(model, tree, settings, nbest)
    for trials in batches:
        encoded = pad_sequence([trial.encoded for trial in trials], batch_first=True)
        lengths = torch.tensor([len(trial.encoded) for trial in trials])
        ctc = [trial.ctc for trial in trials] if decoder is WordDecoder.joint else None
        yield from map(Found, trials, search(encoded, lengths, transducer, ctc))
