"""Trigrams in the files of CMU Sphinx, such as the general one of English in the wheel `pocketsphinx` (en-us.lm.bin).

Its src/lm/lm_trie.c and lm_trie_quant.c document the layout: as in KenLM's tries, an n-gram is reached from its last
word, and numbers are packed to bits.
"""

from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import UNKNOWN, BackoffModel, NGrams
from mode_ssm.language.kenlm_file import Bytes, Ints

MAGIC = b"Trie Language Model"
BASE = log(1.0001)  # of the file's logarithms
BINS = 1 << 16  # values of each kind of weight, by order
NEVER = log(1e-12)  # of words that the model lacks
UNIGRAM = np.dtype([("prob", "<f4"), ("backoff", "<f4"), ("next", "<u4")])


def read_trigrams(path: Path) -> BackoffModel:
    """The n-grams of a file of order 3; words in lower case.

    Raises:
        InputError: for another file.
    """
    file = Bytes(path)
    head = len(MAGIC)
    if file.raw[:head].tobytes() != MAGIC or file.raw[head] != 3:
        raise InputError(f"{path} is no trigram of CMU Sphinx; give the en-us.lm.bin of pocketsphinx.")
    counts = [int(count) for count in file.array(head + 1, 3, "<u4")]
    at = head + 13 + 4
    probs2, backoffs2, probs3 = (np.asarray(file.array(at + 4 * BINS * n, BINS, "<f4"), float) for n in range(3))
    at += 12 * BINS
    unigrams: Any = np.ndarray(counts[0] + 1, UNIGRAM, file.raw.data, offset=at)
    at += unigrams.nbytes
    word_bits, next_bits = counts[0].bit_length(), counts[2].bit_length()
    size2, size3 = word_bits + 32 + next_bits, word_bits + 16
    pairs = int(unigrams["next"][-1])  # may be fewer than the file has room for
    places2 = 8 * at + size2 * np.arange(pairs + 1)
    at += ((1 + counts[1]) * size2 + 7) // 8 + 8
    places3 = 8 * at + size3 * np.arange(counts[2])
    at += ((1 + counts[2]) * size3 + 7) // 8 + 8
    words = file.raw[at + 4 :].tobytes().split(b"\0")[: counts[0]]

    def numbers(places: Ints, bits: int) -> Ints:
        return file.bits(places, bits).astype(np.int64)

    last2 = np.repeat(np.arange(counts[0]), np.diff(unigrams["next"].astype(np.int64)))
    first2 = numbers(places2[:-1], word_bits)
    parent3 = np.repeat(np.arange(pairs), np.diff(numbers(places2 + word_bits + 32, next_bits)))
    first3 = numbers(places3, word_bits)
    weights2, weights3 = places2[:-1] + word_bits, places3 + word_bits
    return BackoffModel(
        tuple(UNKNOWN if word.upper() == b"<UNK>" else word.decode().lower() for word in words),
        (
            _order([np.arange(counts[0])], unigrams["prob"][:-1], unigrams["backoff"][:-1]),
            _order([first2, last2], probs2[numbers(weights2 + 16, 16)], backoffs2[numbers(weights2, 16)]),
            _order([first3, first2[parent3], last2[parent3]], probs3[numbers(weights3, 16)], np.zeros(counts[2])),
        ),
    )


def _order(words: Sequence[Ints], log_probs: Any, backoffs: Any) -> NGrams:
    table = np.stack(words, axis=1).astype(np.int32)
    return NGrams(table, (BASE * log_probs).astype(np.float32), (BASE * backoffs).astype(np.float32))


def over(model: BackoffModel, words: tuple[str, ...]) -> BackoffModel:
    """The model of these words, which is what a mixture needs; n-grams with others are left out."""
    place = {word: number for number, word in enumerate(words)}
    number = np.array([place.get(word, -1) for word in model.words], np.int32)
    log_probs, backoffs = np.full(len(words), NEVER, np.float32), np.zeros(len(words), np.float32)
    known = number >= 0
    log_probs[number[known]], backoffs[number[known]] = (part[known] for part in model.orders[0][1:])
    orders = [NGrams(np.arange(len(words), dtype=np.int32)[:, None], log_probs, backoffs)]
    for order in model.orders[1:]:
        kept = known[order.words].all(axis=1)
        orders.append(NGrams(number[order.words[kept]], order.log_probs[kept], order.backoffs[kept]))
    return BackoffModel(words, tuple(orders))
