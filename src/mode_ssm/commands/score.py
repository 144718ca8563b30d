"""`mode-ssm score`: the error rate between two columns of a CSV."""

import csv
from pathlib import Path
from typing import Any

from mode_ssm.bootstrap import error_interval
from mode_ssm.commands.phoneme_texts import PhonemeReader
from mode_ssm.commands.rate_table import kinds_of
from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels, read_labels
from mode_ssm.scoring import ErrorRate, edit_counts, normalise_sentence, total, word_errors

_UNITS = ("phoneme", "word")


def score(path: str | Path, *, reference: str, hypothesis: str, unit: str, labels: str | None = None) -> dict[str, Any]:
    """Score each row's hypothesis against its reference; an empty hypothesis counts as deletions.

    Phonemes are read as labels (of a YAML file, or T15's), and what was brought to one form is counted; words are
    normalised. A row without a reference is not scored, and counted.

    Raises:
        InputError: on an unknown unit, a file that is not a CSV with these columns, a symbol that is no label, or
            references without any unit.
    """
    if unit not in _UNITS:
        raise InputError(f"The unit '{unit}' is unknown; choose one of {', '.join(_UNITS)}.")
    pairs = read_columns(path, reference, hypothesis)
    normalised: dict[str, dict[str, int]] = {}
    if unit == "word":
        said = [(normalise_sentence(ref), hyp) for ref, hyp in pairs]
        errors = [word_errors(ref, hyp) for ref, hyp in said if ref]
    else:
        errors, normalised = _phoneme_errors(
            pairs, (reference, hypothesis), T15 if labels is None else read_labels(Path(labels))
        )
    pooled = total(errors)
    if pooled.reference_length == 0:
        raise InputError(f"Column '{reference}' of {path} holds no {unit}, so there is nothing to divide by.")
    interval = error_interval(errors)
    return {
        "unit": unit,
        "rows": len(pairs),
        "rows_without_reference": len(pairs) - len(errors),
        "normalised": normalised,
        "reference_length": pooled.reference_length,
        "edits": pooled.edits,
        **kinds_of(pooled),
        "error_rate": pooled.rate,
        "error_rate_percent": round(100 * pooled.rate, 2),
        "error_rate_interval": None if interval is None else list(interval),
    }


def _phoneme_errors(
    pairs: list[tuple[str, ...]], columns: tuple[str, str], labels: Labels
) -> tuple[list[ErrorRate], dict[str, dict[str, int]]]:
    """The errors of the rows with a reference, and what was brought to another form, by column."""
    readers = [PhonemeReader(labels, f"Column '{column}'") for column in columns]
    read = [[of(cell, row) for of, cell in zip(readers, pair, strict=True)] for row, pair in enumerate(pairs, start=2)]
    changes = {column: dict(of.changes) for column, of in zip(columns, readers, strict=True) if of.changes}
    return [edit_counts(ref, hyp) for ref, hyp in read if ref], changes


def read_columns(path: str | Path, *columns: str) -> list[tuple[str, ...]]:
    """Read the named columns of a CSV with a header, as text.

    Raises:
        InputError: on a file that is absent, empty, not UTF-8 text or not a table, or that lacks one of the columns.
    """
    rows = _read_table(path)
    header = rows[0]
    for column in columns:
        if column not in header:
            raise InputError(f"{path} has no column '{column}'; its columns are {', '.join(header)}.")
        if header.count(column) > 1:
            raise InputError(f"{path} has {header.count(column)} columns named '{column}'; rename all but one.")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(
                f"Row {number} of {path} has {len(row)} cells but the header has {len(header)}; "
                "put quotes around text that holds commas."
            )
    places = [header.index(column) for column in columns]
    return [tuple(row[place] for place in places) for row in rows[1:]]


def _read_table(path: str | Path) -> list[list[str]]:
    """All rows that are not blank lines; the header is the first."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); give an unpacked CSV file.") from error
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV: {error}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. Give the path of a CSV file.") from error
    if not rows:
        raise InputError(f"{path} is empty; a CSV with a header row is needed.")
    return rows
