"""Inputs that reports of this field tell of, one a row: what is made, the command, its exit status, what it says.

The kinds: 1 failures that leave the denominator; 2 trials that are counted and cannot be removed; 3 heads that no
stage trained; 4 fields that should agree; 5 input that means nothing; 6 what looks like data and is not read; 7 empty
beside absent; 8 identity by the place of finding; 9 symbols as others write them; 10 text of language models; 11
dictionaries and names of files; 12 numbers promised; 13 disks without locks; 14 locales; 15 one second, one machine,
one version; 16 the scale of the losses; 17 what every toolkit has.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

from mode_ssm.cli import main
from tests.inputs import conversion, counts, fields, formats, mended, scales, toolkit
from tests.inputs.row import Place, Row, write_said
from tests.small import SMALL

OF_RUNS = (*mended.ROWS, *counts.ROWS, *fields.ROWS, *scales.ROWS, *toolkit.ROWS)
ROWS: tuple[Row, ...] = (*OF_RUNS, *conversion.ROWS, *formats.ROWS)


def status_of(words: list[str]) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root, a run trained on it, and a language model."""
    at = tmp_path_factory.mktemp("shared")
    data = [f"data.data_root={write_said(at / 'root')}", f"data.cache_dir={at / 'index'}"]
    assert status_of(["train", *SMALL, *data, f"output_dir={at / 'run'}"]) == 0
    assert status_of(["lm", "build", f"out={at / 'lm'}", "transcripts=true", *data]) == 0
    return at


@pytest.fixture
def place(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, shared, monkeypatch)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.kind} {row.what}" for row in ROWS])
def test_an_input_has_its_status_and_its_sentence(
    row: Row, place: Place, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    row.make(place)
    capfd.readouterr()
    status = status_of(place.words(row.command))
    printed = "".join([*capfd.readouterr(), *caplog.messages])  # which go to stderr where no test catches them
    assert "Traceback" not in printed
    for part in (row.says,) if isinstance(row.says, str) else row.says:
        assert (part.removeprefix("!") in " ".join(printed.split())) is not part.startswith("!"), printed
    assert status == row.status, printed
    assert row.value(place) == row.expected


def test_each_row_is_another(tmp_path: Path) -> None:
    names = Counter((row.kind, row.what) for row in ROWS)
    assert not [name for name, count in names.items() if count > 1]
    assert not [row.what for row in ROWS if not 1 <= row.kind <= 17 or re.search(r"\s$", row.what)]


def test_each_kind_has_three_members() -> None:
    kinds = Counter(row.kind for row in ROWS)
    assert len(ROWS) >= 80
    assert all(kinds[kind] >= 3 for kind in range(1, 18))
