"""The floors: a file imports its own part or a lower floor, never a part beside it or above."""

import ast
from pathlib import Path

import pytest

import mode_ssm

SOURCE = Path(mode_ssm.__file__).parent
GROUND = {"errors", "config", "phonemes", "batch", "files", "processes"}
PARTS = {"data", "models", "losses", "decoding", "scoring"}


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("mode_ssm.")}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_imports_lower_floors_only(path):
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part in GROUND:
        assert imported_parts(path) <= GROUND
    elif part in PARTS:
        assert imported_parts(path) <= GROUND | {part}


def test_models_losses_and_decoding_know_no_hydra():
    for part in PARTS:
        for path in (SOURCE / part).rglob("*.py") if (SOURCE / part).is_dir() else [SOURCE / f"{part}.py"]:
            assert "hydra" not in path.read_text(), path
