"""The set of labels that recordings are labelled with: it travels with the data, and stands in each checkpoint.

T15's 41 classes are the default; letters, syllables or the same phonemes in another order are other sets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mode_ssm.errors import InputError


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


_T15_SYMBOLS = (
    "BLANK AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH |"
)
T15 = Labels(tuple(_T15_SYMBOLS.split()), blank=0, boundary=40)
