"""An n-gram model laid out for vectorised queries, in memory or in a file whose pages are read when needed."""

import json
import logging
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mode_ssm.errors import InputError
from mode_ssm.files import parse_json, replacing
from mode_ssm.language.arpa import START, BackoffModel, NGrams, read_arpa
from mode_ssm.language.ngram_scores import NGramScores, Scored
from mode_ssm.language.ngram_trie import Ints, TrieArrays, build_trie, longest

_FORMAT = "MODE-SSM n-grams, version 1"
_HEAD_BYTES = 4096  # a JSON object and a line break, filled up with spaces
_ALIGNMENT = 64  # bytes
_TYPES = {"keys": "<i8", "log_probs": "<f4", "after": "<i4", "suffixes": "<i4", "backoffs": "<f4", "words": "|u1"}

_log = logging.getLogger(__name__)


class NGramStore(NGramScores):
    """A model of ours."""

    def __init__(self, order: int, text: bytes, trie: TrieArrays) -> None:
        super().__init__(order, text.decode().split("\n"))
        self._text = text
        self._trie = trie
        self.start = int(trie.after[self._numbers[START]])

    @classmethod
    def of(cls, model: BackoffModel) -> "NGramStore":
        """Lay a model out in memory."""
        return cls(len(model.orders), "\n".join(model.words).encode(), build_trie(model))

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of n-grams by order."""
        ends = [0, len(self.words)]
        while ends[-1] < len(self._trie.keys):  # an order ends with the children of the last node below it
            ends.append(int(np.searchsorted(self._trie.keys, (ends[-1] + 1) * len(self.words))))
        return tuple(end - start for start, end in pairwise(ends))

    def model(self) -> BackoffModel:
        """The n-grams of the model, in the order of their nodes."""
        trie, width = self._trie, len(self.words)
        words = np.arange(width, dtype=np.int32)[:, None]
        orders, first = [], 0
        for size, count in enumerate(self.counts, start=1):
            if size > 1:
                last = (trie.keys[first : first + count] % width).astype(np.int32)
                words = np.concatenate((words[self.context_rows(size)], last[:, None]), axis=1)
            backoffs = (
                trie.backoffs[first + 1 : first + 1 + count] if size < self.order else np.zeros(count, np.float32)
            )
            orders.append(NGrams(words, trie.log_probs[first : first + count], backoffs))
            first += count
        return BackoffModel(self.words, tuple(orders))

    def context_rows(self, size: int) -> Ints:
        """The rows that the first words of each n-gram of an order of 2 and more have in the order below."""
        start = sum(self.counts[: size - 1])
        parents = self._trie.keys[start : start + self.counts[size - 1]] // len(self.words)
        return parents - 1 - sum(self.counts[: size - 2])

    @cached_property
    def unigrams(self) -> NDArray[np.float64]:
        """(W,) log-probability of each word without context."""
        return self._trie.log_probs[: len(self.words)].astype(np.float64)

    def score(self, states: ArrayLike, words: ArrayLike) -> Scored:
        """The states after the words, and the log-probability of each word in the state before; both (N,)."""
        trie = self._trie
        contexts, numbers = np.asarray(states, np.int64), np.asarray(words, np.int64)
        nodes, passed = longest(trie.keys, len(self.words), trie.suffixes, trie.backoffs, contexts, numbers)
        nodes -= 1
        return Scored(trie.after[nodes].astype(np.int64), passed + trie.log_probs[nodes])

    def save(self, path: Path) -> None:
        """Write the file that `map_store` maps."""
        arrays = self._trie._asdict() | {"words": np.frombuffer(self._text, np.uint8)}
        places, at = {}, _HEAD_BYTES
        for name, array in arrays.items():
            places[name] = (at, len(array))
            at += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        head = json.dumps({"format": _FORMAT, "order": self.order, "bytes": at, "arrays": places})
        with replacing(path) as beside, beside.open("wb") as file:
            file.write(head.encode().ljust(_HEAD_BYTES - 1) + b"\n")
            for name, (start, _) in places.items():
                file.seek(start)
                arrays[name].astype(_TYPES[name], copy=False).tofile(file)
            file.truncate(at)


def map_store(path: Path) -> NGramStore:
    """Map a file that `NGramStore.save` wrote.

    Raises:
        InputError: on a file that cannot be read, is no such file, or is a part of one.
    """
    try:
        with path.open("rb") as file:
            head = parse_json(file.read(_HEAD_BYTES).decode())
        if head["format"] != _FORMAT or head["bytes"] != path.stat().st_size:
            raise ValueError
        whole = np.memmap(path, np.uint8, mode="r")
    except OSError as error:
        raise InputError(f"The n-gram model {path} cannot be read ({error.strerror}); give another.") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is no whole n-gram model of this version; delete it and build it again.") from None
    arrays: dict[str, Any] = {name: _part(whole, name, *place) for name, place in head["arrays"].items()}
    text = arrays.pop("words").tobytes()
    return NGramStore(head["order"], text, TrieArrays(**arrays))


def _part(whole: NDArray[np.uint8], name: str, start: int, count: int) -> NDArray[Any]:
    kind = np.dtype(_TYPES[name])
    return np.asarray(whole)[start : start + count * kind.itemsize].view(kind)


def open_ngrams(store: Path, arpa: Path) -> NGramStore:
    """Map a store; where it is not there or older than the ARPA file, that is read and the store written anew.

    Raises:
        InputError: when neither is there, or what is there cannot be read.
    """
    if store.is_file() and not (arpa.is_file() and arpa.stat().st_mtime_ns > store.stat().st_mtime_ns):
        return map_store(store)
    if not arpa.is_file():
        raise InputError(f"There is no {arpa}; build a language model with mode-ssm lm build out={arpa.parent}.")
    read = NGramStore.of(read_arpa(arpa))
    try:
        read.save(store)
    except OSError as error:
        _log.warning("%s cannot be written (%s): %s is read anew each time.", store, error.strerror, arpa)
        return read
    return map_store(store)
