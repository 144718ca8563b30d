"""What is read equals what was written, for every split, dtype and process."""

import errno
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from mode_ssm.batch import Trial
from mode_ssm.data import Problem, TrialDataset
from mode_ssm.t15.files import MAX_OPEN_FILES
from tests.data.conftest import SESSIONS, Opener
from tests.data.files import FakeTrial, make_trial, write_session


def read(dataset: TrialDataset, index: int = 0) -> Trial:
    trial = dataset[index]
    assert not isinstance(trial, Problem), trial
    return trial


def test_trials_are_what_was_written(open_root: Opener) -> None:
    dataset = open_root()
    assert dataset.sessions == SESSIONS
    assert dataset.problems == []
    assert len(dataset) == len(dataset.entries) == 12
    for index, entry in enumerate(dataset.entries):
        session, place = divmod(index, 4)
        expected = make_trial(10 * session + place, 30 + 7 * place)
        trial = read(dataset, index)
        assert trial.key == entry.key
        assert str(trial.key) == f"{SESSIONS[session]}/train/trial_{place:04d}"
        assert (trial.key.block, trial.key.number) == (1, place)
        assert trial.features.dtype == torch.float32
        np.testing.assert_array_equal(trial.features.numpy(), expected.features)
        assert trial.labels is not None
        assert trial.labels.dtype == torch.int64
        assert trial.labels.tolist() == expected.labels
        assert trial.sentence == entry.sentence == expected.sentence
        assert (entry.frames, entry.labels) == (len(expected.features), len(expected.labels))


def test_split_keeps_all_sessions_but_reads_its_own_files(open_root: Opener) -> None:
    dataset = open_root("test")
    assert dataset.sessions == SESSIONS
    assert [str(entry.key) for entry in dataset.entries] == [
        f"{SESSIONS[1]}/test/trial_0000",
        f"{SESSIONS[1]}/test/trial_0001",
    ]
    trial = read(dataset)
    assert (trial.labels, trial.sentence) == (None, None)
    assert dataset.entries[0].labels is None


def test_max_sessions_takes_the_first_by_date_of_any_participant(tmp_path: Path, open_root: Opener) -> None:
    for session in ("t15.2024.01.02", "an4.2023.12.31", "t16.2024.01.02", "x-1.2024.10.01", "b.2024.09.30"):
        write_session(tmp_path / "mixed", session, "train", [make_trial()])
    (tmp_path / "mixed" / "notes").mkdir()
    (tmp_path / "mixed" / ".cache.2024.01.01").mkdir()
    expected = ("an4.2023.12.31", "t15.2024.01.02", "t16.2024.01.02", "b.2024.09.30", "x-1.2024.10.01")
    root = str(tmp_path / "mixed")
    assert open_root(data_root=root).sessions == expected
    assert open_root(data_root=root, max_sessions=3).sessions == expected[:3]
    assert open_root(data_root=root, max_sessions=99).sessions == expected
    assert len(open_root(data_root=root, max_sessions=3)) == 3


@pytest.mark.parametrize("padding", [0, 99, -7, 1])
def test_padding_of_labels_is_never_read(root: Path, open_root: Opener, padding: int) -> None:
    with h5py.File(root / SESSIONS[0] / "data_train.hdf5", "a") as file:
        for trial in file.values():
            trial["seq_class_ids"][trial.attrs["seq_len"] :] = padding
    dataset = open_root()
    assert dataset.problems == []
    labels = read(dataset).labels
    assert labels is not None
    assert labels.tolist() == make_trial(0, 30).labels


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", ">f8"])
def test_other_floating_types_become_float32(tmp_path: Path, open_root: Opener, dtype: str) -> None:
    values = np.arange(320).reshape(40, 8) / 8
    write_session(tmp_path / "types", SESSIONS[0], "train", [FakeTrial(values.astype(dtype))])
    features = read(open_root(data_root=str(tmp_path / "types"))).features
    assert features.dtype == torch.float32
    np.testing.assert_array_equal(features.numpy(), values)


def test_transcription_stands_in_for_an_absent_sentence(root: Path, open_root: Opener) -> None:
    with h5py.File(root / SESSIONS[0] / "data_train.hdf5", "a") as file:
        del file["trial_0000"].attrs["sentence_label"]
        del file["trial_0001"].attrs["sentence_label"]
        del file["trial_0001"]["transcription"]
    dataset = open_root()
    assert [entry.sentence for entry in dataset.entries[:3]] == ["sentence 0", None, "sentence 2"]


def test_numbers_and_texts_are_read_as_other_programs_write_them(root: Path, open_root: Opener) -> None:
    with h5py.File(root / SESSIONS[0] / "data_train.hdf5", "a") as file:
        attributes = file["trial_0000"].attrs
        attributes["n_time_steps"] = np.array([30.0])
        attributes["block_num"] = np.uint8(7)
        attributes["session"] = np.bytes_(SESSIONS[0])
        attributes["sentence_label"] = "Où est-ce?"
    entry = open_root().entries[0]
    assert (entry.frames, entry.key.block, entry.sentence) == (30, 7, "Où est-ce?")


def test_trials_stand_in_the_order_of_their_numbers(tmp_path: Path, open_root: Opener) -> None:
    path = write_session(tmp_path / "many", SESSIONS[0], "train", [make_trial(i) for i in range(3)])
    with h5py.File(path, "a") as file:
        file.move("trial_0000", "trial_10000")
    groups = [entry.key.group for entry in open_root(data_root=str(tmp_path / "many")).entries]
    assert groups == ["trial_0001", "trial_0002", "trial_10000"]


def test_pickled_data_set_opens_files_of_its_own(open_root: Opener) -> None:
    dataset = open_root()
    first = read(dataset)
    copy: TrialDataset = pickle.loads(pickle.dumps(dataset))
    assert copy.entries == dataset.entries
    assert torch.equal(read(copy).features, first.features)


def test_open_files_stay_few(tmp_path: Path, open_root: Opener) -> None:
    for day in range(1, 2 * MAX_OPEN_FILES):
        write_session(tmp_path / "days", f"t15.2023.08.{day:02d}", "train", [make_trial(day)])
    dataset = open_root(data_root=str(tmp_path / "days"))
    before = h5py.h5f.get_obj_count(types=h5py.h5f.OBJ_FILE)
    for index in [*range(len(dataset)), *reversed(range(len(dataset)))]:
        assert read(dataset, index).sentence == f"sentence {index + 1}"
        assert h5py.h5f.get_obj_count(types=h5py.h5f.OBJ_FILE) - before <= MAX_OPEN_FILES


@pytest.mark.parametrize("link", ["external", "soft"])
def test_a_linked_trial_is_who_it_was_asked_for_as(tmp_path: Path, open_root: Opener, link: str) -> None:
    """Its group is called trial_0000 where it lies; here it is trial_0001."""
    trials = [make_trial(1), make_trial(2)]
    path = write_session(tmp_path / "links", SESSIONS[0], "train", trials)
    elsewhere = write_session(tmp_path / "elsewhere", SESSIONS[0], "train", [make_trial(3)])
    with h5py.File(path, "a") as file:
        del file["trial_0001"]
        if link == "external":
            file["trial_0001"] = h5py.ExternalLink(str(elsewhere), "/trial_0000")
        else:
            file["trial_0001"] = h5py.SoftLink("/trial_0000")
    dataset = open_root(data_root=str(tmp_path / "links"))
    assert [str(entry.key) for entry in dataset.entries] == [f"{SESSIONS[0]}/train/trial_000{n}" for n in "01"]
    expected = make_trial(3 if link == "external" else 1)
    np.testing.assert_array_equal(read(dataset, 1).features.numpy(), expected.features)
    assert read(dataset, 1).sentence == expected.sentence


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_is_read_without(open_root: Opener, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Unlocked(h5py.File):
        def __init__(self, *words: object, locking: bool = True, **options: object) -> None:
            if locking:
                raise OSError(
                    f"Unable to open file (unable to lock file, errno = {number}, error message = 'No locks')"
                )
            super().__init__(*words, locking=False, **options)

    dataset = open_root()
    monkeypatch.setattr(h5py, "File", Unlocked)
    assert read(dataset).sentence == "sentence 0"
