"""Writing files so that a reader sees the old one or the new one, never half of it; what reading one may raise."""

import csv
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mode_ssm.errors import InputError

BROKEN_TEXT = (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error)  # of text, packed or not, a table or not
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path`, with its suffix; what was written there takes its place at the end, or goes away.

    The file can be read by whom the user lets read new files, whatever wrote it.
    """
    beside = _beside(path)
    try:
        beside.touch()
        mode = beside.stat().st_mode
        yield beside
        beside.chmod(mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def put_also(path: Path, source: Path) -> None:
    """Put a file in a second place: as a hard link, or a copy on a disk that has no such links."""
    with replacing(path) as beside:
        beside.unlink()
        try:
            os.link(source, beside)
        except OSError:
            shutil.copyfile(source, beside)


def _beside(path: Path) -> Path:
    return path.with_name(f".new.{path.name}")


@contextmanager
def _output_folder(folder: Path) -> Iterator[None]:
    """Raises: InputError, when what is written to the folder cannot be, on a full disk say."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); give another output_dir.") from None


def check_writable(folder: Path) -> None:
    """See that a file can be written in the folder, or where it will be made, before hours are spent on what it is for.

    Raises:
        InputError: when not.
    """
    with _output_folder(folder):
        TemporaryFile(dir=next(place for place in (folder, *folder.parents) if place.exists())).close()


def replace_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files of a folder, by name: each is written beside its place before the first is replaced, in this order.

    Raises:
        InputError: when one cannot be written.
    """
    with _output_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, text in texts.items():
                _beside(folder / name).write_text(text, encoding="utf-8")
            for name in texts:
                _beside(folder / name).replace(folder / name)
        finally:
            for name in texts:
                _beside(folder / name).unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write beside the place and rename."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def parse_json(text: str) -> Any:
    """What JSON of a file says.

    Raises:
        ValueError: where it is none, is nested too deeply, or escapes half a character, which no text can hold.
    """
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _HALF_CHARACTER.search(text):
        json.dumps(tree, ensure_ascii=False).encode()
    return tree
