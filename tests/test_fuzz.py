"""The fuzzer's command and its seeds; what it has found stands in test_found_by_fuzzing.py."""

import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch):  # the module that `python scripts/fuzz.py` runs
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("fuzz")


def test_every_target_takes_its_seeds_and_what_is_near_them(fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = importlib.import_module("fuzz_targets")
    assert {*targets.TARGETS} == {*targets.SEEDS} == {*fuzz.NAMES}
    random = np.random.default_rng(0)
    for name, read in targets.TARGETS.items():
        for seed in targets.SEEDS[name]:
            read(seed)
            read(seed[: len(seed) // 2])
            read(bytes(random.permutation(np.frombuffer(seed, np.uint8))))


def test_without_atheris_the_command_says_so_in_a_sentence(fuzz, monkeypatch, capsys) -> None:
    monkeypatch.setattr(fuzz, "find_spec", lambda _: None)
    assert fuzz.main(["seconds=30"]) == fuzz.NO_ATHERIS == 3
    assert "not fuzzed: atheris, which has wheels for Linux" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["arpas"], "'arpas' is no target; there are arpa, lexicon"),
        (["seconds=soon"], "seconds=soon does not fit"),
        (["seconds=0"], "give a whole number from 1"),
        ([__file__], "name the one target that it is for"),
    ],
)
def test_wrong_words_are_told(fuzz, capsys, words: list[str], sentence: str) -> None:
    assert fuzz.main(words) == fuzz.WRONG == 2
    assert sentence in capsys.readouterr().err


def test_a_finding_can_be_read_again(fuzz, tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "crash-1"
    path.write_bytes(b"we go\n")
    assert fuzz.main(["words", str(path)]) == 0
    assert "1 inputs read" in capsys.readouterr().out
    monkeypatch.setattr(fuzz, "targets", lambda: {"words": int})
    with pytest.raises(ValueError, match="invalid literal"):
        fuzz.main(["words", str(path)])


def test_an_input_that_takes_too_long_is_a_finding(fuzz, monkeypatch) -> None:
    times = iter((1.0, 7.0))
    monkeypatch.setattr(fuzz.time, "process_time", lambda: next(times))
    with pytest.raises(RuntimeError, match=r"6\.0 s of processor time for 3 bytes"):
        fuzz.in_time(lambda _: None)(b"abc")


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")
def test_a_fault_is_found_and_ends_with_status_1(tmp_path: Path) -> None:
    """A reader that fails on a byte beyond ASCII, in place of a real one."""
    fault = "import sys; sys.argv[0] = 'fuzz.py'; sys.path.insert(0, sys.argv[1]); import fuzz, fuzz_targets; "
    fault += "fuzz_targets.TARGETS['words'] = lambda data: data.decode('ascii'); "
    command = [sys.executable, "-c", fault + "sys.exit(fuzz.main(['words', 'seconds=5']))", str(SCRIPTS)]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert ran.returncode == 1, ran.stderr
    assert "1 readers fuzzed for 5 s: words found." in ran.stdout
    assert "UnicodeDecodeError: 'ascii' codec" in ran.stderr
