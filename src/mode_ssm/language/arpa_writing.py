"""Writes n-gram models in the ARPA format, for other programs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mode_ssm.files import replacing
from mode_ssm.language.arpa import LN10, BackoffModel, NGrams

_CHUNK = 1 << 17  # n-grams that are lines at a time


def save_arpa(model: BackoffModel, path: Path) -> None:
    """Write a model with seven digits of each logarithm; a back-off weight of 1 is left out."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        counts = (f"ngram {size}={len(order.log_probs)}\n" for size, order in enumerate(model.orders, start=1))
        file.writelines(["\\data\\\n", *counts])
        names = np.array(model.words, dtype=object)
        for size, order in enumerate(model.orders, start=1):
            file.write(f"\n\\{size}-grams:\n")
            for start in range(0, len(order.log_probs), _CHUNK):
                file.writelines(_lines(order, slice(start, start + _CHUNK), names))
        file.write("\n\\end\\\n")


def _lines(order: NGrams, part: slice, names: NDArray[np.object_]) -> Iterator[str]:
    log_probs, backoffs = ((x[part].astype(np.float64) / LN10).tolist() for x in (order.log_probs, order.backoffs))
    for words, log_prob, backoff in zip(names[order.words[part]].tolist(), log_probs, backoffs, strict=True):
        end = f"\t{backoff:.7f}\n" if backoff else "\n"
        yield f"{log_prob:.7f}\t{' '.join(words)}{end}"
