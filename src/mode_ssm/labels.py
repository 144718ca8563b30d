"""The set of labels that recordings are labelled with: it travels with the data, and stands in each checkpoint.

T15's 41 classes are the default; letters, syllables or the same phonemes in another order are other sets. A data root
says its own in `labels.yaml`, and the setting data.labels names another file of this form:

    symbols: [_, a, b, c, "|"]  # the V classes, in the order of their numbers
    blank: _                    # the first one, unless given
    boundary: "|"               # the label after every word; none, unless given
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from mode_ssm.errors import InputError

LABELS_FILE = "labels.yaml"  # of a data root
_ODD_YAML = (ValueError, LookupError, AttributeError, TypeError, RecursionError)  # PyYAML's: dates, tags, deep nests


@dataclass(frozen=True)
class Labels:
    """The V classes of a network, by number; one of them is the blank, and one may stand between words.

    Raises:
        InputError: for fewer than two classes, a class that stands twice or has no name, or numbers that are no class.
    """

    symbols: tuple[str, ...]
    blank: int = 0  # what both heads emit for "nothing new here"; never a label
    boundary: int | None = None  # the label after every word, the last included; None where words have no boundary

    def __post_init__(self) -> None:
        twice = {symbol for symbol in self.symbols if self.symbols.count(symbol) > 1}
        if len(self.symbols) < 2 or twice or any(not s or s.split() != [s] for s in self.symbols):
            fault = f"'{min(twice)}' twice" if twice else f"{len(self.symbols)} symbols, or one that is no word"
            raise InputError(f"A set of labels has {fault}; give the blank and at least one label, each name once.")
        for name, number in (("blank", self.blank), ("boundary", self.boundary)):
            if number is not None and not 0 <= number < len(self.symbols):
                raise InputError(f"The {name} of a set of labels is {number}; give one of 0..{len(self.symbols) - 1}.")
        if self.blank == self.boundary:
            raise InputError("The blank of a set of labels is never a label, so it cannot be the word boundary too.")

    def __len__(self) -> int:
        """V."""
        return len(self.symbols)

    def __str__(self) -> str:
        """Which numbers are labels, for messages.

        >>> str(T15)
        '1 to 40 (AA to |)'
        """
        numbers = [number for number in range(len(self)) if number != self.blank]
        first, last = numbers[0], numbers[-1]
        but = f", but not {self.blank}" if first < self.blank < last else ""
        return f"{first} to {last}{but} ({self.symbols[first]} to {self.symbols[last]})"

    @property
    def unit(self) -> str:
        """What one of them is called, on pages and in tables.

        >>> T15.unit, Labels(("_", "a", "b", "|"), boundary=3).unit
        ('phoneme', 'label')
        """
        between = [self.symbols[self.blank], "" if self.boundary is None else self.symbols[self.boundary]]
        own = {*self.symbols}.difference(between)
        return "phoneme" if own <= {*T15.symbols[1:]} else "label"

    def as_dict(self) -> dict[str, Any]:
        """The set in plain values, as a YAML file and a checkpoint hold it; from_dict reads it back.

        >>> Labels(("_", "a", "b", "|"), boundary=3).as_dict()
        {'symbols': ['_', 'a', 'b', '|'], 'blank': '_', 'boundary': '|'}
        """
        boundary = None if self.boundary is None else self.symbols[self.boundary]
        return {"symbols": list(self.symbols), "blank": self.symbols[self.blank], "boundary": boundary}

    @classmethod
    def from_dict(cls, plain: object, origin: str) -> "Labels":
        """Read the form of as_dict; `blank` is the first symbol and `boundary` none unless they are given.

        Raises:
            InputError: on anything else; the sentence names `origin`.
        """
        if not isinstance(plain, Mapping) or "symbols" not in plain or {*plain} - {"symbols", "blank", "boundary"}:
            raise InputError(f"{origin} is no set of labels; write symbols: [...], and blank and boundary by symbol.")
        symbols = plain["symbols"]
        if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
            raise InputError(f"The symbols of {origin} are not a list of texts; put each in quotes.")
        numbers: dict[str, int | None] = {"blank": 0, "boundary": None}
        for name in numbers:
            symbol = plain.get(name)
            if symbol is not None and symbol not in symbols:
                shown = type(symbol).__name__ if isinstance(symbol, list | dict) else repr(symbol)  # or aliases expand
                raise InputError(f"The {name} of {origin} is {shown}; give one of its symbols.")
            numbers[name] = numbers[name] if symbol is None else symbols.index(symbol)
        try:
            return cls(tuple(symbols), blank=numbers["blank"] or 0, boundary=numbers["boundary"])
        except InputError as error:
            raise InputError(f"{origin}: {error}") from None

    def require(self, other: "Labels", mine: str, theirs: str) -> None:
        """See that another set is this one: the same symbols in the same order.

        Args:
            mine, theirs: whose labels they are, for the sentence.

        Raises:
            InputError: when it is not; the sentence names the first difference.
        """
        if self == other:
            return
        pairs = zip_longest(self.symbols, other.symbols)
        place = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
        differ = (
            f"class {place} is {_name(self.symbols, place)} there and {_name(other.symbols, place)} here"
            if place is not None
            else "their blank or their word boundary differs"
        )
        raise InputError(
            f"{mine} has {len(self)} classes and {theirs} {len(other)}, and they are not the same: {differ}; set "
            "data.labels to the labels of the one, or choose data with the same labels in the same order."
        )

    @cached_property
    def _number(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols) if number != self.blank}

    def text(self, ids: Iterable[int]) -> str:
        """Write label ids as symbols between spaces.

        >>> T15.text([16, 3, 21, 25, 40])
        'HH AH L OW |'
        """
        return " ".join(self.symbols[number] for number in ids)

    def ids(self, symbols: str | Sequence[str]) -> list[int]:
        """Read symbols, between spaces where they are one text; stress digits that the set does not know are dropped.

        Raises:
            InputError: on a symbol that is not in the set, or on the blank.

        >>> T15.ids("HH AH0 L OW1 |")
        [16, 3, 21, 25, 40]
        """
        names = symbols.split() if isinstance(symbols, str) else symbols
        plain = [name if name in self._number else name.rstrip("012") for name in names]
        for name in plain:
            if name not in self._number:
                first = " ".join(list(self._number)[:3])
                raise InputError(f"'{name}' is none of the {len(self._number)} labels, such as {first}; correct it.")
        return [self._number[name] for name in plain]

    def words(self, ids: Sequence[int]) -> list[tuple[int, ...]]:
        """Cut label ids at the boundary into words; empty ones are dropped, and without a boundary there is one word.

        >>> T15.words([16, 3, 40, 21, 40])
        [(16, 3), (21,)]
        """
        words: list[tuple[int, ...]] = []
        start = 0
        for end, label in enumerate([*ids, self.boundary]):
            if label == self.boundary:
                if end > start:
                    words.append(tuple(ids[start:end]))
                start = end + 1
        return words


def _name(symbols: tuple[str, ...], place: int) -> str:
    return symbols[place] if place < len(symbols) else "none"


_T15_SYMBOLS = (
    "BLANK AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH |"
)
T15 = Labels(tuple(_T15_SYMBOLS.split()), blank=0, boundary=40)
NEJM = Labels((T15.symbols[0], "|", *T15.symbols[1:40]), blank=0, boundary=1)  # silence stands between words there


def read_labels(path: Path) -> Labels:
    """Read a set of labels from a YAML file.

    Raises:
        InputError: where there is no such file, or it holds something else.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The labels {path} cannot be read ({error.strerror}); give data.labels=FILE.yaml.") from None
    except (yaml.YAMLError, *_ODD_YAML) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The labels {path} are not YAML ({reason}); write symbols: [...].") from None
    return Labels.from_dict(plain, str(path))


def labels_of(root: Path, setting: str | None) -> Labels:
    """The labels of a data root: those that the setting data.labels names, else its own, else T15's.

    Raises:
        InputError: as read_labels.
    """
    if setting == "t15":
        return T15
    if setting is not None:
        return read_labels(Path(setting))
    own = root / LABELS_FILE
    return read_labels(own) if own.exists() else T15
