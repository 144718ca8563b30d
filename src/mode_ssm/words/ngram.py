"""N-gram language models of words: Kneser-Ney estimates written as an ARPA file.

Kneser and Ney 1995, Improved backing-off for m-gram language modeling; the counting and smoothing are kaldingram's.
"""

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from kaldingram.train import NgramCounts

from mode_ssm.errors import InputError

UNKNOWN = "<unk>"
MIN_ORDER, MAX_ORDER = 2, 5  # KenLM reads no unigram model
_MAX_DISCOUNT = 0.9  # a corpus without any n-gram seen twice would otherwise give all n-grams seen once no mass


def write_arpa(sentences: Iterable[Sequence[str]], vocabulary: frozenset[str], order: int, path: Path) -> None:
    """Estimate a model of the sentences; words outside the vocabulary count as <unk>.

    Raises:
        InputError: on an order outside 2 to 5, or without any sentence.
    """
    if not MIN_ORDER <= order <= MAX_ORDER:
        raise InputError(f"order={order} is not possible; an n-gram has {MIN_ORDER} to {MAX_ORDER} words.")
    counts = NgramCounts(order)
    longest = 0
    for words in sentences:
        if words:
            counts.add_raw_counts_from_line(" ".join(word if word in vocabulary else UNKNOWN for word in words))
            longest = max(longest, len(words))
    if not longest:
        raise InputError("There is no sentence to make a language model of; give text=FILE or transcripts=true.")
    if longest + 2 < order:
        raise InputError(f"order={order} is longer than every sentence; set order={longest + 2} or lower.")
    with redirect_stderr(io.StringIO()):  # of progress bars
        counts.cal_discounting_constants()
        counts.d = [min(discount, _MAX_DISCOUNT) for discount in counts.d]
        counts.cal_f()
        counts.cal_bow()
    _make_unknown_a_unigram(counts)
    with redirect_stderr(io.StringIO()), path.open("w", encoding="ascii") as file:
        counts.print_as_arpa(fout=file)


def _make_unknown_a_unigram(counts: NgramCounts) -> None:
    """Readers of ARPA files want <unk>, also where every word is known; 0 is written as a log-probability of -99."""
    unigrams = counts.counts[0][()]
    if UNKNOWN not in unigrams.word_to_f:
        unigrams.word_to_count[UNKNOWN] = 0
        unigrams.word_to_f[UNKNOWN] = 0.0
        unigrams.word_to_bow[UNKNOWN] = None
