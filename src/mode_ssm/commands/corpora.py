"""Which corpus the sentences of a block came from, as the data set's block list says."""

import csv
import re
from pathlib import Path

from mode_ssm.errors import InputError
from mode_ssm.files import BROKEN_TEXT

COLUMNS = ("Date", "Block number", "Corpus")


class Corpora:
    """A block list: (date of the session, block number) to the corpus name."""

    def __init__(self, names: dict[tuple[str, int], str]) -> None:
        self._names = names

    def of(self, session: str, block: int) -> str:
        """The corpus of a block; `not listed` where the list lacks it."""
        return self._names.get((session[-len("YYYY.MM.DD") :], block), "not listed")


def read_corpora(path: str) -> Corpora:
    """Read a CSV with the columns Date (YYYY-MM-DD), Block number and Corpus.

    Raises:
        InputError: when the file is not such a list; the sentence names the line.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"corpus_csv={path} has no column '{missing[0]}'; it needs {', '.join(COLUMNS)}.")
            return Corpora(dict(_entry(row, f"{path}, line {reader.line_num}") for row in reader))
    except BROKEN_TEXT as error:
        raise InputError(f"corpus_csv={path} cannot be read as text ({error}); give a CSV file.") from None


def _entry(row: dict[str, str], where: str) -> tuple[tuple[str, int], str]:
    date, block, corpus = (row[column] or "" for column in COLUMNS)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) or not block.strip().isdecimal() or len(block) > 9:
        raise InputError(f"{where} has Date={date!r} and Block number={block!r}; write 2023-08-11 and a whole number.")
    return (date.replace("-", "."), int(block)), corpus
