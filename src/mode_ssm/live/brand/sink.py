"""What a speech decoder writes in a BRAND graph: logits and sentences, in one stream and in two keys."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mode_ssm.labels import NEJM, T15, Labels
from mode_ssm.live.brand.state import State, state_entry, state_stream
from mode_ssm.live.sinks import Message, Signal
from mode_ssm.live.streams.background import BackgroundWriter
from mode_ssm.live.streams.entries import written_now
from mode_ssm.live.streams.reader import written
from mode_ssm.live.streams.server import Server
from mode_ssm.live.streams.source import RedisSource

if TYPE_CHECKING:
    from redis import Redis

PARTIAL_KEY, FINAL_KEY = "partial_decoded_sentence_current", "final_decoded_sentence_current"


class BrandSink:
    """Entries of one field each, beside `sync` of the frame that they rest on and `ts`, when they were written.

    `start` and `end` (the id of the newest frame's entry), `logits` (float32; of T15's classes in the order blank,
    silence, phonemes, else in the network's own), `partial_decoded_sentence`, `final_decoded_sentence`. The two keys
    hold the newest sentence of each kind; without a language model a sentence is phonemes. What goes wrong is a
    NODE_WARNING in the stream of the node's state, and what the lock does a NODE_INFO.

    Args:
        server, stream: where to.
        nickname: of the node.
        source: whose frames are decoded.
        labels: of the network.
    """

    def __init__(self, server: Server, stream: str, nickname: str, source: RedisSource, labels: Labels) -> None:
        self._writer, self._stream = BackgroundWriter(server, stream), stream
        self._state, self._source = state_stream(nickname), source
        known = NEJM if labels == T15 else labels
        self._order = [labels.symbols.index(symbol) for symbol in known.symbols]
        self._phonemes: list[str] = []
        self._said = ""

    def tell(self, message: Message) -> None:
        kind = message["type"]
        if kind == "begin":
            self._phonemes, self._said = [], ""
            self._add({"start": self._newest()}, {PARTIAL_KEY: "", FINAL_KEY: ""})
        elif kind == "words":
            self._phonemes += message["phonemes"]
            words = message["committed"]
            self._said = " ".join(self._phonemes if words is None else [*words, *message["open"]])
        elif kind == "end":
            words = message["words"]
            said = self._said if words is None else " ".join(words)
            self._add({"end": self._newest()}, {})
            self._add({"final_decoded_sentence": said}, {FINAL_KEY: said, PARTIAL_KEY: ""})
        elif kind == "notice":
            self._say(State.warning, message["text"])
        elif kind == "lock":
            self._say(State.info, "the lock is open" if message["open"] else "the lock is closed")

    def show(self, signal: Signal) -> None:
        if signal.posteriors is not None:
            logits = np.ascontiguousarray(signal.posteriors[self._order], dtype="<f4").tobytes()
            self._add({"logits": logits}, {})
        self._add({"partial_decoded_sentence": self._said}, {PARTIAL_KEY: self._said})

    def close(self) -> None:
        self._writer.close()

    def _say(self, state: State, text: str) -> None:
        entry = state_entry(state, text)
        self._writer.do(lambda client: client.xadd(self._state, cast(Any, entry)))

    def _add(self, entry: Mapping[str, str | bytes], keys: Mapping[str, str]) -> None:
        """An entry and keys at once."""
        stamped = {**entry, "sync": self._source.sync, "ts": written_now()}

        def write(client: "Redis") -> None:
            pipeline = client.pipeline()
            pipeline.xadd(self._stream, cast(Any, stamped))
            for key, value in keys.items():
                pipeline.set(key, value)
            pipeline.execute()

        self._writer.do(write)

    def _newest(self) -> str:
        entry = self._source.newest
        return "0-0" if entry is None else written(entry.id)
