"""The set of labels that recordings are labelled with: it travels with the data, and stands in each checkpoint.

T15's 41 classes are the default; letters, syllables or the same phonemes in another order are other sets. A data root
says its own in `labels.yaml`, and the setting data.labels names another file of this form:

    symbols: [_, a, b, c, "|"]  # the V classes, in the order of their numbers
    blank: _                    # the first one, unless given
    boundary: "|"               # the label after every word; none, unless given
    from: letters               # how labels are made of sentences: letters, pieces or dictionary
    drop: ["|"]                 # of the recordings' own labels, those that the network does not learn

With `from: letters`, or `from: dictionary`, or `drop` alone, symbols are those of LETTERS, or of T15, unless given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import yaml

from mode_ssm.errors import InputError

LABELS_FILE = "labels.yaml"  # of a data root
_ODD_YAML = (ValueError, LookupError, AttributeError, TypeError, RecursionError)  # PyYAML's: dates, tags, deep nests
_KEYS = {"symbols", "blank", "boundary", "from", "drop"}


class MadeFrom(StrEnum):
    """How labels are made of a trial's sentence."""

    letters = "letters"  # its characters
    pieces = "pieces"  # word pieces: of each word the longest one from its start, then from where that ends
    dictionary = "dictionary"  # the first pronunciation of each word


@dataclass(frozen=True)
class Labels:
    """The V classes of a network, by number; one of them is the blank, and one may stand between words.

    Raises:
        InputError: for fewer than two classes, a class that stands twice or has no name, or numbers that are no class.
    """

    symbols: tuple[str, ...]
    blank: int = 0  # what both heads emit for "nothing new here"; never a label
    boundary: int | None = None  # the label after every word, the last included; None where words have no boundary
    made_from: MadeFrom | None = field(default=None, compare=False)  # None: the recordings' own labels
    whole: "Labels | None" = field(default=None, compare=False)  # the set of the recordings, where some are dropped

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

        >>> T15.unit, LETTERS.unit, Labels(("_", "a", "b", "|"), boundary=3).unit
        ('phoneme', 'letter', 'label')
        """
        own = {*self.own}
        if self.made_from in (MadeFrom.letters, MadeFrom.pieces):
            return self.made_from.removesuffix("s")
        if own <= {*T15.own}:
            return "phoneme"
        return "letter" if {*ascii_lowercase} <= {s.lower() for s in own} and len(max(own, key=len)) == 1 else "label"

    @property
    def rate(self) -> str:
        """What their error rate is called in short.

        >>> T15.rate, LETTERS.rate, Labels(("_", "a", "b", "|"), boundary=3).rate
        ('PER', 'CER', 'label error rate')
        """
        return {"phoneme": "PER", "letter": "CER"}.get(self.unit, f"{self.unit} error rate")

    @property
    def spells(self) -> bool:
        """Whether words can be read off them, joined between boundaries."""
        return self.unit in ("letter", "piece") and self.boundary is not None

    @property
    def recorded(self) -> "Labels":
        """The set that the numbers in files are of."""
        return self.whole or self

    @property
    def has_rule(self) -> bool:
        """Whether labels are made of what the recordings have."""
        return self.made_from is not None or self.whole is not None

    @property
    def own(self) -> tuple[str, ...]:
        """The symbols but the blank and the boundary."""
        return tuple(s for number, s in enumerate(self.symbols) if number not in (self.blank, self.boundary))

    def as_dict(self) -> dict[str, Any]:
        """The set in plain values, as a YAML file and a checkpoint hold it; from_dict reads it back.

        >>> Labels(("_", "a", "b", "|"), boundary=3).as_dict()
        {'symbols': ['_', 'a', 'b', '|'], 'blank': '_', 'boundary': '|'}
        """
        if self.whole is not None:
            return self.whole.as_dict() | {"drop": [s for s in self.whole.symbols if s not in self.symbols]}
        boundary = None if self.boundary is None else self.symbols[self.boundary]
        plain = {"symbols": list(self.symbols), "blank": self.symbols[self.blank], "boundary": boundary}
        return plain if self.made_from is None else plain | {"from": self.made_from.value}

    @classmethod
    def from_dict(cls, plain: object, origin: str) -> "Labels":
        """Read the form of as_dict; `blank` is the first symbol and `boundary` none unless they are given.

        Raises:
            InputError: on anything else; the sentence names `origin`.
        """
        if not isinstance(plain, Mapping) or not {*plain} & {"symbols", "from", "drop"} or {*plain} - _KEYS:
            raise InputError(f"{origin} is no set of labels; write symbols: [...], and blank and boundary by symbol.")
        made_from, drop = _made_from(plain.get("from"), origin), plain.get("drop")
        if made_from is not None and drop is not None:
            raise InputError(f"{origin} has from and drop; leave drop out, and the symbols that are not to be labels.")
        if "symbols" not in plain:
            if made_from is MadeFrom.pieces:
                raise InputError(f"{origin} has from: pieces and no symbols; list the blank and the pieces.")
            plain = {**(LETTERS if made_from is MadeFrom.letters else T15).as_dict(), **plain}
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
            found = cls(tuple(symbols), numbers["blank"] or 0, numbers["boundary"], made_from)
            return found if drop is None else found.without(drop)
        except InputError as error:
            raise InputError(f"{origin}: {error}") from None

    def without(self, drop: object) -> "Labels":
        """The set of a network that does not learn some of the labels of the recordings.

        Raises:
            InputError: where these are no list of labels.

        >>> Labels(("_", "a", "|", "b"), boundary=2).without(["|"]).symbols
        ('_', 'a', 'b')
        """
        labels = {*self.symbols} - {self.symbols[self.blank]}
        if not isinstance(drop, list) or not all(isinstance(symbol, str) and symbol in labels for symbol in drop):
            raise InputError("drop is no list of its labels, of which the blank is none; give some, each in quotes.")
        kept = tuple(symbol for symbol in self.symbols if symbol not in drop)
        boundary = None if self.boundary is None else self.symbols[self.boundary]
        place = None if boundary is None or boundary in drop else kept.index(boundary)
        return Labels(kept, kept.index(self.symbols[self.blank]), place, whole=self)

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

    def sentence(self, ids: Sequence[int]) -> str:
        """The words that letters or word pieces spell.

        >>> LETTERS.sentence(LETTERS.ids("h i | y o u |"))
        'hi you'
        """
        return " ".join("".join(self.symbols[number] for number in word) for word in self.words(ids))


def _made_from(rule: object, origin: str) -> MadeFrom | None:
    if rule is None:
        return None
    if not isinstance(rule, str) or rule not in [*MadeFrom]:
        shown = type(rule).__name__ if isinstance(rule, list | dict) else repr(rule)
        raise InputError(f"{origin} has from: {shown}; labels are made from {' or '.join(MadeFrom)}.")
    return MadeFrom(rule)


def _name(symbols: tuple[str, ...], place: int) -> str:
    return symbols[place] if place < len(symbols) else "none"


_T15_SYMBOLS = (
    "BLANK AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH |"
)
T15 = Labels(tuple(_T15_SYMBOLS.split()), blank=0, boundary=40)
NEJM = Labels((T15.symbols[0], "|", *T15.symbols[1:40]), blank=0, boundary=1)  # silence stands between words there
LETTERS = Labels(("_", *ascii_lowercase, "'", "-", "|"), blank=0, boundary=29, made_from=MadeFrom.letters)
NAMED = {"t15": T15, "letters": LETTERS}  # what data.labels knows by name


def read_labels(path: Path) -> Labels:
    """Read a set of labels from a YAML file.

    Raises:
        InputError: where there is no such file, or it holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"The labels {path} cannot be read ({error.strerror}); give data.labels=FILE.yaml.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"The labels {path} are not YAML ({error}); write symbols: [...].") from None
    return parse_labels(text, str(path))


def parse_labels(text: str, origin: str) -> Labels:
    """Read a set of labels from YAML.

    Raises:
        InputError: where it is something else.
    """
    try:
        plain = yaml.safe_load(text)
    except (yaml.YAMLError, *_ODD_YAML) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The labels {origin} are not YAML ({reason}); write symbols: [...].") from None
    return Labels.from_dict(plain, origin)


def labels_of(root: Path, setting: str | None) -> Labels:
    """The labels of a data root: those that the setting data.labels names, else its own, else T15's.

    The setting is a name, a file, or YAML itself in braces, as a checkpoint hands on its rule.

    Raises:
        InputError: as read_labels.
    """
    if setting in NAMED:
        return NAMED[setting]
    if setting is not None and setting.startswith("{"):
        return parse_labels(setting, "data.labels")
    if setting is not None:
        return read_labels(Path(setting))
    own = root / LABELS_FILE
    return read_labels(own) if own.exists() else T15
