"""From trials to n-best sentences, by any of the three decoders."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mode_ssm.config import WordDecoder, WordSearchConfig
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import PrefixTree
from mode_ssm.language.word_graph import word_graph


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
    search = TransducerSearch(
        word_graph(model, tree, settings), transducer, settings, nbest, joint=decoder is WordDecoder.joint
    )
    for trials in batches:
        yield from map(Found, trials, search([TransducerFrames(trial.encoded, trial.ctc) for trial in trials]))
