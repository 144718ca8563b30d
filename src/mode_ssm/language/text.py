"""One tokeniser for the text of language models and for transcripts: what of a line is spoken, word by word."""

import gzip
import logging
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from mode_ssm.errors import InputError
from mode_ssm.files import BROKEN_TEXT
from mode_ssm.language.numbers import spell_numbers

_log = logging.getLogger(__name__)

_MARKUP = re.compile(r"<[^<>\s]{1,40}>|\[[^\[\]]{0,80}\]")  # <s>, <unk>, [laughter]
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u02bc\u02b9\u2032\uff07`\u00b4", "'"))
_HYPHENS = str.maketrans({"\u2010": "-", "\u2011": "-", "\u00ad": None})
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ð": "d", "þ": "th", "ł": "l", "đ": "d", "\u0131": "i"}
)
_ABBREVIATION = re.compile(r"\b(?:[a-z]\.){2,}(?:[a-z]\b)?")  # p.m., U.S.A: pm, usa
_AND = re.compile(r"\s&\s")
_FOREIGN = re.compile(r"[^a-z' -]+|--+")


def spoken_words(line: str) -> list[str]:
    """The words of a line as they are said: a-z, apostrophes and hyphens within words.

    Numbers are spelled out, mark-up is dropped, accents go, and any other character parts words.

    >>> spoken_words("<s> Isn\u2019t it 20 \u2014well-known\u2014at the caf\u00e9, [laughter] \u2018no?\u2019 </s>")
    ["isn't", 'it', 'twenty', 'well-known', 'at', 'the', 'cafe', 'no']
    """
    text = _MARKUP.sub(" ", line).translate(_APOSTROPHES).translate(_HYPHENS).lower()
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_LETTERS))
        text = "".join(letter for letter in text if not unicodedata.combining(letter)).lower()
    text = _ABBREVIATION.sub(lambda found: found[0].replace(".", "") + " ", text)
    text = _FOREIGN.sub(" ", spell_numbers(_AND.sub(" and ", text)))
    words = (_bare(word) for word in text.split())
    return [word for word in words if word]


def _bare(word: str) -> str:
    """Without quotes and hyphens around it; the apostrophe of the dogs' stays."""
    bare = word.strip("'-")
    return f"{bare}'" if word == f"{bare}'" and bare.endswith("s") else bare


def read_sentences(path: Path) -> Iterator[list[str]]:
    """The words of each line of a text file, packed with gzip or not; text that is not UTF-8 is Latin-1, and said so.

    Raises:
        InputError: when the file cannot be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        latin_1 = False
        with gzip.open(path) if packed else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if b"\0" in line:
                    raise InputError(f"{path}, line {number}, has a zero byte: it is no text; give another text=FILE.")
                try:
                    text = line.decode("latin-1" if latin_1 else "utf-8-sig")
                except UnicodeDecodeError:
                    _log.warning("%s is not UTF-8 from line %d on; it is read as Latin-1.", path, number)
                    latin_1, text = True, line.decode("latin-1")
                yield spoken_words(text)
    except BROKEN_TEXT as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); give another text=FILE.") from None
