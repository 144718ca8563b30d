"""A network and a language model on live frames: what is new after each piece, and what was said in the end."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mode_ssm.config import Decoder as Head
from mode_ssm.decoding.greedy import CTCStream, GreedyStream, TransducerStream
from mode_ssm.language.commitment import CommittingStream, SpokenWords
from mode_ssm.live.events import Floats
from mode_ssm.recognition.network import Recogniser
from mode_ssm.recognition.searches import SearchOptions, transducer_callables
from mode_ssm.recognition.stream import EncoderStream

WordStreams = Callable[[], CommittingStream]  # begins a trial


class Heard(NamedTuple):
    """After a piece that completed encoder frames."""

    phonemes: tuple[str, ...]  # new ones, of the head that decodes
    words: SpokenWords | None  # None without a language model
    posteriors: NDArray[np.float32]  # (s, V) log-probabilities of the CTC head


class SpokenTrials:
    """Trials on their way from features to words, one after another.

    Args:
        recogniser: a causal network as it was trained.
        head: what decodes to phonemes. Words are found from the CTC head's posteriors.
        words: the word search; None = phonemes alone.

    Raises:
        InputError: for a network that needs the future.
    """

    def __init__(self, recogniser: Recogniser, head: Head, words: WordStreams | None) -> None:
        self._recogniser, self._head, self._begin_words = recogniser, head, words
        self._encoder = EncoderStream(recogniser.model)
        self.begin(None)

    def begin(self, session: str | None) -> None:
        """Start a trial of a session, or of a day that the network does not know."""
        known = self._recogniser.checkpoint.sessions
        self._encoder.start(known.index(session) if session in known else -1)
        self._phonemes = self._search()
        self._words = None if self._begin_words is None else self._begin_words()

    @torch.inference_mode()
    def extend(self, features: Floats) -> Heard | None:
        """Take (t, C) frames; None where they complete no encoder frame."""
        frames = self._encoder.extend(torch.from_numpy(features))
        if not len(frames):
            return None
        model = self._recogniser.model
        ctc = model.ctc_log_probs(frames)
        seen = ctc if self._head is Head.ctc else model.transducer.joiner.encoder_projection(frames)
        symbols = self._recogniser.checkpoint.labels.symbols
        phonemes = tuple(symbols[emission.label] for emission in self._phonemes.extend(seen))
        posteriors: NDArray[np.float32] = ctc.float().cpu().numpy()
        return Heard(phonemes, None if self._words is None else self._words.step(posteriors), posteriors)

    def end(self) -> tuple[str, ...] | None:
        """The words of the best sentence; None without a language model."""
        if self._words is None:
            return None
        found = self._words.end()
        return found[0].words if found else ()

    def _search(self) -> GreedyStream:
        model, blank = self._recogniser.model, self._recogniser.checkpoint.labels.blank
        if self._head is Head.ctc:
            return CTCStream(blank)
        most = SearchOptions().max_labels_per_frame
        return TransducerStream(transducer_callables(model), blank, most, self._recogniser.device)
