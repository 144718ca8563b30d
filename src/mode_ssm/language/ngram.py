"""N-gram language models of words: interpolated Kneser-Ney estimates, written as an ARPA file.

Counts and discounts are kaldingram's; Chen and Goodman 1998, An empirical study of smoothing techniques for language
modeling, section 2.8, gives the interpolated form, which a small corpus needs: where most n-grams were seen once, the
backed-off form of kaldingram gives them less than what was never seen.
"""

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from kaldingram.train import NgramCounts

from mode_ssm.errors import InputError
from mode_ssm.files import replacing

UNKNOWN = "<unk>"
MIN_ORDER, MAX_ORDER = 2, 5  # KenLM reads no unigram model
_MAX_DISCOUNT = 0.9  # a corpus without any n-gram seen twice would otherwise give all n-grams seen once no mass
_LEAST_LEFT = 1e-9  # so that its logarithm can be written


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
    _interpolate(counts)
    _make_unknown_a_unigram(counts)
    with replacing(path) as beside, redirect_stderr(io.StringIO()), beside.open("w", encoding="ascii") as file:
        counts.print_as_arpa(fout=file)


def _interpolate(counts: NgramCounts) -> None:
    """Turn discounted shares f into p(w | h) = f(w | h) + g(h) p(w | h'), g being what the discounts of h left over.

    h' is h without its first word; g(h) is written as the back-off weight of h.
    """
    for size, histories in enumerate(counts.counts):
        for history, found in histories.items():
            left = max(1.0 - sum(found.word_to_f.values()), _LEAST_LEFT)
            if size > 0:
                counts.counts[size - 1][history[:-1]].word_to_bow[history[-1]] = left
                shorter = counts.counts[size - 1][history[1:]].word_to_f
                for word, share in found.word_to_f.items():
                    found.word_to_f[word] = share + left * shorter[word]
            found.word_to_bow = dict.fromkeys(found.word_to_f)


def _make_unknown_a_unigram(counts: NgramCounts) -> None:
    """Readers of ARPA files want <unk>, also where every word is known; 0 is written as a log-probability of -99."""
    unigrams = counts.counts[0][()]
    if UNKNOWN not in unigrams.word_to_f:
        unigrams.word_to_count[UNKNOWN] = 0
        unigrams.word_to_f[UNKNOWN] = 0.0
        unigrams.word_to_bow[UNKNOWN] = None
