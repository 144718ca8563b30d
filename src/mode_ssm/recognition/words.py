"""Words of a trial for the face: a language model's folder and a trained head become one function."""

from collections.abc import Callable

from torch import Tensor

from mode_ssm.config import Decoder as Head
from mode_ssm.config import WordSearchConfig
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import load_word_model
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_graph import word_graph
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.searches import transducer_callables


def word_search(network: ModeSSM, lm: str, head: Head) -> Callable[[Tensor], tuple[str, ...]]:
    """From what a head gives of a trial, CTC log-probabilities (S, V) or encoder projections (S, J), to its words.

    Raises:
        InputError: where the folder holds no language model, or the labels have no word boundary.
    """
    model, settings = load_word_model(lm, network.labels), WordSearchConfig()
    tree = build_tree(model)
    if head is Head.ctc:
        ctc = CTCWordSearch(model, tree, settings, nbest=1)
        return lambda log_probs: _best(ctc([log_probs.float().cpu().numpy()])[0])
    graph, callables = word_graph(model, tree, settings), transducer_callables(network)
    transducer = TransducerSearch(graph, callables, settings, nbest=1)
    return lambda projected: _best(transducer([TransducerFrames(projected)])[0])


def _best(found: list[WordHypothesis]) -> tuple[str, ...]:
    return found[0].words if found else ()
