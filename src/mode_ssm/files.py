"""Writing files so that a reader sees the old one or the new one, never half of it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from mode_ssm.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path`, with its suffix; what was written there takes its place at the end, or goes away."""
    beside = path.with_name(f".new.{path.name}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Raises: InputError, when what is written to the folder cannot be, on a full disk say."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); give another output_dir.") from None


def prepare_folder(folder: Path) -> None:
    """Make the folder, and see that a file can be written in it, before hours are spent on what it is for.

    Raises:
        InputError: when not.
    """
    with output_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()


def replace_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files of a folder, by name, so that all are replaced or none.

    Raises:
        InputError: when one cannot be written.
    """
    with output_folder(folder), ExitStack() as all_of_them:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            all_of_them.enter_context(replacing(folder / name)).write_text(text)


def replace_text(path: Path, text: str) -> None:
    """Write beside the place and rename."""
    with replacing(path) as beside:
        beside.write_text(text)
