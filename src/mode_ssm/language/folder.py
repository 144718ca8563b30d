"""The folder of a language model: lm.arpa for other programs, lm.ngram and lexicon.txt for ours, lm.json about them."""

import json
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import BackoffModel
from mode_ssm.language.arpa_writing import save_arpa
from mode_ssm.language.ngram_store import NGramStore

ARPA, STORE, LEXICON, SUMMARY = "lm.arpa", "lm.ngram", "lexicon.txt", "lm.json"


def check_replaceable(folder: Path) -> None:
    """See that a language model may be written to a folder: one that is not there, is empty, or holds one of ours.

    Raises:
        InputError: when not.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SUMMARY).is_file():
        raise InputError(
            f"{folder} holds files but no {SUMMARY}, so it is no language model of ours; give another out."
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder as out.")


def write_folder(folder: Path, model: BackoffModel, lexicon: str, summary: Mapping[str, Any]) -> None:
    """Write all files beside the folder, then put them in their places.

    Raises:
        InputError: when the folder cannot be written, or is not ours to write.
    """
    check_replaceable(folder)
    beside = folder.with_name(f".new.{folder.name}")
    try:
        beside.mkdir(parents=True, exist_ok=True)
        save_arpa(model, beside / ARPA)
        NGramStore.of(model).save(beside / STORE)
        (beside / LEXICON).write_text(lexicon, encoding="utf-8")
        (beside / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in (ARPA, STORE, LEXICON, SUMMARY):
            (beside / name).replace(folder / name)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); give another out=FOLDER.") from None
    finally:
        rmtree(beside, ignore_errors=True)
