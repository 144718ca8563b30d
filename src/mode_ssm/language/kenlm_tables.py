"""Where KenLM's files keep n-grams: hash tables, or a tree of sorted arrays packed to bits.

An n-gram is reached from its last word, by the word before that, and so on: its children are n-grams that begin with
one more word. A node is the place of an n-gram among those of its order. KenLM's lm/search_hashed.hh, lm/trie.cc,
lm/quantize.hh and lm/bhiksha.hh document the layouts.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.language.kenlm_file import Bytes, Head, Ints

Floats = NDArray[np.float32]
_PAST = 8  # bytes that follow a packed array
_WORD, _CURRENT = np.uint64(17894857484156487943), np.uint64(8978948897894561157)  # of the hash of an n-gram
_SIGN = np.uint32(0x80000000)


class Weights(NamedTuple):
    """As stored, logarithms to the base 10."""

    log_probs: Floats  # (N,)
    backoffs: Floats  # (N,) -0.0 where no n-gram goes on from this one; of the highest order all so


class Tables(Protocol):
    end: int  # of all of them, in bytes
    words: int  # in the vocabulary

    def children(self, size: int, nodes: Ints, words: Ints) -> Ints:
        """The n-grams of order `size`, which begin with these words and go on with nodes of the order below; or -1."""

    def weights(self, size: int, nodes: Ints) -> Weights:
        """Of n-grams of order `size`."""


class HashTables:
    """KINDS 0 and 1. A slot that is empty has the key 0."""

    def __init__(self, file: Bytes, head: Head) -> None:
        (self.words,) = file.array(head.size + 4, 1, "<u4").tolist()
        rest = [("rest", "<f4")] if head.kind == 1 else []
        values = [("prob", "<f4"), ("backoff", "<f4"), *rest]
        at = head.size + 8 + 12 * _slots(head.counts[0], head.multiplier)  # after the table of words
        unigrams: Any = file.array(at, head.counts[0] + 1, _kind(values))
        at += unigrams.nbytes
        self._orders = [unigrams]
        for size, count in enumerate(head.counts[1:], start=2):
            entry = [("key", "<u8"), *(values if size < head.order else values[:1])]
            table: Any = file.array(at, _slots(count, head.multiplier), _kind(entry))
            self._orders.append(table)
            at += table.nbytes
        self.end = at

    def children(self, size: int, nodes: Ints, words: Ints) -> Ints:
        above, table = self._orders[size - 2], self._orders[size - 1]["key"]
        keys = nodes.astype(np.uint64) if size == 2 else above["key"][nodes]
        wanted = (keys * _CURRENT) ^ ((words.astype(np.uint64) + np.uint64(1)) * _WORD)
        slots = (wanted % np.uint64(len(table))).astype(np.int64)
        found = np.full(len(slots), -1, np.int64)
        left = np.arange(len(slots))
        for _ in range(len(table)):
            if not len(left):
                break
            there = table[slots[left]]
            hit = there == wanted[left]
            found[left[hit]] = slots[left[hit]]
            left = left[~hit & (there != 0)]
            slots[left] = (slots[left] + 1) % len(table)
        return found

    def weights(self, size: int, nodes: Ints) -> Weights:
        entries = self._orders[size - 1][nodes]
        log_probs = -np.abs(entries["prob"])  # the sign says something else
        if size == len(self._orders):
            return Weights(log_probs, np.full(len(nodes), -0.0, np.float32))
        return Weights(log_probs, entries["backoff"])


def _kind(fields: list[tuple[str, str]]) -> Any:
    return np.dtype(fields)  # packed


def _slots(count: int, multiplier: float) -> int:
    return max(count + 1, int(np.float32(multiplier) * np.float32(count)))


class _Packed(NamedTuple):
    """The n-grams of an order of 2 and more, as records of bits: word, weights and, below the highest, where the
    children begin, or the last bits of it."""

    start: int  # in bits
    size: int  # of a record, in bits
    word_bits: int
    weight_bits: int
    next_bits: int
    steps: NDArray[np.uint64]  # the first nodes whose children begin at 2 ** next_bits or more, twice that, ...


class Trie:
    """KINDS 2 to 5."""

    def __init__(self, file: Bytes, head: Head) -> None:
        self._file = file
        self.words = 1 + file.array(head.size, 1, "<u8").tolist()[0]
        quantised, chopped = head.kind in (3, 5), head.kind in (4, 5)
        at = head.size + 8 * (1 + head.counts[0])  # after the hashes of words
        prob_bits, backoff_bits = 31, 32
        self._bins: list[Floats] | None = None
        if quantised:
            prob_bits, backoff_bits, self._bins, at = _read_bins(file, head, at)
        self._bits = prob_bits, backoff_bits
        self._unigrams: Any = file.array(
            at, head.counts[0] + 2, _kind([("prob", "<f4"), ("backoff", "<f4"), ("next", "<u8")])
        )
        at += self._unigrams.nbytes
        self._orders: list[_Packed] = []
        word_bits = head.counts[0].bit_length()
        for count, below in zip(head.counts[1:-1], head.counts[2:], strict=True):
            next_bits, steps, start = (
                _read_steps(file, at, count + 1, below) if chopped else (below.bit_length(), None, at)
            )
            size = word_bits + prob_bits + backoff_bits + next_bits
            none = np.zeros(0, np.uint64)
            self._orders.append(
                _Packed(
                    8 * start, size, word_bits, prob_bits + backoff_bits, next_bits, none if steps is None else steps
                )
            )
            at = start + -(-(1 + count) * size // 8) + _PAST
        size = word_bits + prob_bits
        self._orders.append(_Packed(8 * at, size, word_bits, prob_bits, 0, np.zeros(0, np.uint64)))
        self.end = at + -(-(1 + head.counts[-1]) * size // 8) + _PAST
        file.array(self.end, 0, "|u1")

    def children(self, size: int, nodes: Ints, words: Ints) -> Ints:
        packed = self._orders[size - 2]
        low, end = self._begin(size - 1, nodes), self._begin(size - 1, nodes + 1)
        high = end.copy()
        left = np.flatnonzero(low < high)
        while len(left):
            middle = (low[left] + high[left]) >> 1
            before = self._words(packed, middle) < words[left]
            low[left] = np.where(before, middle + 1, low[left])
            high[left] = np.where(before, high[left], middle)
            left = left[low[left] < high[left]]
        found = np.full(len(nodes), -1, np.int64)
        there = np.flatnonzero(low < end)
        hit = there[self._words(packed, low[there]) == words[there]]
        found[hit] = low[hit]
        return found

    def _words(self, packed: _Packed, nodes: Ints) -> Ints:
        return self._file.bits(packed.start + nodes * packed.size, packed.word_bits).astype(np.int64)

    def _begin(self, size: int, nodes: Ints) -> Ints:
        """Where the children of nodes of order `size` begin."""
        if size == 1:
            return np.asarray(self._unigrams["next"][nodes], np.int64)
        packed = self._orders[size - 2]
        places = packed.start + nodes * packed.size + packed.word_bits + packed.weight_bits
        begin = self._file.bits(places, packed.next_bits).astype(np.int64)
        if len(packed.steps):
            step = np.searchsorted(packed.steps, nodes.astype(np.uint64), side="right") - 1
            begin |= step.astype(np.int64) << packed.next_bits
        return begin

    def weights(self, size: int, nodes: Ints) -> Weights:
        if size == 1:
            return Weights(self._unigrams["prob"][nodes], self._unigrams["backoff"][nodes])
        packed, (prob_bits, backoff_bits) = self._orders[size - 2], self._bits
        places = packed.start + nodes * packed.size + packed.word_bits
        highest = size == len(self._orders) + 1
        none = np.full(len(nodes), -0.0, np.float32)
        if self._bins is None:
            log_probs = _float(self._file.bits(places, prob_bits).astype(np.uint32) | _SIGN)
            return Weights(log_probs, none if highest else _float(self._file.bits(places + prob_bits, backoff_bits)))
        if highest:
            return Weights(self._bins[-1][self._file.bits(places, prob_bits).astype(np.int64)], none)
        probs, backoffs = self._bins[2 * (size - 2) : 2 * size - 2]
        coded = self._file.bits(places + backoff_bits, prob_bits), self._file.bits(places, backoff_bits)
        return Weights(probs[coded[0].astype(np.int64)], backoffs[coded[1].astype(np.int64)])


def _float(bits: NDArray[Any]) -> Floats:
    return bits.astype(np.uint32).view(np.float32)


def _read_bins(file: Bytes, head: Head, at: int) -> tuple[int, int, list[Floats], int]:
    """The bits of a probability and of a back-off, their values by order, and where those end."""
    version, prob_bits, backoff_bits = file.array(at, 3, "|u1").tolist()
    if version != 2 or not (1 <= prob_bits <= 25 and 1 <= backoff_bits <= 25):
        raise InputError(f"{file.path} is quantised in a way that is not known here; give its ARPA file.")
    at += 8
    bins: list[Floats] = []
    for bits in [prob_bits, backoff_bits] * (head.order - 2) + [prob_bits]:
        values: Any = file.array(at, 1 << bits, "<f4")
        bins.append(values)
        at += values.nbytes
    return prob_bits, backoff_bits, bins, at


def _read_steps(file: Bytes, at: int, nodes: int, most: int) -> tuple[int, NDArray[np.uint64], int]:
    """The bits that a record holds of where its children begin, the table of the rest, and where that ends."""
    version, configured = file.array(at, 2, "|u1").tolist()
    if version != 0:
        raise InputError(f"{file.path} packs its pointers in a way that is not known here; give its ARPA file.")
    needed = most.bit_length()
    chop = min(
        range(min(needed, configured) + 1), key=lambda chopped: (most >> (needed - chopped)) * 64 - nodes * chopped
    )
    count = (most >> (needed - chop)) + 1
    steps: Any = file.array(-(-at // 8) * 8 + 8, count, "<u8")
    return needed - chop, steps, at + 8 * (1 + count) + 7
