"""The table of gradient ratios, from run folders with known numbers."""

import sys
from pathlib import Path

import pytest

from tests.report.recorded import write_recorded

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import gradient_ratio
import starting


def start(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    """The exit status."""
    monkeypatch.setattr(sys, "argv", ["gradient_ratio.py", *words])
    with pytest.raises(SystemExit) as exit_:
        starting.start(gradient_ratio.main)
    return exit_.value.code


def test_the_table_counts_what_lies_near_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_recorded(tmp_path / "AN4" / "gradient" / "seed0", updates=3200)  # measures every tenth joint update
    assert start(monkeypatch, str(run), "--results", str(tmp_path)) is None
    row = "| AN4/gradient/seed0 | 3.33 | 2.00 | 2.00 to 2.00 | 100 % |"
    assert row in (tmp_path / "gradient_ratio.md").read_text()
    assert (tmp_path / "gradient_ratio.png").stat().st_size > 10_000
    ratios = gradient_ratio.Ratios("run", 2.0, [9.0] * 100 + [1.0] * 75 + [4.1] * 25, [1.0] * 200)
    assert "| run | 2.00 | 1.00 | 1.00 to 2.55 | 75 % | 1.00 |" in gradient_ratio.table([ratios])


def test_a_run_with_few_joint_updates_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(monkeypatch, str(write_recorded(tmp_path / "short", updates=200))) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("gradient_ratio: ")
    assert "has 100 joint updates; give a run with at least 150" in complaint
