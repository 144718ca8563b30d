"""Phonemes as other programs write them, read as labels: what is recognised is brought to one form, and said."""

import re
from collections import Counter

from mode_ssm.errors import InputError, printable
from mode_ssm.labels import Labels

_LIST = re.compile(r"\s*[\[(].*[\])]\s*", re.DOTALL)
_ITEM = re.compile(r"[^\s,'\"\[\]()]+")
_SILENCE = {"SIL", "SP", "<SIL>", "<SP>"}


class PhonemeReader:
    """Reads cells of a column; `changes` counts what was brought to another form."""

    def __init__(self, labels: Labels, where: str) -> None:
        self._labels, self._where = labels, where
        self._known = {symbol for number, symbol in enumerate(labels.symbols) if number != labels.blank}
        self.changes: Counter[str] = Counter()

    def __call__(self, cell: str, row: int) -> list[int]:
        """The labels of a cell, perhaps none.

        Raises:
            InputError: on a symbol that is none of the labels.

        >>> from mode_ssm.labels import T15
        >>> read = PhonemeReader(T15, "phonemes")
        >>> T15.text(read("['hh', 'ah0', 'l-ow1', 'SIL']", 2))
        'HH AH L OW |'
        >>> read("16 3 21 25 40", 3) == read("HH AH L OW |", 4)
        True
        """
        is_list = _LIST.fullmatch(cell) is not None
        if is_list:
            self.changes["a list read as its symbols"] += 1
        return [label for name in (_ITEM.findall(cell) if is_list else cell.split()) for label in self._read(name, row)]

    def _read(self, name: str, row: int) -> list[int]:
        if name in self._known:
            return self._labels.ids([name])
        if name.isascii() and name.isdigit() and len(name) < 10:
            return [self._by_number(int(name), row)]
        if "-" in name.strip("-"):
            self.changes["hyphens read as spaces"] += 1
            return [label for part in name.split("-") if part for label in self._read(part, row)]
        return self._labels.ids([self._plain(name, row)])

    def _by_number(self, number: int, row: int) -> int:
        if number >= len(self._labels) or number == self._labels.blank:
            raise self._unknown(str(number), row)
        self.changes["numbers read as classes"] += 1
        return number

    def _plain(self, name: str, row: int) -> str:
        """The symbol that a name stands for."""
        boundary = self._labels.boundary
        if name.upper() in _SILENCE and boundary is not None:
            self.changes[f"SIL read as {self._labels.symbols[boundary]}"] += 1
            return self._labels.symbols[boundary]
        for what, plain in (
            ("stress digits dropped", name.rstrip("012")),
            ("lower case read as upper case", name.upper()),
            ("lower case read as upper case, stress digits dropped", name.upper().rstrip("012")),
        ):
            if plain in self._known:
                self.changes[what] += 1
                return plain
        raise self._unknown(name, row)

    def _unknown(self, name: str, row: int) -> InputError:
        labels = self._labels
        return InputError(
            f"{self._where}, row {row}: '{printable(name, 40)}' is none of the {len(labels) - 1} labels, "
            f"{labels.text(n for n in range(len(labels)) if n != labels.blank)}; correct it, or give --labels FILE."
        )
