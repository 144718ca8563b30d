"""The kept index is used while the files are the same, and is never believed otherwise."""

import json
import logging
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_split
from mode_ssm.labels import Labels
from mode_ssm.t15 import kept_index, scan
from tests.data.conftest import SESSIONS, Opener, patches
from tests.data.files import make_trial, write_session


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read to be indexed, in order."""
    names: list[str] = []

    def scan_here(root: Path, session: str, split: str, labels: Labels) -> scan.FileIndex:
        names.append(f"{session}/data_{split}.hdf5")
        return scan.scan_file(root, session, split, labels)

    monkeypatch.setattr(kept_index, "scan_file", scan_here)
    return names


def cache_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").iterdir()
    return path


TRAIN = [f"{session}/data_train.hdf5" for session in SESSIONS]


def test_unchanged_files_are_not_read_again(open_root: Opener, scanned: list[str]) -> None:
    first = open_root()
    assert scanned == TRAIN
    assert open_root().entries == first.entries
    open_root("val")
    open_root("test")
    assert scanned == TRAIN + [f"{session}/data_val.hdf5" for session in SESSIONS] + [f"{SESSIONS[1]}/data_test.hdf5"]


def test_other_settings_of_the_model_need_no_reading(config: DataConfig, scanned: list[str]) -> None:
    everything = open_split(config, "train", num_channels=8, encoder_frames=patches)
    few = open_split(config, "train", num_channels=8, encoder_frames=lambda frames: frames // 8)
    assert scanned == TRAIN
    assert (len(everything), len(few)) == (12, 6)
    assert {problem.trial for problem in few.problems} == {"trial_0000", "trial_0001"}


def test_problems_are_kept_too(root: Path, open_root: Opener, scanned: list[str]) -> None:
    with h5py.File(root / TRAIN[0], "a") as file:
        file["trial_0001"].attrs["seq_len"] = 0
    assert [str(p) for p in open_root().problems] == [str(p) for p in open_root().problems] != []
    assert scanned == TRAIN


def test_changed_file_alone_is_read_again(root: Path, open_root: Opener, scanned: list[str]) -> None:
    open_root()
    write_session(root, SESSIONS[1], "train", [make_trial(77)])
    assert len(open_root()) == 9
    assert scanned == [*TRAIN, TRAIN[1]]


def test_file_of_the_same_size_but_another_time_is_read_again(
    root: Path, open_root: Opener, scanned: list[str]
) -> None:
    open_root()
    status = (root / TRAIN[2]).stat()
    os.utime(root / TRAIN[2], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    open_root()
    assert scanned == [*TRAIN, TRAIN[2]]


def test_removed_file_leaves_the_index(tmp_path: Path, root: Path, open_root: Opener) -> None:
    open_root()
    (root / TRAIN[0]).unlink()
    assert [problem.what for problem in open_root().problems] == ["is absent"]
    open_root("val")  # writes the index
    assert TRAIN[0] not in json.loads(cache_file(tmp_path).read_text())["files"]


def test_each_root_has_an_index_of_its_own(tmp_path: Path, open_root: Opener) -> None:
    open_root()
    write_session(tmp_path / "other", SESSIONS[0], "train", [make_trial()])
    assert len(open_root(data_root=str(tmp_path / "other"))) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_root_is_the_same_by_any_path(
    tmp_path: Path, root: Path, open_root: Opener, scanned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    for path in (str(root), str(tmp_path / "link"), "hdf5", "hdf5/../link"):
        assert len(open_root(data_root=path)) == 12
    assert scanned == TRAIN


BROKEN = {
    "empty": "",
    "not JSON": "{",
    "not UTF-8": "\udcff",
    "deep": "[" * 100_000,
    "a list": "[]",
    "null": "null",
    "no files": '{"format": 1, "root": "/"}',
}


@pytest.mark.parametrize("content", BROKEN)
def test_broken_index_is_read_anew(tmp_path: Path, open_root: Opener, scanned: list[str], content: str) -> None:
    entries = open_root().entries
    cache_file(tmp_path).write_text(BROKEN[content], errors="surrogateescape")
    assert open_root().entries == entries
    assert scanned == TRAIN * 2
    open_root()
    assert scanned == TRAIN * 2


ROW = ["trial_0000", 1, 0, 30, 8, 5, 0, "sentence"]


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 0},
        {"root": "/elsewhere"},
        {"files": None},
        {"records": [ROW[:-1]]},
        {"records": [[*ROW, 1]]},
        {"records": [[*ROW[:3], "30", *ROW[4:]]]},
        {"records": [None]},
        {"records": 5},
        {"problems": [{"file": "x"}]},
        {"size": "x"},
        {"others": 3},
    ],
    ids=str,
)
def test_foreign_index_is_read_anew(
    tmp_path: Path, open_root: Opener, scanned: list[str], fields: dict[str, object]
) -> None:
    entries = open_root().entries
    content = json.loads(cache_file(tmp_path).read_text())
    for name, value in fields.items():
        (content if name in content else content["files"][TRAIN[0]])[name] = value
    cache_file(tmp_path).write_text(json.dumps(content))
    assert open_root().entries == entries
    assert scanned == TRAIN * 2


def test_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, open_root: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file")
    with caplog.at_level(logging.WARNING):
        for split in ("train", "val", "train"):
            open_root(split, cache_dir=str(tmp_path / "taken"))
    (record,) = caplog.records
    assert record.getMessage() == (
        f"The index of the data cannot be kept in {tmp_path / 'taken'} (File exists), so each start reads it from the "
        "HDF5 files again; set data.cache_dir to a folder that can be written."
    )


def test_user_without_a_home_has_no_kept_index(
    open_root: Opener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert len(open_root(cache_dir=None)) == 12
    assert "cannot be kept in ~/.cache (this user has no home folder)" in caplog.text


@pytest.mark.parametrize("relative", [False, True])
def test_index_lies_in_the_users_cache_folder(
    tmp_path: Path, open_root: Opener, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/not/valid" if relative else str(tmp_path / "xdg"))
    open_root(cache_dir=None)
    folder = tmp_path / "home" / ".cache" if relative else tmp_path / "xdg"
    (path,) = (folder / "mode-ssm").iterdir()
    assert path.suffix == ".json"


def test_nothing_is_left_beside_the_index(tmp_path: Path, open_root: Opener) -> None:
    open_root()
    open_root("val")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".json"]


def test_sentence_of_any_text_is_kept(root: Path, open_root: Opener) -> None:
    with h5py.File(root / TRAIN[0], "a") as file:
        file["trial_0000"].attrs["sentence_label"] = 'Ünï"code\\\n☃'
        file["notes"] = np.zeros(1)
    assert open_root().entries == open_root().entries
    assert open_root().entries[0].sentence == 'Ünï"code\\\n☃'
