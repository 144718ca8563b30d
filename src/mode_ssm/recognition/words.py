"""Words of a trial for the face: a language model's folder, loaded once, and what a call adds to it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.config import Decoder as Head
from mode_ssm.config import WordDecoder, WordSearchConfig
from mode_ssm.language.added_words import add_words
from mode_ssm.language.commitment import CommittingStream, lag_frames
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import load_word_model
from mode_ssm.language.search import word_search
from mode_ssm.language.transducer_search import TransducerFrames
from mode_ssm.language.trie import ROOT, build_tree
from mode_ssm.language.vocabulary import Words, complete, one_word, parse_hotword, pronunciation, say_guesses
from mode_ssm.language.word_stream import WordSearch
from mode_ssm.language.word_times import FrameClock, WordTime, frame_clock, word_times
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.searches import transducer_callables

NewWords = Mapping[str, str | None] | Iterable[str]  # with pronunciations in symbols; without one it is guessed
HotWords = Mapping[str, float] | Iterable[str]  # words or phrases, with boosts in nats


class TimedWords(NamedTuple):
    """The words of a trial, and of each its start and end in seconds."""

    words: tuple[str, ...]
    times: tuple[WordTime, ...]


@dataclass(frozen=True)
class HeadWords:
    """The word search of a head: from CTC log-probabilities (s, V) or encoder projections (s, J) to words."""

    search: WordSearch[Any]
    piece: Callable[[Tensor], Any]  # what the search reads
    clock: FrameClock

    def find(self, inputs: Tensor) -> TimedWords:
        """The words of a whole trial."""
        found = self.search([self.piece(inputs)])[0]
        if not found:
            return TimedWords((), ())
        boundary = int(self.search.graph.tree.label[ROOT])
        return TimedWords(found[0].words, word_times(found[0], self.clock, boundary))

    def begin(self, share: float, seconds: float | None) -> "TrialWords":
        """Start a trial; words are committed as `CommittingStream` says."""
        return TrialWords(self, CommittingStream(self.search, share, lag_frames(seconds, self.clock.step_ms)))


class TrialWords:
    """The words of a trial that comes in pieces."""

    def __init__(self, head: HeadWords, stream: CommittingStream[Any]) -> None:
        self._piece, self._stream = head.piece, stream
        self._given = 0  # words

    def extend(self, inputs: Tensor) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The newly committed words, and those after them that may change."""
        committed, after = self._stream.step(self._piece(inputs))
        new, self._given = committed[self._given :], len(committed)
        return new, after

    def end(self) -> tuple[str, ...]:
        """The words that were not committed."""
        return _best(self._stream.end())[self._given :]


class WordFinder:
    """Makes word searches over one language model.

    Raises:
        InputError: where the folder holds no language model, or the labels have no word boundary.
    """

    def __init__(self, network: ModeSSM, lm: str) -> None:
        self._network = network
        self._model = load_word_model(lm, network.labels)
        self._tree = build_tree(self._model)
        self._guessed: dict[str, str] = {}  # learning to guess takes seconds, so that it is not done twice for a word

    def search(self, head: Head, words: NewWords, hotwords: HotWords) -> HeadWords:
        """A search from what a head gives to words.

        Raises:
            InputError: for what is no word, symbols that are no labels, or a hot word without a word in it.
        """
        settings = WordSearchConfig()
        model, tree = self._model, self._tree
        named, phrases = self._named(words), _phrases(hotwords, settings.hotword_boost)
        if named or phrases:
            named = {**self._as_guessed(phrases), **named}
            additions, guesses = complete(model, named, phrases)
            say_guesses(guesses, model.labels)
            self._guessed |= {word: model.labels.text(guesses.lexicon[word][0]) for word in guesses.guessed}
            model, tree = add_words(model, tree, additions)
        decoder, transducer = WordDecoder(head.value), transducer_callables(self._network)
        search = word_search(model, tree, transducer, decoder, settings, nbest=1)
        piece = _ctc_piece if head is Head.ctc else TransducerFrames
        return HeadWords(search, piece, frame_clock(self._network.config))

    def _named(self, words: NewWords) -> Words:
        pairs = words.items() if isinstance(words, Mapping) else ((name, None) for name in words)
        return {one_word(name): self._pronounced(one_word(name), symbols) for name, symbols in pairs}

    def _pronounced(self, word: str, symbols: str | None) -> tuple[tuple[int, ...], ...]:
        said = symbols or self._guessed.get(word)
        return (pronunciation(said.split(), self._model.labels),) if said else ()

    def _as_guessed(self, phrases: Mapping[tuple[str, ...], float]) -> Words:
        """The words of phrases that were guessed for an earlier call."""
        return {word: self._pronounced(word, None) for phrase in phrases for word in phrase if word in self._guessed}


def _ctc_piece(log_probs: Tensor) -> NDArray[np.floating]:
    piece: NDArray[np.floating] = log_probs.float().cpu().numpy()
    return piece


def _phrases(hotwords: HotWords, boost: float) -> dict[tuple[str, ...], float]:
    if isinstance(hotwords, Mapping):
        return {parse_hotword(text)[0]: float(own) for text, own in hotwords.items()}
    parsed = map(parse_hotword, hotwords)
    return {phrase: boost if own is None else own for phrase, own in parsed}


def _best(found: list[WordHypothesis]) -> tuple[str, ...]:
    return found[0].words if found else ()
