"""Speech or rest: someone who speaks without a button, for hours, with pauses."""

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import Decoder as Head
from mode_ssm.config import ListenConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.live.events import Begin, Floats
from mode_ssm.live.spoken import HeadOutputs, LiveWords, SpokenTrials, Told
from mode_ssm.recognition.network import Recogniser


class ListenFrames(NamedTuple):
    """The times of a ListenConfig in encoder frames, each at least 1."""

    onset: int
    end: int
    before: int
    forget: int

    @classmethod
    def of(cls, config: ListenConfig, frame_ms: float) -> "ListenFrames":
        seconds = (config.onset_seconds, config.end_seconds, config.before_seconds, config.forget_seconds)
        return cls(*(max(1, round(1000 * value / frame_ms)) for value in seconds))


def evidence(log_probs: Floats, labels: Labels) -> NDArray[np.float64]:
    """(..., V) log-probabilities of the CTC head to (...): the probability of a label that is spoken."""
    rest = [labels.blank] + ([] if labels.boundary is None else [labels.boundary])
    heard: NDArray[np.float64] = 1.0 - np.exp(log_probs[..., rest].astype(np.float64)).sum(axis=-1)
    return heard


def require_ctc(recogniser: Recogniser) -> None:
    """
    Raises:
        InputError: for a network without a trained CTC head.
    """
    if Head.ctc not in recogniser.heads:
        raise InputError(
            f"live.listen finds speech by the posteriors of a CTC head, and {recogniser.checkpoint.path} has none "
            "that was trained; train with a ctc_weight, or let the source say when someone speaks."
        )


class SpeechDetector:
    """Says frame by frame whether someone speaks, from the posteriors of the CTC head.

    The evidence of a frame is the probability of all labels but the blank and the boundary between words. Speech begins
    when the evidence of the last `onset_seconds` adds up to `onset_labels`, and ends after `end_seconds` in
    which no frame had evidence of `end_evidence`: two thresholds, so that a pause between words ends nothing.
    """

    def __init__(self, labels: Labels, config: ListenConfig, frames: ListenFrames) -> None:
        self._labels, self._config, self._frames = labels, config, frames
        self._recent: deque[float] = deque(maxlen=frames.onset)
        self._quiet = 0
        self.speaking = False

    def hear(self, log_probs: Floats) -> bool:
        """Take a frame (V,), and say whether someone speaks."""
        label = float(evidence(log_probs, self._labels))
        if self.speaking:
            self._quiet = 0 if label >= self._config.end_evidence else self._quiet + 1
            if self._quiet >= self._frames.end:
                self.forget()
        else:
            self._recent.append(label)
            if sum(self._recent) >= self._config.onset_labels:
                self.speaking, self._quiet = True, 0
        return self.speaking

    def forget(self) -> None:
        """Nobody speaks."""
        self.speaking = False
        self._recent.clear()


class ContinuousSpeech(SpokenTrials):
    """Finds trials by itself: a begin where someone starts to speak, with what was heard just before, and an end.

    While nobody speaks no search runs, and every `forget_seconds` the encoder forgets what it heard, so that it stands
    as at the beginning of a trial when the next one comes; nothing grows with the hours.

    Raises:
        InputError: for a network that needs the future, or without a trained CTC head.
    """

    def __init__(
        self, recogniser: Recogniser, head: Head, words: LiveWords | None, config: ListenConfig, *, int8: bool = False
    ) -> None:
        super().__init__(recogniser, head, words, int8=int8)
        require_ctc(recogniser)
        self._config, self._frames = config, ListenFrames.of(config, recogniser.frame_ms)
        self._detector = SpeechDetector(recogniser.checkpoint.labels, config, self._frames)
        self._before: deque[HeadOutputs] = deque(maxlen=self._frames.before)
        self._session: str | None = None
        self._rested = 0  # encoder frames since someone spoke or the encoder forgot

    def begin(self, event: Begin) -> list[Told]:
        told = self.end()
        self._session = event.session
        self._start_encoder(event.session)
        return told

    def end(self) -> list[Told]:
        told = self._judged()
        if self._detector.speaking:
            told += [self._said(), *self._judged()]
        self._detector.forget()
        self._rest()
        return told

    def _take(self, outputs: HeadOutputs) -> list[Told]:
        assert outputs.ctc is not None, "the CTC head is trained"
        told: list[Told] = []
        for place in range(len(outputs.ctc)):
            one = slice(place, place + 1)
            frame = HeadOutputs(outputs.ctc[one], None if outputs.transducer is None else outputs.transducer[one])
            told += self._judged(pause=True)
            spoke, speaks = self._detector.speaking, self._detector.hear(outputs.ctc[place])
            if speaks and not spoke:
                self._start_search()
                told.append(Begin(self._session))
                told += map(self._heard, self._before)
            if speaks or spoke:
                told.append(self._heard(frame))
            if spoke and not speaks:
                told += [*self._judged(), self._said()]
                self._rest()
            if not speaks:
                self._wait(frame)
        return told

    def _pass(self, log_probs: Floats) -> None:
        for label in evidence(log_probs, self._recogniser.checkpoint.labels):
            if label >= self._config.end_evidence:
                self._rested = 0
            else:
                self._forget_rest()

    def _wait(self, frame: HeadOutputs) -> None:
        self._before.append(frame)
        self._forget_rest()

    def _forget_rest(self) -> None:
        self._rested += 1
        if self._rested % self._frames.forget == 0:
            self._encoder.forget()

    def _rest(self) -> None:
        self._before.clear()
        self._rested = 0
