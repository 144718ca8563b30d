"""Error rates as the field counts them: edits over reference units, summed over all trials before dividing (micro).

A phoneme error rate counts `|`, the silence after a word, as a phoneme. A word error rate compares the words of both
sentences after `normalise_sentence`.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from rapidfuzz.distance import Levenshtein

_FOREIGN = re.compile(r"[^a-zA-Z\- ']")


@dataclass(frozen=True)
class ErrorRate:
    """Edits that turn references into hypotheses; rates of several trials are added, never averaged."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_length: int = 0

    @property
    def edits(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Edits per reference unit: above 1 is possible, and any edit of an empty reference is infinitely wrong."""
        if self.reference_length == 0:
            return inf if self.edits else 0.0
        return self.edits / self.reference_length

    def __add__(self, other: "ErrorRate") -> "ErrorRate":
        return ErrorRate(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
        )


def edit_counts(reference: Sequence[int] | Sequence[str], hypothesis: Sequence[int] | Sequence[str]) -> ErrorRate:
    """Count the edits of one shortest Levenshtein path between two sequences of ids or symbols.

    >>> edit_counts(["HH", "AH", "L", "OW"], ["AH", "L", "UW"])
    ErrorRate(substitutions=1, deletions=1, insertions=0, reference_length=4)
    """
    kinds = [step.tag for step in Levenshtein.editops(reference, hypothesis)]
    return ErrorRate(kinds.count("replace"), kinds.count("delete"), kinds.count("insert"), len(reference))


def total(rates: Iterable[ErrorRate]) -> ErrorRate:
    """Pool trials: the sum of edits over the sum of reference lengths."""
    return sum(rates, ErrorRate())


def normalise_sentence(text: str) -> str:
    """Write a sentence as the Brain-to-Text '25 competition compares it.

    Only a-z, hyphens, spaces and apostrophes stay; digits go. A hyphen before a space goes, as does a double hyphen; an
    apostrophe after a space joins the word before it. The order of these steps is the competition's.

    >>> normalise_sentence("Well-known? It's  5 o'clock - don't 'go'.")
    "well-known it's o'clock don't'go'"
    """
    text = _FOREIGN.sub("", text).replace("- ", " ").lower()
    return " ".join(text.replace("--", "").replace(" '", "'").split())


def has_words(sentence: str | None) -> bool:
    """Whether there is anything to count word errors against: an absent, empty or wordless sentence is no reference.

    >>> has_words("Hello."), has_words("..."), has_words("")
    (True, False, False)
    """
    return sentence is not None and bool(normalise_sentence(sentence))


def word_errors(reference: str, hypothesis: str) -> ErrorRate:
    """Word edits between two sentences, both normalised."""
    return edit_counts(normalise_sentence(reference).split(), normalise_sentence(hypothesis).split())


def sentence_hash(sentence: str) -> int:
    """63 bits of a normalised sentence: enough to say whether it was trained on, without storing the text."""
    digest = hashlib.sha256(normalise_sentence(sentence).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
