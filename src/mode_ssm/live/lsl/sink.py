"""A sink that is two LSL streams: messages as markers, and the posteriors behind them as numbers."""

import json
import time

import pylsl

from mode_ssm.labels import Labels
from mode_ssm.live.sinks import Message, Signal

_BUFFER = 60  # seconds of posteriors, and hundreds of messages, for a reader that is busy
_LAST_SECONDS = 0.3  # that the last samples have to leave in


class LslSink:
    """NAME_words has a marker for each message, as JSON, and NAME_posteriors a sample for each encoder frame.

    A sample holds the log-probabilities of the CTC head, a channel for each label, which the description names. Both
    have the time at which they were sent; the time of the frame that they rest on stands in the message. Readers come
    and go as they like.

    Args:
        name: of the streams.
        labels: of the network.
        has_posteriors: whether it has a CTC head; without one there is only the first stream.
    """

    def __init__(self, name: str, labels: Labels, has_posteriors: bool) -> None:
        words = pylsl.StreamInfo(f"{name}_words", "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, f"{name}_words")
        words.set_channel_labels(["message"])
        self._words = pylsl.StreamOutlet(words, max_buffered=_BUFFER)
        self._posteriors = (
            pylsl.StreamOutlet(_posteriors(name, labels), max_buffered=_BUFFER) if has_posteriors else None
        )

    def tell(self, message: Message) -> None:
        self._words.push_sample([json.dumps(message, ensure_ascii=False)])

    def show(self, signal: Signal) -> None:
        if self._posteriors is not None and signal.posteriors is not None:
            self._posteriors.push_chunk(signal.posteriors[None])

    def close(self) -> None:
        if self._words.have_consumers() or (self._posteriors is not None and self._posteriors.have_consumers()):
            time.sleep(_LAST_SECONDS)
        del self._words, self._posteriors


def _posteriors(name: str, labels: Labels) -> pylsl.StreamInfo:
    named, count = f"{name}_posteriors", len(labels.symbols)
    info = pylsl.StreamInfo(named, "LogProbabilities", count, pylsl.IRREGULAR_RATE, pylsl.cf_float32, named)
    info.set_channel_labels(list(labels.symbols))
    return info
