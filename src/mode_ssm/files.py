"""Writing files so that a reader sees the old one or the new one, never half of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside `path`, with its suffix; what was written there takes its place at the end, or goes away."""
    beside = path.with_name(f".new.{path.name}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write beside the place and rename."""
    with replacing(path) as beside:
        beside.write_text(text)
