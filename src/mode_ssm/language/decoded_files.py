"""Reads what decoders wrote about trials: n-best phoneme strings, and sentences in CSV or JSON lines.

A trial is named by session, block and trial, or by one id; both may stand beside what was said.
"""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mode_ssm.errors import InputError
from mode_ssm.files import BROKEN_TEXT, parse_json
from mode_ssm.labels import Labels
from mode_ssm.language.confusion_network import ScoredString
from mode_ssm.scoring import normalise_sentence

TrialName = tuple[str, ...]  # session, block and trial, or an id alone
KEYS = ("session", "block", "trial")
_Read = TypeVar("_Read")


class HeardLine(NamedTuple):
    """The n-best phoneme strings of one trial; sentence and phonemes are what was said, where that is known."""

    name: TrialName
    nbest: tuple[ScoredString, ...]
    sentence: str | None
    phonemes: tuple[int, ...] | None


class DecodedTrial(NamedTuple):
    """The sentences that one system found in a trial, normalised, with its scores (natural logarithms)."""

    name: TrialName
    nbest: tuple[tuple[tuple[str, ...], float], ...]
    sentence: str | None


def read_heard(path: str | Path, labels: Labels) -> list[HeardLine]:
    """Read `{"id", "nbest": [{"score", "phonemes"}]}` lines, gzip or not; "sentence" and "phonemes" may stand beside.

    Raises:
        InputError: on what cannot be read, a line that is none of these or names a trial twice, or no line at all.
    """

    def line(entry: dict[str, Any]) -> HeardLine:
        strings = tuple(ScoredString(number_of(s["score"]), tuple(labels.ids(s["phonemes"]))) for s in entry["nbest"])
        if not strings:
            raise ValueError("its nbest is empty")
        said = entry.get("phonemes")
        return HeardLine(name_of(entry), strings, said_in(entry), None if said is None else tuple(labels.ids(said)))

    return _checked(path, (_parse(path, n, text, line) for n, text in _lines(path)), '{"id", "nbest": [...]}')


def read_decoded(path: str | Path) -> list[DecodedTrial]:
    """Read a system's sentences: hypotheses.csv (column words) or nbest.jsonl of decode, or lines of id and words.

    Raises:
        InputError: on what cannot be read, a row without a trial's name or words, a trial twice, or no row at all.
    """

    def line(entry: dict[str, Any]) -> DecodedTrial:
        nbest = entry["nbest"] if "nbest" in entry else [{"words": entry["words"], "score": 0.0}]
        found = tuple((tuple(normalise_sentence(h["words"]).split()), number_of(h["score"])) for h in nbest)
        return DecodedTrial(name_of(entry), found or (((), 0.0),), said_in(entry) or None)

    if str(path).removesuffix(".gz").endswith(".csv"):
        parsed = (_guard(path, number, line, row) for number, row in _rows(path))
    else:
        parsed = (_parse(path, number, text, line) for number, text in _lines(path))
    return _checked(path, parsed, "session, block, trial and words")


def objects(path: str | Path, read: Callable[[dict[str, Any]], Any], needed: str) -> list[Any]:
    """What `read` makes of each JSON line, gzip or not; what it makes has a name.

    Raises:
        InputError: on what cannot be read, a line that is no such object, a name twice, or no line at all.
    """
    return _checked(path, (_parse(path, number, text, read) for number, text in _lines(path)), needed)


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    try:
        raw = Path(path).read_bytes()
        text = (gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw).decode("utf-8-sig")
    except BROKEN_TEXT as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); give a CSV or a file of JSON lines.") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _rows(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a table below its header, by number."""
    try:
        yield from enumerate(csv.DictReader(io.StringIO("\n".join(text for _, text in _lines(path)))), start=2)
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV: {error}.") from None


def _parse(path: str | Path, number: int, text: str, read: Callable[[dict[str, Any]], _Read]) -> _Read:
    try:
        entry = parse_json(text)
    except ValueError:
        raise InputError(f"{path}, line {number}, is not JSON; write one object a line.") from None
    if not isinstance(entry, dict):
        raise InputError(f"{path}, line {number}, is no object; write one object a line.")
    return _guard(path, number, read, entry)


def _guard(path: str | Path, number: int, read: Callable[[dict[str, Any]], _Read], entry: dict[str, Any]) -> _Read:
    try:
        return read(entry)
    except KeyError as error:
        raise InputError(f"{path}, line {number}, lacks {error}; it has {', '.join(map(str, entry))}.") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}, line {number}: {error}; correct the line.") from None
    except InputError as error:
        raise InputError(f"{path}, line {number}: {error}") from None


def number_of(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value == float("inf"):
        raise ValueError(f"{value!r} is no score")
    return float(value)


def said_in(entry: dict[str, Any]) -> str | None:
    """The sentence of an entry, where it has one. A ValueError where that is no text."""
    sentence = entry.get("sentence")
    if sentence is not None and not isinstance(sentence, str):
        raise ValueError(f"{sentence!r} is no sentence")
    return sentence


def name_of(entry: dict[str, Any]) -> TrialName:
    """Session, block and trial, or the id. A KeyError where there is neither."""
    if all(key in entry for key in KEYS):
        return tuple(str(entry[key]) for key in KEYS)
    return (str(entry["id"]),)


def _checked(path: str | Path, parsed: Iterator[Any], needed: str) -> list[Any]:
    found = list(parsed)
    if not found:
        raise InputError(f"{path} holds no trial; it needs a row a trial with {needed}.")
    names = [trial.name for trial in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path} has trial {' '.join(twice)} twice; leave one of them.")
    return found
