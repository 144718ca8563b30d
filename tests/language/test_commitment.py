"""Words are committed once, and what they cost: nothing by agreement, other hypotheses by share or by age."""

from itertools import pairwise, takewhile
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mode_ssm.config import WordSearchConfig
from mode_ssm.labels import T15
from mode_ssm.language.commitment import CommittingStream, SpokenWords
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import WordModel
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_graph import word_graph
from mode_ssm.language.word_stream import WordSearch
from tests.decoding.tiny_transducer import TinyTransducer
from tests.language.conftest import A, B
from tests.language.paths import posteriors


def search(model: WordModel, **options: float) -> CTCWordSearch:
    return CTCWordSearch(model, build_tree(model), WordSearchConfig(**options), 5)


def spoken_in_pieces(stream: CommittingStream[Any], log_probs: Any, size: int) -> list[SpokenWords]:
    return [stream.step(log_probs[at : at + size]) for at in range(0, len(log_probs), size)]


def head(model: WordModel, kind: str, frames: int, seed: int) -> tuple[WordSearch[Any], Any]:
    """A search of a head, and what it reads of a trial."""
    weights, log_probs = {"lm_weight": 0.5, "word_score": 0.0, "beam_threshold": 8.0}, posteriors(frames, seed)
    if kind == "ctc":
        return search(model, **weights), log_probs
    tiny, options = TinyTransducer(len(T15), seed), WordSearchConfig(**weights)
    graph = word_graph(model, build_tree(model), options)
    find = TransducerSearch(graph, tiny.callables(), options, 5, joint=kind == "joint")
    return find, TransducerFrames(tiny.encoded(frames), log_probs)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["ctc", "rnnt", "joint"]),
    st.integers(0, 10_000),
    st.integers(1, 30),
    st.integers(1, 5),
    st.sampled_from([1.0, 0.9, 0.5]),
    st.sampled_from([None, 0, 2, 6]),
)
def test_committed_words_stay(
    word_model: WordModel, kind: str, seed: int, frames: int, size: int, share: float, lag: int | None
) -> None:
    find, log_probs = head(word_model, kind, frames, seed)
    stream = CommittingStream(find, share, lag)
    said = spoken_in_pieces(stream, log_probs, size)
    found = stream.end()
    for earlier, later in pairwise(said):
        assert later.committed[: len(earlier.committed)] == earlier.committed
    assert all(hypothesis.words[: len(said[-1].committed)] == said[-1].committed for hypothesis in found)
    by_frame = CommittingStream(find, share, lag)
    assert spoken_in_pieces(by_frame, log_probs, 1)[-1] == said[-1]
    assert by_frame.end() == found
    if lag is None and share == 1:
        assert found == find([log_probs])[0]


def said_by_each(find: WordSearch[Any], log_probs: Any) -> list[list[tuple[float, list[int]]]]:
    """After each frame, of every hypothesis its probability beside the others' and the words that ended in it."""
    stream, said = find.begin(), []
    for frame in range(len(log_probs)):
        stream.step([log_probs[frame : frame + 1]])
        weights = np.exp(stream.scores - stream.scores.max())
        paths = [stream.trace.path(int(last))[:, 2] for last in stream.traces]
        words = [[int(word) for word in path if word >= 0] for path in paths]
        said.append(list(zip(weights / weights.sum(), words, strict=True)))
    return said


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["ctc", "rnnt", "joint"]), st.integers(0, 10_000), st.integers(1, 20))
def test_by_agreement_what_all_begin_with_is_committed(word_model: WordModel, kind: str, seed: int, n: int) -> None:
    find, log_probs = head(word_model, kind, n, seed)
    committed = [words.committed for words in spoken_in_pieces(CommittingStream(find), log_probs, 1)]
    for words, beam in zip(committed, said_by_each(find, log_probs), strict=True):
        places = zip(*(said for _, said in beam), strict=False)
        common = [place[0] for place in takewhile(lambda place: len(set(place)) == 1, places)]
        assert words == tuple(find.graph.scores.names[word] for word in common)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["ctc", "rnnt", "joint"]),
    st.integers(0, 10_000),
    st.integers(1, 20),
    st.sampled_from([0.3, 0.6, 0.9, 0.99]),
)
def test_the_first_word_is_committed_once_it_has_its_share(
    word_model: WordModel, kind: str, seed: int, frames: int, share: float
) -> None:
    find, log_probs = head(word_model, kind, frames, seed)
    stream = CommittingStream(find, share)
    for frame, beam in enumerate(said_by_each(find, log_probs)):
        said = stream.step(log_probs[frame : frame + 1])
        _, best = max(beam, key=lambda one: one[0])
        has_it = [weight for weight, words in beam if best and words[:1] == best[:1]]
        assume(abs(sum(has_it) - share) > 1e-9)
        assert bool(said.committed) == (sum(has_it) > share)
        if said.committed:  # what does not have it is dropped, so that the beams differ from here
            assert said.committed[0] == find.graph.scores.names[best[0]]
            return


def path_of(labels: list[int], doubt: float = 9.0) -> np.ndarray:
    """Log-probabilities in which each frame's label is nearly certain."""
    log_probs = np.full((len(labels), 41), -doubt)
    log_probs[range(len(labels)), labels] = -0.01
    return log_probs


def test_words_of_an_age_are_committed_though_others_would_do(word_model: WordModel) -> None:
    """ah and awe sound alike, so that the beam never agrees; the word is fixed three frames after its boundary."""
    log_probs = path_of([A, T15.boundary, *[T15.blank] * 6, B, T15.boundary, T15.blank])
    find = search(word_model)
    never, after_three = CommittingStream(find), CommittingStream(find, lag_frames=2)
    assert [len(words.committed) for words in spoken_in_pieces(never, log_probs, 1)] == [0] * 11
    said = spoken_in_pieces(after_three, log_probs, 1)
    assert [len(words.committed) for words in said] == [0] * 4 + [1] * 7
    assert said[3].open == said[4].committed == find([log_probs])[0][0].words[:1]
    assert said[-1].open == ("bee",)


def test_a_word_without_rivals_is_committed_with_its_end(word_model: WordModel) -> None:
    stream = CommittingStream(search(word_model, beam_threshold=4.0))
    frames = path_of([B, T15.boundary, T15.blank, T15.blank], doubt=30.0)
    said = spoken_in_pieces(stream, frames, 1)
    assert [words.committed for words in said] == [(), ("bee",), ("bee",), ("bee",)]
    (best, *_) = search(word_model, beam_threshold=4.0)([frames])[0]
    assert stream.end()[0].score == pytest.approx(best.score)
