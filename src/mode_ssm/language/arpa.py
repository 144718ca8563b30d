"""Reads n-gram models in the ARPA format, with the oddities of the tools that write it."""

import gzip
import logging
import re
from array import array
from collections.abc import Iterable, Iterator
from math import log
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.files import BROKEN_TEXT

LN10 = log(10.0)  # ARPA files speak in base 10
UNKNOWN, START, END = "<unk>", "<s>", "</s>"
_MISSING_UNKNOWN = -100.0  # log10 of <unk> where a file has none, as KenLM has it
_ZERO = -99.0  # log10: stands for the logarithm of 0 in ARPA files
_COUNT = re.compile(rb"ngram\s+(\d{1,9})\s*=\s*(\d{1,18})")

_log = logging.getLogger(__name__)


class NGrams(NamedTuple):
    """The M n-grams of one order k; natural logarithms."""

    words: NDArray[np.int32]  # (M, k) word numbers
    log_probs: NDArray[np.float32]  # (M,) of the last word after the others
    backoffs: NDArray[np.float32]  # (M,) 0 where there is none


class BackoffModel(NamedTuple):
    """A whole model: its words by number, and the n-grams of orders 1, 2, ...; order 1 has each word once, in order."""

    words: tuple[str, ...]
    orders: tuple[NGrams, ...]


def read_arpa(path: Path) -> BackoffModel:
    """Read a model, packed with gzip or not; text that is not UTF-8 is Latin-1.

    Positive log-probabilities count as 0, as rounding makes them; a model without <unk> gets one of 10^-100. Counts in
    the head that do not match the n-grams are told as a warning.

    Raises:
        InputError: on what cannot be read, with the line.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as lines:
            return _ArpaReader(path, lines).read()
    except BROKEN_TEXT as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The n-gram model {path} cannot be read ({reason}); give a whole ARPA file.") from None


class _ArpaReader:
    """Reads line by line; the number of the line is kept for what is said about it."""

    def __init__(self, path: Path, lines: Iterable[bytes]) -> None:
        self._path = path
        self._number = 0
        self._lines = self._counted(lines)
        self._header = b""  # the line that ended the section before
        self._ids: dict[bytes, int] = {}
        self._positive = 0

    def read(self) -> BackoffModel:
        counts = self._read_counts()
        orders: list[NGrams] = []
        while self._header != b"\\end\\":
            orders.append(self._read_order(len(orders) + 1))
        if not orders or not self._ids:
            raise self._error("ends before the first word; give a whole ARPA file")
        found = {size: len(order.log_probs) for size, order in enumerate(orders, start=1)}
        if found != counts:
            _log.warning("%s promises %s n-grams and has %s.", self._path, _listed(counts), _listed(found))
        if self._positive:
            _log.warning("%s has %d positive log-probabilities, read as 0.", self._path, self._positive)
        return _with_unknown(self._decoded_words(), orders)

    def _counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        for line in lines:
            self._number += 1
            yield line

    def _error(self, fault: str) -> InputError:
        return InputError(f"The n-gram model {self._path}, line {self._number}, {fault}.")

    def _read_counts(self) -> dict[int, int]:
        for line in self._lines:
            if line.strip().removeprefix(b"\xef\xbb\xbf") == b"\\data\\":
                break
        else:
            raise InputError(f"The n-gram model {self._path} has no line \\data\\; give a whole ARPA file.")
        counts: dict[int, int] = {}
        for line in self._lines:
            text = line.strip()
            if found := _COUNT.fullmatch(text):
                counts[int(found[1])] = int(found[2])
            elif text.startswith(b"\\"):
                self._header = text
                return counts
            elif text:
                raise self._error(f"has {_shown(text)} where a count such as ngram 1=5000 should stand")
        raise self._error("is the last; give a whole ARPA file, with its n-grams")

    def _read_order(self, size: int) -> NGrams:
        if self._header != b"\\%d-grams:" % size:
            raise self._error(f"has {_shown(self._header)} where \\{size}-grams: or \\end\\ should stand")
        words, log_probs, backoffs = array("i"), array("f"), array("f")
        for line in self._lines:
            fields = line.split()
            if len(fields) == 1 and fields[0].startswith(b"\\"):
                self._header = fields[0]
                break
            if fields:
                words.extend(self._word_ids(fields, size))
                log_probs.append(self._log_prob(fields[0]))
                backoffs.append(self._number_of(fields[-1]) if len(fields) == size + 2 else 0.0)
        else:
            raise self._error("is the last, but not \\end\\; a part of the file is missing")
        ids = np.array(words, np.int32).reshape(-1, size)
        return NGrams(ids, _natural(log_probs), _natural(backoffs))

    def _word_ids(self, fields: list[bytes], size: int) -> list[int]:
        if not size < len(fields) < size + 3:
            raise self._error(f"has {len(fields)} fields; it needs a log-probability, {size} words, perhaps a back-off")
        if size == 1:
            word = fields[1]
            if word in self._ids:
                raise self._error(f"has '{_text(word)}' a second time; write each word once")
            self._ids[word] = len(self._ids)
        try:
            return [self._ids[word] for word in fields[1 : size + 1]]
        except KeyError as missing:
            raise self._error(f"has '{_text(missing.args[0])}', which is not among the 1-grams") from None

    def _log_prob(self, field: bytes) -> float:
        value = self._number_of(field)
        if value > 0.0:
            self._positive += 1
            return 0.0
        return value

    def _number_of(self, field: bytes) -> float:
        try:
            value = float(field)
        except ValueError:
            raise self._error(f"has {_shown(field)} where a number in base-10 logarithm should stand") from None
        if not value < float("inf"):
            raise self._error(f"has {_shown(field)}, which is no logarithm of a probability")
        return max(value, _ZERO) if value == float("-inf") else value

    def _decoded_words(self) -> list[str]:
        text = b"\n".join(self._ids)
        try:
            return text.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            return text.decode("latin-1").split("\n")


def _with_unknown(words: list[str], orders: list[NGrams]) -> BackoffModel:
    """Name the unknown word <unk>, or add it."""
    if UNKNOWN not in words and "<UNK>" in words:
        words[words.index("<UNK>")] = UNKNOWN
    if UNKNOWN not in words:
        words.append(UNKNOWN)
        only = NGrams(np.array([[len(words) - 1]], np.int32), _natural([_MISSING_UNKNOWN]), _natural([0.0]))
        orders[0] = NGrams(*(np.concatenate(parts) for parts in zip(orders[0], only, strict=True)))
    return BackoffModel(tuple(words), tuple(orders))


def _natural(base_10: Iterable[float]) -> NDArray[np.float32]:
    return (np.array(base_10, np.float64) * LN10).astype(np.float32)


def _text(word: bytes) -> str:
    return word.decode("utf-8", errors="replace")


def _shown(line: bytes) -> str:
    return repr(_text(line[:60]))


def _listed(counts: dict[int, int]) -> str:
    return " + ".join(str(counts[size]) for size in sorted(counts)) or "no"
