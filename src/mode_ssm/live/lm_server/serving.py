"""The server of a language model: entries in the order in which they came, an answer to each."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mode_ssm.config import WordSearchConfig
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import build_tree
from mode_ssm.live.lm_server import messages
from mode_ssm.live.lm_server.parameters import Parameters
from mode_ssm.live.streams.reader import Entry, StreamReader
from mode_ssm.live.streams.writer import add, patiently

if TYPE_CHECKING:
    from redis import Redis

_IDLE_MS = 250  # after which it is seen whether the parameters still stand in their stream


class LanguageModelServer:
    """Answers what comes from now on; entries from before are not answered again.

    A sentence begins with a reset, or with the first logits after a final answer. Parameters that a client sets within
    a sentence hold from the next one on.

    Args:
        model: of the classes blank, silence, phonemes.
        settings, nbest: until a client sets others.
        client: of the Redis server, which is waited for.
        name: of the language model, for clients.
        say: is told in words what goes wrong.
    """

    def __init__(
        self,
        model: WordModel,
        settings: WordSearchConfig,
        nbest: int,
        client: "Redis",
        name: str,
        say: Callable[[str], None],
    ) -> None:
        self._model, self._tree, self._settings = model, build_tree(model), settings
        self._client, self._name, self._say = client, name, say
        self._parameters = Parameters.of(settings, nbest)
        streams = (messages.RESET, messages.UPDATE, messages.INPUT, messages.FINALIZE)
        self._reader = patiently(partial(StreamReader, client, streams, _IDLE_MS), say)
        self._answers = dict(zip(streams, (self._reset, self._update, self._hear, self._finish), strict=True))
        self._told: set[str] = set()
        self._begin()

    def serve(self) -> None:
        """Until the process is stopped."""
        while True:
            self.answer()

    def answer(self) -> None:
        """Answer what is there now, or comes within a quarter of a second."""
        read = self._reader.read()
        if not read:
            patiently(self._stand, self._say)
        for found in read:
            if isinstance(found, Entry):
                self._answers[found.stream](found)
            else:
                self._say(found)

    def _stand(self) -> None:
        """The parameters stand in their stream, also after it was emptied."""
        if not self._client.xlen(messages.PARAMETERS):
            self._client.xadd(messages.PARAMETERS, dict[Any, Any](self._in_force()))

    def _in_force(self) -> messages.Fields:
        return {"lm_path": self._name, **self._parameters._asdict()}

    def _begin(self) -> None:
        """Start a sentence."""
        settings = self._parameters.settings(self._settings)
        self._scale = self._parameters.acoustic_scale
        self._sentence = CTCWordSearch(self._model, self._tree, settings, self._parameters.nbest).begin()
        self._words: list[str] = []
        self._heard = False

    def _reset(self, _: Entry) -> None:
        patiently(self._stand, self._say)
        self._begin()
        self._add(messages.DONE_RESETTING, messages.DONE)

    def _update(self, entry: Entry) -> None:
        self._parameters, said = self._parameters.updated(entry.fields)
        for text in said:
            self._say_once(text)
        if not self._heard:
            self._begin()
        self._add(messages.PARAMETERS, self._in_force())
        self._add(messages.DONE_UPDATING, messages.DONE)

    def _hear(self, entry: Entry) -> None:
        logits, said = messages.read_logits(entry.fields)
        if said is not None:
            self._say(said)
        if len(logits):
            self._sentence.step([logits])
            self._words, self._heard = self._best(), True
        self._add(messages.PARTIAL, messages.partial_answer(self._words))

    def _best(self) -> list[str]:
        """The words that have ended in the best hypothesis."""
        best = int(np.argmax(self._sentence.scores))
        words, _ = self._sentence.trace.ended(self._sentence.traces[[best]], known=0)
        return [self._model.words[word] for word in words[:, 0]]

    def _finish(self, _: Entry) -> None:
        context = patiently(lambda: cast(bytes | None, self._client.get(messages.CONTEXT)), self._say) or b""
        found = self._sentence.end()[0] if self._heard else []
        said = messages.final_answer(found, self._scale, context.decode(errors="replace").strip())
        self._add(messages.FINAL, said)
        self._add(messages.DONE_FINALIZING, messages.DONE)
        self._begin()

    def _add(self, stream: str, fields: messages.Fields) -> None:
        add(self._client, stream, fields, self._say)

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._say(text)
