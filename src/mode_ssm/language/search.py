"""From trials to n-best sentences, by any of the three decoders."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mode_ssm.config import WordDecoder, WordSearchConfig
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import PrefixTree
from mode_ssm.language.word_graph import word_graph
from mode_ssm.language.word_slots import WordSlot
from mode_ssm.language.word_stream import WordSearch


class Found(NamedTuple):
    trial: SpokenTrial
    hypotheses: list[WordHypothesis]  # best first; empty where no sentence fits into the trial
    slots: tuple[WordSlot, ...] = ()  # of the best, where they were asked for


def word_search(
    model: WordModel,
    tree: PrefixTree,
    transducer: TransducerCallables,
    decoder: WordDecoder,
    settings: WordSearchConfig,
    nbest: int,
) -> WordSearch[Any]:
    """A decoder's search: of CTC log-probabilities (s, V); or of TransducerFrames, for joint with CTC's beside them."""
    if decoder is WordDecoder.ctc:
        return CTCWordSearch(model, tree, settings, nbest)
    graph = word_graph(model, tree, settings)
    return TransducerSearch(graph, transducer, settings, nbest, joint=decoder is WordDecoder.joint)


def search_ctc(trials: list[SpokenTrial], pool: CTCWordPool, settings: WordSearchConfig, nbest: int) -> list[Found]:
    """Search CTC posteriors; a trial without frames gets no sentence."""
    heard = [trial for trial in trials if len(trial.ctc)]
    found = iter(pool.search([trial.ctc for trial in heard], settings, nbest))
    return [Found(trial, next(found) if len(trial.ctc) else []) for trial in trials]


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
    search = word_search(model, tree, transducer, decoder, settings, nbest)
    for batch in batches:
        yield from (Found(trial, []) for trial in batch if not len(trial.ctc))
        trials = [trial for trial in batch if len(trial.ctc)]
        yield from map(Found, trials, search([TransducerFrames(trial.encoded, trial.ctc) for trial in trials]))
