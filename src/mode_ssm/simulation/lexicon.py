"""How words are pronounced."""

import re
from pathlib import Path

from mode_ssm.dictionary import read_dictionary
from mode_ssm.errors import InputError
from mode_ssm.labels import T15

Lexicon = dict[str, tuple[int, ...]]

LEXICON = Path(__file__).with_name("lexicon.txt")


def read_lexicon(path: Path) -> Lexicon:
    """Read a dictionary in CMU format; the first pronunciation of a word counts.

    Raises:
        InputError: on a missing file or a line that holds no pronunciation.
    """
    lexicon: Lexicon = {}
    for place, word, symbols in read_dictionary(path):
        try:
            ids = tuple(T15.ids(symbols))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        if not ids or T15.boundary in ids:
            raise InputError(f"{place}: '{word}' is not a word and its phonemes (HELLO  HH AH0 L OW1).")
        lexicon.setdefault(word.upper(), ids)
    return lexicon


def words_of(sentence: str) -> list[str]:
    """The words as a dictionary writes them: upper case, without punctuation.

    >>> words_of("Isn't it 'well-known'?")
    ["ISN'T", 'IT', 'WELL', 'KNOWN']
    """
    return [
        w for w in (word.strip("'") for word in re.findall(r"[A-Z']+", sentence.upper().replace("\u2019", "'"))) if w
    ]


def pronounce(sentence: str, lexicon: Lexicon) -> tuple[int, ...]:
    """Phoneme ids with the silence after every word.

    Raises:
        InputError: on a word that the lexicon has not.
    """
    ids: list[int] = []
    for word in words_of(sentence):
        if word not in lexicon:
            raise InputError(f"The lexicon has no pronunciation of '{word}' in '{sentence}'; add a line for it.")
        ids.extend((*lexicon[word], *T15.ids("|")))
    return tuple(ids)
