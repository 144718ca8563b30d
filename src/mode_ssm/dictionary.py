"""Reads pronouncing dictionaries in the format of the CMU dictionary, as the field's files have it.

A line is `HELLO  HH AH0 L OW1`; a further pronunciation is written HELLO(1) or hello(2). `;;;` and `##` open a comment
line, ` #` a comment. Text that is not UTF-8 is Latin-1, as in cmudict-0.7b.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mode_ssm.errors import InputError

_VARIANT = re.compile(r"(?<=.)\(\d+\)$")


class DictionaryLine(NamedTuple):
    place: str  # file and line, for what is said about it
    word: str  # as written, without the mark of a further pronunciation
    symbols: tuple[str, ...]  # as written; perhaps none


def read_dictionary(path: Path) -> Iterator[DictionaryLine]:
    """The entries in order.

    Raises:
        InputError: on a file that cannot be read as text, or has no entry.
    """
    return dictionary_lines(dictionary_text(path), str(path))


def dictionary_lines(text: str, name: str) -> Iterator[DictionaryLine]:
    """The same of a text that lies in the file `name`."""
    found = False
    for number, line in enumerate(text.splitlines(), start=1):
        word, *symbols = line.partition(" #")[0].split() or [""]
        if word and not word.startswith((";;;", "##")):
            found = True
            yield DictionaryLine(f"{name}, line {number}", _VARIANT.sub("", word), tuple(symbols))
    if not found:
        raise InputError(f"The lexicon {name} has no entry; write lines such as: hello  HH AH0 L OW1.")


def dictionary_text(path: Path) -> str:
    """Raises: InputError, on a file that cannot be read as text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The lexicon {path} cannot be read ({error.strerror}); give a CMU-format file.") from None
    if b"\0" in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"The lexicon {path} is neither UTF-8 nor Latin-1 text; convert or unpack it first.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
