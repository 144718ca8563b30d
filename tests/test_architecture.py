"""The house: a room imports rooms below it in one total order, never one beside it or above."""

import ast
from pathlib import Path

import pytest

import mode_ssm

SOURCE = Path(mode_ssm.__file__).parent
# From the ground up: words, files of T15, those of others, parts. A room is a file or a folder of src/mode_ssm.
ORDER = (
    "errors labels orthography index checks config files dictionary processes memory batch settings scoring".split()
    + "bootstrap running_scale device conf".split(),
    ["t15"],
    ["formats"],
    "data models losses decoding simulation".split(),  # none imports another of this floor
    ["language"],
    ["recognition"],
    ["live"],
    ["training"],
    ["pictures"],
    ["report"],
    ["commands"],
    ["cli"],
    "__main__ __init__".split(),
)
FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("mode_ssm.")}
        if isinstance(node, ast.ImportFrom) and node.module == "mode_ssm":
            found |= {alias.name for alias in node.names if alias.name in FLOOR}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_file_imports_its_own_room_or_one_below(path):
    room = room_of(path)
    on_ground = FLOOR[room] == 0
    for other in imported_rooms(path) - {room}:
        assert FLOOR[other] < FLOOR[room] or (on_ground and FLOOR[other] == 0), f"{path} imports {other}"


def imports_h5py(path: Path) -> bool:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        modules |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
    return any(module.split(".")[0] == "h5py" for module in modules)


def test_one_room_alone_knows_hdf5():
    assert {room_of(path) for path in SOURCE.rglob("*.py") if imports_h5py(path)} == {"t15"}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_text_files_are_utf_8_whatever_the_locale(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("read_text", "write_text"):
            assert "encoding" in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"
