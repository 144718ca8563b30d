"""Writing files so that a reader sees the old text or the new one, never half of it."""

from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write beside the place and rename."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
