"""How words are written in letters or word pieces: what a set of labels makes of a sentence."""

import unicodedata

from mode_ssm.errors import InputError, printable
from mode_ssm.labels import Labels

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\uff07`\u00b4", "'"))
_HYPHENS = str.maketrans({"\u2010": "-", "\u2011": "-", "\u00ad": None})
_SPOKEN = "&%@#*/\\"  # punctuation that is said: it cannot be left out
_WITHIN = "'-"  # of a word


def written_words(sentence: str, labels: Labels) -> list[str]:
    """In lower case; punctuation that is no label parts words, but apostrophes and hyphens within one.

    >>> from mode_ssm.labels import LETTERS
    >>> written_words("Don\u2019t 'stop', well-known\u2014man!", LETTERS)
    ["don't", 'stop', 'well-known', 'man']
    """
    text = unicodedata.normalize("NFC", sentence.lower().translate(_APOSTROPHES).translate(_HYPHENS))
    known = {*"".join(labels.own).lower(), *_WITHIN}
    text = "".join(" " if character not in known and _is_silent(character) else character for character in text)
    words = (_bare(word) for word in text.replace("--", " ").split())
    return [word for word in words if word]


def spell(word: str, labels: Labels) -> tuple[int, ...]:
    """A word in lower case as label ids, without the boundary: the longest label from its start, and so on.

    An apostrophe or a hyphen that no label has is left out. Where the labels are in capitals, so is the word.

    Raises:
        InputError: where some character is in no label that fits.

    >>> spell("bananas", Labels(("_", "b", "an", "ana", "as", "a", "s", "n")))
    (1, 3, 7, 4)
    """
    own = {symbol: number for number, symbol in enumerate(labels.symbols) if symbol in {*labels.own}}
    known = {*"".join(own)}
    if not any(character.islower() for character in known):
        word = word.upper()
    left = "".join(character for character in word if character in known or character not in _WITHIN)
    found, longest = [], max(map(len, own))
    while left:
        size = next((size for size in range(min(longest, len(left)), 0, -1) if left[:size] in own), None)
        if size is None:
            raise InputError(f"no label begins '{printable(left, 20)}' of '{printable(word, 40)}'; add one to the set.")
        found.append(own[left[:size]])
        left = left[size:]
    return tuple(found)


def write(sentence: str, labels: Labels) -> list[int]:
    """A sentence as label ids, the boundary after every word where the set has one.

    Raises:
        InputError: as spell.
    """
    after = () if labels.boundary is None else (labels.boundary,)
    return [label for word in written_words(sentence, labels) for label in (*spell(word, labels), *after)]


def _is_silent(character: str) -> bool:
    return unicodedata.category(character)[0] in "PZC" and character not in _SPOKEN


def _bare(word: str) -> str:
    """Without quotes and hyphens around it; the apostrophe of the dogs' stays, as in the text of language models."""
    bare = word.strip(_WITHIN)
    return f"{bare}'" if word == f"{bare}'" and bare.endswith("s") else bare
