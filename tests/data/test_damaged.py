"""Bytes on which the HDF5 library hangs or crashes: the file is named, the others are read, and the run lives."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest

from mode_ssm.index import MalformedError
from mode_ssm.labels import T15
from mode_ssm.t15 import scan_process
from mode_ssm.t15.scan import FileIndex
from tests.data.conftest import SESSIONS, Opener

FILE = f"{SESSIONS[1]}/data_train.hdf5"


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process with the settings of the test, and none of them left to other tests."""
    scan_process._scanner(os.getpid())._stop()
    monkeypatch.setattr(scan_process, "LIMIT_S", 1.0)
    yield
    scan_process._scanner(os.getpid())._stop()


def overwrite(path: Path, where: int, new: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[where : where + len(new)] = new
    path.write_bytes(content)


def hang(path: Path) -> None:
    """Zero the objects of the heap that holds the texts: the library walks on by the size of an object, 0."""
    overwrite(path, path.read_bytes().index(b"GCOL") + 16, bytes(64))


def crash(path: Path) -> None:
    """Make the text of an attribute neither a sequence nor a string: the library follows a null pointer."""
    overwrite(path, path.read_bytes().index(b"sentence_label\0\0\x19") + 17, bytes([117]))


Damage = Callable[[Path], None]


@pytest.mark.parametrize(
    ("damage", "words"), [(hang, "library does not come to an end with it"), (crash, "library crashes on it (SIG")]
)
def test_the_damaged_file_is_named_and_the_others_are_read(
    root: Path, open_root: Opener, damage: Damage, words: str
) -> None:
    damage(root / FILE)
    dataset = open_root()
    assert {entry.key.session for entry in dataset.entries} >= {SESSIONS[0], SESSIONS[2]}
    for problem in dataset.problems:
        assert str(problem).startswith(FILE)
        assert words in str(problem) or "cannot be read" in str(problem)  # a later library may have learnt to


def test_one_process_reads_all_files_and_another_one_after_an_end(root: Path, open_root: Opener) -> None:
    scanner = scan_process._scanner(os.getpid())
    open_root()
    first = scanner._process
    open_root("val")
    assert scanner._process is first is not None
    first.kill()
    first.wait()
    open_root("test")
    assert scanner._process is not first


def scan(root: Path) -> FileIndex:
    return scan_process.scan_file(root, SESSIONS[1], "train", T15)


def test_an_idle_process_leaves_and_nobody_notices(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan(root)
    asked = []

    def exchange(process: "subprocess.Popen[bytes]", question: object) -> object:
        asked.append(process)
        if len(asked) > 1:
            return "answer"
        assert process.stdin is not None
        process.stdin.close()  # the end of its work, as being idle is
        raise EOFError

    monkeypatch.setattr(scan_process, "_exchange", exchange)
    assert scan(root) == "answer"
    assert [process.poll() for process in asked] == [0, None]


def test_a_signal_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(process: object, question: object) -> None:
        os.kill(process.pid, signal.SIGKILL)
        raise EOFError

    monkeypatch.setattr(scan_process, "_exchange", killed)
    with pytest.raises(MalformedError, match="crashes on it"):
        scan(root)


def test_an_interruption_ends_the_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scan(root)

    def interrupted(process: object, question: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scan_process, "_exchange", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(root)
    assert scan_process._scanner(os.getpid())._process is None
    assert scan(root) == expected


def test_what_the_file_holds_comes_through(root: Path) -> None:
    with h5py.File(root / FILE, "a") as file:
        file["trial_0001"].attrs["sentence_label"] = "Ünï ☃"
        del file["trial_0002"]["seq_class_ids"]
        del file["trial_0003"]["input_features"]
    assert scan(root) == scan_process.scan.scan_file(root, SESSIONS[1], "train", T15)
    assert scan(root).records[2].labels is None
    assert [problem.trial for problem in scan(root).problems] == ["trial_0003"]
