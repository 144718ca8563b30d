"""The folder of a language model: lm.arpa for other programs, lm.ngram and lexicon.txt for ours, lm.json about them.

In place of the first two there may be lm.bin, a binary of KenLM.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any

from mode_ssm.errors import InputError
from mode_ssm.files import put_also
from mode_ssm.language.arpa import BackoffModel
from mode_ssm.language.arpa_writing import save_arpa
from mode_ssm.language.kenlm import KenLMFile
from mode_ssm.language.ngram_scores import NGramScores
from mode_ssm.language.ngram_store import NGramStore, open_ngrams

ARPA, STORE, BINARY, LEXICON, SUMMARY = "lm.arpa", "lm.ngram", "lm.bin", "lexicon.txt", "lm.json"


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


def open_model(folder: Path) -> NGramScores:
    """The n-gram model of a folder: our own store, or the ARPA file to make it from; else KenLM's binary.

    Raises:
        InputError: when there is none, or what is there cannot be read.
    """
    store, arpa, binary = folder / STORE, folder / ARPA, folder / BINARY
    if binary.is_file() and not store.is_file() and not arpa.is_file():
        return KenLMFile(binary)
    return open_ngrams(store, arpa)


def write_folder(folder: Path, model: BackoffModel | Path, lexicon: str, summary: Mapping[str, Any]) -> None:
    """Write all files beside the folder, then put them in their places; what the folder had of another model goes.

    A binary of KenLM, given by its path, gets a second name in the folder, or a copy on another disk.

    Raises:
        InputError: when the folder cannot be written, or is not ours to write.
    """
    check_replaceable(folder)
    beside = folder.with_name(f".new.{folder.name}")
    try:
        beside.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Path):
            put_also(beside / BINARY, model)
        else:
            save_arpa(model, beside / ARPA)
            NGramStore.of(model).save(beside / STORE)
        (beside / LEXICON).write_text(lexicon, encoding="utf-8")
        (beside / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in (ARPA, STORE, BINARY, LEXICON, SUMMARY):
            if (beside / name).exists():
                (beside / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); give another out=FOLDER.") from None
    finally:
        rmtree(beside, ignore_errors=True)
