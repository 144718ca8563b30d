"""A network and a language model on live frames: what is new after each piece, and what was said in the end."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mode_ssm.config import Decoder as Head
from mode_ssm.decoding.greedy import CTCStream, GreedyStream, TransducerStream
from mode_ssm.language.commitment import CommittingStream, SpokenWords
from mode_ssm.language.word_windows import Worked
from mode_ssm.live.events import Begin, Floats, Turn
from mode_ssm.live.sureness import Sureness, SureWords
from mode_ssm.recognition.network import Recogniser
from mode_ssm.recognition.searches import SearchOptions, transducer_callables
from mode_ssm.recognition.stream import EncoderStream

REHEARSED = 50  # frames


class HeadOutputs(NamedTuple):
    """What the heads make of s encoder frames; None where nothing asks for it or a head was not trained."""

    ctc: Floats | None  # (s, V) log-probabilities
    transducer: Tensor | None  # (s, J) encoder projections


class LiveWords(NamedTuple):
    """A search for words in the pieces of a trial."""

    begin: Callable[[], CommittingStream[Any]]  # a trial
    piece: Callable[[HeadOutputs], Any]  # what the search reads
    sureness: Sureness | None = None  # where it is told how sure words are


class Heard(NamedTuple):
    """New of a trial, after a piece that completed encoder frames."""

    phonemes: tuple[str, ...]  # of the head that decodes
    words: SpokenWords | None  # None without a language model


class Said(NamedTuple):
    """The end of a trial."""

    words: tuple[str, ...] | None  # of the best sentence; None without a language model


Told = Begin | Heard | Said | Turn | SureWords  # the last of the words that were said last


class Step(NamedTuple):
    """Of the encoder, and what there is to tell after it."""

    told: list[Told]
    ctc: Floats | None  # (s, V) log-probabilities of the CTC head, where it was trained
    secret: bool = False  # behind a closed lock: neither features nor posteriors may be shown


class SpokenTrials:
    """Trials on their way from features to words, one after another, as their source begins and ends them.

    Args:
        recogniser: a causal network as it was trained.
        head: what decodes to phonemes.
        words: the word search; None = phonemes alone.
        int8: as for EncoderStream.

    Raises:
        InputError: for a network that needs the future.
    """

    def __init__(self, recogniser: Recogniser, head: Head, words: LiveWords | None, *, int8: bool = False) -> None:
        self._recogniser, self._head, self._word_search = recogniser, head, words
        self._encoder = EncoderStream(recogniser.model, int8=int8)
        self._judging: Worked[SureWords] | None = None  # of the trial that is over
        self._start_search()

    @torch.inference_mode()
    def rehearse(self, channels: int) -> None:
        """Decode a second of nothing, so that what is costly the first time is over before anyone speaks."""
        for _ in range(REHEARSED):
            frames = self._encoder.extend(torch.zeros(channels))
            if len(frames):
                self._heard(self._heads(frames))
        self._said()
        self._judging = None
        self._start_encoder(None)
        self._start_search()

    def begin(self, event: Begin) -> list[Told]:
        """Start a trial of a session, or of a day that the network does not know."""
        self._start_encoder(event.session)
        self._start_search()
        return [event]

    @torch.inference_mode()
    def extend(self, features: Floats) -> Step | None:
        """Take (t, C) frames; None where they complete no encoder frame."""
        frames = self._encoder.extend(torch.from_numpy(features))
        if not len(frames):
            return None
        outputs = self._heads(frames)
        return Step(self._take(outputs), outputs.ctc)

    @torch.inference_mode()
    def overhear(self, features: Floats) -> Floats | None:
        """Take (t, C) frames of which nothing is decoded, and give the CTC head's (s, V) where they complete any."""
        frames = self._encoder.extend(torch.from_numpy(features))
        if not len(frames):
            return None
        log_probs: Floats = self._recogniser.model.ctc_log_probs(frames).float().cpu().numpy()
        self._pass(log_probs)
        return log_probs

    def end(self) -> list[Told]:
        """The trial is over."""
        return [self._said(), *self._judged()]

    def _take(self, outputs: HeadOutputs) -> list[Told]:
        return [self._heard(outputs)]

    def _pass(self, log_probs: Floats) -> None:
        """What was overheard."""

    def _start_encoder(self, session: str | None) -> None:
        known = self._recogniser.checkpoint.sessions
        person = self._recogniser.model.person(session) if session else 0
        self._encoder.start(known.index(session) if session in known else -1, person)

    def _start_search(self) -> None:
        self._phonemes = self._search()
        self._words = None if self._word_search is None else self._word_search.begin()
        self._searched, self._ctc = 0, list[Floats]()  # frames of the trial so far, for how sure its words are

    def _heard(self, outputs: HeadOutputs) -> Heard:
        words = None
        if self._word_search is not None and self._words is not None:
            words = self._words.step(self._word_search.piece(outputs))
            self._keep(outputs)
        seen = torch.from_numpy(outputs.ctc) if self._head is Head.ctc else outputs.transducer
        assert seen is not None, "the head that decodes is trained"
        symbols = self._recogniser.checkpoint.labels.symbols
        return Heard(tuple(symbols[emission.label] for emission in self._phonemes.extend(seen)), words)

    def _said(self) -> Said:
        if self._words is None:
            return Said(None)
        found = self._words.end()
        sureness = None if self._word_search is None else self._word_search.sureness
        if sureness is not None and self._searched <= sureness.longest and found and found[0].words:
            self._judging = sureness(self._ctc, found)
        return Said(found[0].words if found else ())

    def _judged(self, *, pause: bool = False) -> list[Told]:
        """How sure the words are that were said last, once; where it may pause, perhaps only after some more calls."""
        while self._judging is not None:
            try:
                next(self._judging)
            except StopIteration as end:
                self._judging = None
                return [end.value]
            if pause:
                break
        return []

    def _keep(self, outputs: HeadOutputs) -> None:
        """For how sure the words are; nothing grows where a trial goes on for hours."""
        sureness = None if self._word_search is None else self._word_search.sureness
        if sureness is None or outputs.ctc is None:
            return
        self._searched += len(outputs.ctc)
        if self._searched > sureness.longest:
            self._ctc.clear()
        else:
            self._ctc.append(outputs.ctc)

    def _heads(self, frames: Tensor) -> HeadOutputs:
        model, trained = self._recogniser.model, self._recogniser.heads
        return HeadOutputs(
            model.ctc_log_probs(frames).float().cpu().numpy() if Head.ctc in trained else None,
            model.transducer.joiner.encoder_projection(frames) if self._head is Head.rnnt else None,
        )

    def _search(self) -> GreedyStream:
        model, blank = self._recogniser.model, self._recogniser.checkpoint.labels.blank
        if self._head is Head.ctc:
            return CTCStream(blank)
        most = SearchOptions().max_labels_per_frame
        return TransducerStream(transducer_callables(model), blank, most, self._recogniser.device)
