"""A trained decoder for Python: features in, what was said out, for whole trials and while one speaks.

decoder = mode_ssm.load("RUN")
decoder.transcribe(features, session="t15.2023.08.13").phonemes
with decoder.stream() as stream:
    for piece in pieces:
        stream.extend(piece).phonemes  # what is new
    stream.end().words  # those that were still open, where a language model was given
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mode_ssm.batch import FRAME_MS, Batch, Trial, TrialKey, collate
from mode_ssm.config import Decoder as Head
from mode_ssm.config import LiveConfig
from mode_ssm.decoding.greedy import CTCStream, Emission, GreedyStream, TransducerStream
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.models.model import ModeSSM, encoder_frame_ms, first_middle_ms
from mode_ssm.recognition.network import Recogniser, load_recogniser
from mode_ssm.recognition.searches import SearchOptions, transducer_callables
from mode_ssm.recognition.stream import EncoderStream

if TYPE_CHECKING:
    from mode_ssm.recognition.words import HeadWords, HotWords, NewWords, TrialWords, WordFinder

Features = NDArray[np.floating[Any]] | Tensor  # (T, C), a row every 20 ms

TRIALS_AT_ONCE = 16


@dataclass(frozen=True)
class Transcript:
    """What was said in a trial, or in a piece of one; all fields but the words' have an entry for each phoneme."""

    phonemes: tuple[str, ...]  # symbols of the decoder's labels
    frames: tuple[int, ...]  # the encoder frame that decided for it, counted from the start of the trial
    times: tuple[float, ...]  # seconds from there to the middle of what that frame sees
    words: tuple[str, ...] | None = (
        None  # by a language model, of a piece those that now stay; or as letters spell them
    )
    open: tuple[str, ...] = ()  # the best words after those, which may change with the next piece
    word_times: tuple[tuple[float, float], ...] | None = None  # of a whole trial's words: start and end in seconds

    def __add__(self, later: "Transcript") -> "Transcript":
        """Pieces of one trial joined."""
        words = None if self.words is None or later.words is None else self.words + later.words
        phonemes, frames, times = (
            self.phonemes + later.phonemes,
            self.frames + later.frames,
            self.times + later.times,
        )
        return Transcript(phonemes, frames, times, words, later.open)


class TrainedDecoder:
    """A network as it was trained, ready for features.

    Attributes:
        labels: the set of labels that it decodes to.
        sessions: those that it knows; a recording of any other is decoded with the mean of their session layers.
        heads: those that were trained.
        head: the one that decodes unless told: that with the fewest errors on the val split in training.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self.labels: Labels = recogniser.checkpoint.labels
        self.sessions: tuple[str, ...] = recogniser.sessions
        self.heads: tuple[str, ...] = tuple(head.value for head in recogniser.heads)
        self.head: str = recogniser.head(None).value
        self._config = recogniser.checkpoint.config
        self._word_finders: dict[str, WordFinder] = {}

    @property
    def channels(self) -> int:
        """C, the features that a frame must have."""
        return self._recogniser.channels

    @property
    def model(self) -> ModeSSM:
        """The network itself, a module of PyTorch in evaluation mode."""
        return self._recogniser.model

    @overload
    def transcribe(
        self,
        features: Features,
        *,
        session: str | None = None,
        head: str | None = None,
        lm: str | Path | None = None,
        words: "NewWords" = (),
        hotwords: "HotWords" = (),
    ) -> Transcript: ...

    @overload
    def transcribe(
        self,
        features: Sequence[Features],
        *,
        session: str | None = None,
        head: str | None = None,
        lm: str | Path | None = None,
        words: "NewWords" = (),
        hotwords: "HotWords" = (),
    ) -> list[Transcript]: ...

    def transcribe(
        self,
        features: Features | Sequence[Features],
        *,
        session: str | None = None,
        head: str | None = None,
        lm: str | Path | None = None,
        words: "NewWords" = (),
        hotwords: "HotWords" = (),
    ) -> Transcript | list[Transcript]:
        """Decode whole trials: phonemes greedily, and words with a language model, or as letters and pieces spell them.

        Args:
            features: (T, C) of one trial, or a list of such.
            session: the day that they were recorded on; None for one that the decoder was not trained on.
            head: ctc or rnnt; None = the best.
            lm: a folder of `mode-ssm lm build`, loaded once; the word search has its default weights.
            words: besides those of the language model: names, or a dict of names with their phonemes ("K AY AH").
            hotwords: words or phrases to expect, or a dict of them with boosts in nats.

        Raises:
            InputError: for features of another shape or with NaN, a session or a head that the decoder does not know,
                or where there is no such language model.
        """
        if isinstance(features, np.ndarray | Tensor):
            return self.transcribe([features], session=session, head=head, lm=lm, words=words, hotwords=hotwords)[0]
        chosen, found = self._recogniser.head(head), []
        search = self._word_search(lm, chosen, words, hotwords)
        for frames in self._encoded(features, session):
            inputs = self._inputs(chosen, frames)
            transcript = self._transcript(self._search(chosen).extend(inputs))
            if search is not None:
                spoken = search.find(inputs)
                transcript = replace(transcript, words=spoken.words, word_times=spoken.times)
            elif self.labels.spells:
                ids = self.labels.ids(transcript.phonemes)
                transcript = replace(transcript, words=tuple(self.labels.sentence(ids).split()))
            found.append(transcript)
        return found

    def posteriors(self, features: Features, *, session: str | None = None) -> NDArray[np.float32]:
        """Log-probabilities (S, V) of the CTC head for one trial (T, C).

        Raises:
            InputError: as transcribe, and where no CTC head was trained.
        """
        head = self._recogniser.head(Head.ctc.value)
        (frames,) = self._encoded([features], session)
        log_probs: NDArray[np.float32] = self._inputs(head, frames).float().cpu().numpy()
        return log_probs

    def stream(
        self,
        *,
        session: str | None = None,
        head: str | None = None,
        lm: str | Path | None = None,
        words: "NewWords" = (),
        hotwords: "HotWords" = (),
        commit_share: float = LiveConfig.commit_share,
        commit_seconds: float | None = LiveConfig.commit_seconds,
    ) -> "TranscriptStream":
        """Begin a trial of which the features come in pieces, for a causal network.

        Args:
            session: as for transcribe; so are head, lm, words and hotwords.
            commit_share: a word of the best sentence stays, whatever comes, once the sentences that have it hold this
                share of the probability of all that are still searched; 1 = every one has it.
            commit_seconds: or once the best sentence has had it for so long after its end; None = never for its age.
                With commit_share=1 and None the words in the end are those of transcribe.

        Raises:
            InputError: for a network that needs the future, a session or a head that the decoder does not know, and as
                transcribe for words.
        """
        self._check_commitment(commit_share, commit_seconds, lm)
        chosen = self._recogniser.head(head)
        encoder = EncoderStream(self.model, self._session(session))
        search = self._word_search(lm, chosen, words, hotwords)
        begun = None if search is None else search.begin(commit_share, commit_seconds)
        return TranscriptStream(self, encoder, chosen, begun)

    @staticmethod
    def _check_commitment(share: float, seconds: float | None, lm: str | Path | None) -> None:
        usual = share == LiveConfig.commit_share and seconds == LiveConfig.commit_seconds
        if not 0 <= share <= 1 or (seconds is not None and not seconds >= 0) or (lm is None and not usual):
            raise InputError(
                f"commit_share={share} and commit_seconds={seconds} say when words of a language model stay; give "
                "lm=FOLDER, a share from 0 to 1, and 0 or more seconds or None."
            )

    def _session(self, name: str | None) -> int:
        if name is not None and name not in self.sessions:
            raise InputError(
                f"The decoder was not trained on a session '{name}'; give one of its {len(self.sessions)} sessions, "
                f"such as {self.sessions[-1]}, or session=None for a day that it does not know."
            )
        return -1 if name is None else self._recogniser.session_index[name]

    @torch.inference_mode()
    def _encoded(self, trials: Sequence[Features], session: str | None) -> Iterator[Tensor]:
        """The encoder frames (S, D) of each trial."""
        known = {} if session is None else {session: self._session(session)}
        name = session or next(iter(self._recogniser.checkpoint.participants), "unknown")
        checked = [self._checked(place, features) for place, features in enumerate(trials)]
        for start in range(0, len(checked), TRIALS_AT_ONCE):
            batch = _as_batch(checked[start : start + TRIALS_AT_ONCE], name, known)
            frames, lengths = self.model.encode(batch.to(self._recogniser.device))
            for row, length in zip(frames, lengths.tolist(), strict=True):
                yield row[:length]

    def _checked(self, place: int, features: Features) -> Tensor:
        values = torch.as_tensor(features)
        if values.dim() != 2 or values.shape[1] != self.channels or not values.is_floating_point():
            raise InputError(
                f"Trial {place} has features of shape {tuple(values.shape)} and type {values.dtype}; give (T, "
                f"{self.channels}) of a floating-point type, a row every {FRAME_MS} ms."
            )
        if not values.isfinite().all():
            raise InputError(f"Trial {place} has NaN or infinite features; repair them or leave the trial out.")
        return values.float()

    @torch.inference_mode()
    def _inputs(self, head: Head, frames: Tensor) -> Tensor:
        """Encoder frames (s, D) to what the search of a head reads."""
        if head is Head.ctc:
            return self.model.ctc_log_probs(frames)
        projected: Tensor = self.model.transducer.joiner.encoder_projection(frames)
        return projected

    def _search(self, head: Head) -> GreedyStream:
        if head is Head.ctc:
            return CTCStream(self.labels.blank)
        most = SearchOptions().max_labels_per_frame
        callables, device = transducer_callables(self.model), self._recogniser.device
        return TransducerStream(callables, self.labels.blank, most, device)

    def _word_search(
        self, lm: str | Path | None, head: Head, words: "NewWords", hotwords: "HotWords"
    ) -> "HeadWords | None":
        """The search for words, from what the search of a head reads, where there is a language model."""
        if lm is None:
            if words or hotwords:
                raise InputError("words and hotwords are for the search of a language model; give lm=FOLDER too.")
            return None
        lm = str(lm)
        if lm not in self._word_finders:
            from mode_ssm.recognition.words import WordFinder

            self._word_finders[lm] = WordFinder(self.model, lm)
        return self._word_finders[lm].search(head, words, hotwords)

    def _transcript(self, emissions: Sequence[Emission]) -> Transcript:
        begin, step = first_middle_ms(self._config), encoder_frame_ms(self._config)
        middles = [(begin + step * e.frame) / 1000 for e in emissions]
        symbols = tuple(self.labels.symbols[e.label] for e in emissions)
        return Transcript(symbols, tuple(e.frame for e in emissions), tuple(middles))


class TranscriptStream:
    """A trial while it is spoken; all that `extend` and `end` give, joined, is what `transcribe` gives for all of it.

    Words may differ unless `commit_share` is 1 and `commit_seconds` None: those that stay early are kept where later
    frames speak for others.
    """

    def __init__(
        self, decoder: TrainedDecoder, encoder: EncoderStream, head: Head, words: "TrialWords | None" = None
    ) -> None:
        self._decoder, self._encoder, self._head, self._words = decoder, encoder, head, words
        self._search = decoder._search(head)

    def __enter__(self) -> "TranscriptStream":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def extend(self, features: Features) -> Transcript:
        """Take the next (t, C) features, or one frame (C,), and give what they decide.

        Raises:
            InputError: for features of another shape.
        """
        frames = self._encoder.extend(torch.as_tensor(features).float())
        inputs = self._decoder._inputs(self._head, frames)
        transcript = self._decoder._transcript(self._search.extend(inputs))
        if self._words is None:
            return transcript
        committed, after = self._words.extend(inputs)
        return replace(transcript, words=committed, open=after)

    def end(self) -> Transcript:
        """The trial is over: the words that were still open, and no phonemes, which were all given."""
        return Transcript((), (), (), None if self._words is None else self._words.end())


def _as_batch(trials: Sequence[Tensor], session: str, index: dict[str, int]) -> Batch:
    keys = [TrialKey(session, "test", f"trial_{n:04d}", 0, n) for n in range(len(trials))]
    return collate([Trial(key, features, None, None) for key, features in zip(keys, trials, strict=True)], index)


def load(checkpoint: str | Path, participant: str | None = None) -> TrainedDecoder:
    """Load a trained decoder, on a GPU where there is one.

    Args:
        checkpoint: a run folder of `mode-ssm train` (its best checkpoint), or a checkpoint file.
        participant: whose recordings, where the network has a map for each of several.

    Raises:
        InputError: when there is no readable checkpoint, or it needs or does not know the participant.
    """
    return TrainedDecoder(load_recogniser(str(checkpoint)).of(participant))
