"""Every kind of bad file and bad trial is named in a sentence that says what to do, and never ends in a stack trace."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mode_ssm.config import BadTrial
from mode_ssm.data import Problem
from mode_ssm.errors import InputError
from tests.data.conftest import SESSIONS, Opener
from tests.data.files import FakeTrial, make_trial, write_session, write_trial

SESSION = SESSIONS[1]
FILE = f"{SESSION}/data_train.hdf5"
TRIAL = "trial_0002"

FileFault = Callable[[Path], object]
TrialFault = Callable[[h5py.Group], None]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8:200] = b"\xff" * 192
    path.write_bytes(content)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.hdf5")


def make_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def make_session_a_file(path: Path) -> None:
    shutil.rmtree(path.parent)
    path.parent.write_text("not a folder")


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def without_trials(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["spikes"] = np.zeros(3)


FILES: dict[str, tuple[FileFault, str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes). Copy or download the file again"),
    "truncated": (truncate, "is cut short ("),
    "text": (lambda path: path.write_text("version https://git-lfs"), "is not an HDF5 file. Copy or"),
    "damaged header": (damage_header, "is a damaged HDF5 file ("),
    "folder": (make_folder, "is not a file. Put the session's file in its place"),
    "dangling link": (make_dangling, "cannot be opened (No such file or directory). Mend the link"),
    "link to itself": (make_loop, "cannot be opened (Too many levels of symbolic links). Mend the link"),
    "session a file": (make_session_a_file, "cannot be opened (Not a directory). Mend the link"),
    "pipe": (make_pipe, "is not a file. Put the session's file in its place"),
    "no trials": (without_trials, "holds no trial groups (trial_0000, trial_0001, ...). Put the"),
    "absent": (lambda path: path.unlink(), "is absent. Copy the file there"),
}


@pytest.mark.parametrize("fault", FILES)
def test_bad_file_is_named_and_the_others_are_read(root: Path, open_root: Opener, fault: str) -> None:
    break_file, sentence = FILES[fault]
    break_file(root / FILE)
    dataset = open_root()
    assert [str(problem).startswith(f"{FILE} {sentence}") for problem in dataset.problems] == [True], dataset.problems
    assert len(dataset) == 8
    assert dataset.sessions == SESSIONS
    with pytest.raises(InputError, match="on_bad_trial=skip leaves bad trials out") as error:
        open_root(on_bad_trial=BadTrial.error)
    assert str(error.value).startswith(str(dataset.problems[0]))


def test_unreadable_file_is_named(open_root: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"data_train.hdf5 may not be read by this user. Give yourself permission"):
        open_root()


def test_file_that_is_being_written_is_named(root: Path, open_root: Opener) -> None:
    with (root / FILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 does while it writes
        (problem,) = open_root().problems
    assert str(problem) == f"{FILE} is being written by another program. Wait until that program has closed it."


def test_file_whose_writer_was_killed_is_named(root: Path, open_root: Opener) -> None:
    writer = (
        "import h5py, os, sys; f = h5py.File(sys.argv[1], 'w', libver='latest'); f.flush(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", writer, str(root / FILE)], check=False)
    (problem,) = open_root().problems
    assert str(problem).startswith(f"{FILE} was never closed by the program that wrote it. Close it there, or mend it")


def replace(name: str, **content: object) -> TrialFault:
    def fault(group: h5py.Group) -> None:
        del group[name]
        group.create_dataset(name, **content)

    return fault


def set_attribute(name: str, value: object) -> TrialFault:
    return lambda group: group.attrs.__setitem__(name, value)


def drop_attribute(name: str) -> TrialFault:
    return lambda group: group.attrs.__delitem__(name)


def drop(name: str) -> TrialFault:
    return lambda group: group.__delitem__(name)


def resize(frames: int) -> TrialFault:
    def fault(group: h5py.Group) -> None:
        replace("input_features", data=np.zeros((frames, 8), np.float32))(group)
        group.attrs["n_time_steps"] = frames

    return fault


def relabel(*ids: int, seq_len: int | None = None) -> TrialFault:
    def fault(group: h5py.Group) -> None:
        replace("seq_class_ids", data=np.array(ids, np.int32))(group)
        group.attrs["seq_len"] = len(ids) if seq_len is None else seq_len

    return fault


def as_group(name: str) -> TrialFault:
    def fault(group: h5py.Group) -> None:
        del group[name]
        group.create_group(name)

    return fault


def as_data_set(group: h5py.Group) -> None:
    file, name = group.file, group.name
    del file[name]
    file[name] = np.zeros(3)


def as_dangling_link(group: h5py.Group) -> None:
    file, name = group.file, group.name
    del file[name]
    file[name] = h5py.ExternalLink("nowhere.hdf5", "/trial_0000")


def without_sentence(*codes: float) -> TrialFault:
    def fault(group: h5py.Group) -> None:
        del group.attrs["sentence_label"]
        replace("transcription", data=np.array(codes))(group)

    return fault


TRIALS: dict[str, tuple[TrialFault, str]] = {
    "no features": (drop("input_features"), "has no input_features. Write the trial again"),
    "features a group": (as_group("input_features"), "has input_features as a group, needed is a data set"),
    "flat features": (replace("input_features", data=np.zeros(9, np.float32)), "of shape (9,), needed is (frames, ch"),
    "no frames": (resize(0), "has input_features of shape (0, 8), needed is (frames, channels)"),
    "scalar features": (replace("input_features", data=np.float32(1)), "of shape (), needed is (frames, channels)"),
    "null features": (replace("input_features", data=h5py.Empty("f4")), "of shape None, needed is (frames, channels)"),
    "text features": (replace("input_features", data=[b"a", b"b"]), "of type string, needed is a floating-point type"),
    "integer features": (
        replace("input_features", data=np.zeros((9, 8), np.int16)),
        "of type int16, needed is a floating-point type",
    ),
    "endless features": (
        replace("input_features", shape=(10**9, 8), dtype="f4", chunks=(64, 8)),
        "has 1000000000 frames, more than 90000 (30 minutes)",
    ),
    "endless channels": (
        replace("input_features", shape=(44, 10**9), dtype="f4", chunks=(4, 64)),
        "has 1000000000 feature channels, more than 10000",
    ),
    "transcription of floats": (without_sentence(0.5), "has a transcription that is no row of ASCII codes"),
    "other length": (set_attribute("n_time_steps", 99), "has 44 frames of features but n_time_steps=99. Write"),
    "no length": (drop_attribute("n_time_steps"), "has no attribute n_time_steps. Write"),
    "length as text": (set_attribute("n_time_steps", "44"), "has n_time_steps=44, needed is a whole number. Write"),
    "half a frame": (set_attribute("n_time_steps", 43.5), "has n_time_steps=43.5, needed is a whole number"),
    "null length": (set_attribute("n_time_steps", h5py.Empty("i4")), "needed is a whole number"),
    "two lengths": (set_attribute("n_time_steps", [44, 44]), "has n_time_steps=[44 44], needed is a whole number"),
    "other channels": (
        replace("input_features", data=np.zeros((44, 5), np.float32)),
        "has 5 feature channels but the model expects 8. Train with preprocessor.num_channels=5 if",
    ),
    "no session": (drop_attribute("session"), "has no attribute session. Write"),
    "other session": (
        set_attribute("session", "t15.2024.01.01"),
        f"says session=t15.2024.01.01 but lies in the folder {SESSION}. Move",
    ),
    "session a number": (set_attribute("session", 15), "has session=15, needed is text"),
    "no block": (drop_attribute("block_num"), "has no attribute block_num. Write"),
    "trial number as text": (set_attribute("trial_num", "one\ntwo"), "has trial_num=one two, needed is a whole number"),
    "no labels": (drop("seq_class_ids"), "has no labels, and only a test trial can do without. Label"),
    "labels a group": (as_group("seq_class_ids"), "has seq_class_ids as a group, needed is a data set"),
    "labels as floats": (
        replace("seq_class_ids", data=np.ones(500)),
        "has seq_class_ids of type float64 and shape (500,), needed is one row of integers",
    ),
    "labels in a table": (
        replace("seq_class_ids", data=np.ones((2, 9), int)),
        "has seq_class_ids of type int64 and shape (2, 9), needed is one row of integers",
    ),
    "no label count": (drop_attribute("seq_len"), "has no attribute seq_len. Write"),
    "zero labels": (set_attribute("seq_len", 0), "has no labels, and only a test trial can do without. Label"),
    "count beyond padding": (set_attribute("seq_len", 501), "has seq_len=501, needed is 1 to 500, the length of"),
    "negative count": (set_attribute("seq_len", -1), "has seq_len=-1, needed is 1 to 500, the length of"),
    "blank label": (relabel(3, 0, 4), "has the blank (0) as label 1, needed are labels of 1 to 40 (AA to |). Write"),
    "label too large": (relabel(3, 4, 41), "has 41 as label 2, needed are labels of 1 to 40 (AA to |). Write"),
    "negative label": (relabel(-3, 4), "has -3 as label 0, needed are labels of 1 to 40 (AA to |). Write"),
    "padding as label": (
        set_attribute("seq_len", 6),
        "has the blank (0) as label 5, needed are labels of 1 to 40",
    ),
    "too many labels": (
        relabel(*[1, 2] * 11),
        "which may make only 21 encoder frames, but its 22 labels, 0 of them equal to the one before, need 22. Lower",
    ),
    "too many repeats": (
        relabel(*[1] * 12),
        "which may make only 21 encoder frames, but its 12 labels, 11 of them equal to the one before, need 23. Lower",
    ),
    "too short": (resize(3), "has 3 frames, too few for one encoder frame. Lower preprocessor.patch_frames, pre"),
    "sentence not text": (set_attribute("sentence_label", np.bytes_(b"\xff\xfe")), "needed is text. Write"),
    "transcription not ASCII": (without_sentence(72, 300), "has a transcription that is no row of ASCII codes"),
    "trial a data set": (as_data_set, "is not a group that can be read"),
    "trial elsewhere": (as_dangling_link, "has a link that cannot be read ("),
}


def break_trial(root: Path, fault: TrialFault) -> None:
    with h5py.File(root / FILE, "a") as file:
        fault(file[TRIAL])


@pytest.mark.parametrize("fault", TRIALS)
def test_bad_trial_is_named_and_the_others_are_read(root: Path, open_root: Opener, fault: str) -> None:
    break_file, sentence = TRIALS[fault]
    break_trial(root, break_file)
    dataset = open_root()
    (problem,) = dataset.problems
    assert str(problem).startswith(f"{FILE} {TRIAL} ")
    assert sentence in str(problem)
    assert str(problem).isprintable()
    assert str(problem).endswith(".")
    assert len(dataset) == 11
    assert not any(entry.file == FILE and entry.key.group == TRIAL for entry in dataset.entries)
    with pytest.raises(InputError, match=f"^{FILE} {TRIAL} "):
        open_root(on_bad_trial=BadTrial.error)


def spoil(value: float, dtype: str = "f4") -> TrialFault:
    def fault(group: h5py.Group) -> None:
        features = np.zeros((44, 8), dtype)
        features[5, 3] = features[7, 0] = value
        replace("input_features", data=features)(group)

    return fault


def spoil_chunk(group: h5py.Group) -> None:
    features = np.random.default_rng(0).standard_normal((44, 8)).astype(np.float32)
    replace("input_features", data=features, compression="gzip", chunks=(44, 8))(group)
    chunk = group["input_features"].id.get_chunk_info(0)
    path = Path(group.file.filename)
    group.file.flush()
    with path.open("r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(b"\x00" * 40)


FEATURES: dict[str, tuple[TrialFault, str]] = {
    "NaN": (spoil(np.nan), "has 2 NaN or infinite feature values, the first at frame 5, channel 3. Repair"),
    "infinity": (spoil(-np.inf), "has 2 NaN or infinite feature values, the first at frame 5, channel 3. Repair"),
    "float32 overflow": (spoil(1e300, "f8"), "has 2 NaN or infinite feature values, the first at frame 5, channel 3"),
    "damaged chunk": (spoil_chunk, "has input_features that cannot be read ("),
}


@pytest.mark.parametrize("fault", FEATURES)
def test_bad_features_are_named_on_reading(root: Path, open_root: Opener, fault: str) -> None:
    break_file, sentence = FEATURES[fault]
    break_trial(root, break_file)
    dataset = open_root()
    assert dataset.problems == []
    bad = [found for found in map(dataset.__getitem__, range(len(dataset))) if isinstance(found, Problem)]
    assert [(problem.file, problem.trial) for problem in bad] == [(FILE, TRIAL)]
    assert f"{TRIAL} {sentence}" in str(bad[0])
    dataset.on_bad_trial = BadTrial.error
    place = [entry.key.group == TRIAL and entry.file == FILE for entry in dataset.entries].index(True)
    with pytest.raises(InputError, match=f"^{FILE} {TRIAL} "):
        dataset[place]


def test_trial_that_changes_under_the_run_is_named(root: Path, open_root: Opener) -> None:
    dataset = open_root()
    break_trial(root, relabel(1, 2))
    place = [entry.key.group == TRIAL and entry.file == FILE for entry in dataset.entries].index(True)
    assert str(dataset[place]) == (
        f"{FILE} {TRIAL} has changed since it was indexed. Start the run again; if this stays so, `touch` the file."
    )


def test_file_that_vanishes_under_the_run_is_named(root: Path, open_root: Opener) -> None:
    dataset = open_root()
    (root / FILE).unlink()
    assert "cannot be opened (No such file or directory)" in str(dataset[5])


Setting = Callable[[Path, Opener], object]
SETTINGS: dict[str, tuple[Setting, str]] = {
    "root absent": (lambda root, o: o(data_root=f"{root}/x"), "/x does not exist; set data.data_root to the folder"),
    "root a file": (
        lambda root, o: o(data_root=str(root / FILE)),
        "cannot be listed (Not a directory); set data.data_",
    ),
    "root above": (lambda root, o: o(data_root=str(root.parent.parent)), "does, so set data.data_root="),
    "root below": (
        lambda root, o: o(data_root=str(root / SESSION)),
        "it is a session folder itself, so set data.data_",
    ),
    "no sessions": (lambda root, o: o(data_root=str(root / ".." / "cache2")), "does not exist"),
    "max_sessions": (lambda _, o: o(max_sessions=0), "data.max_sessions is 0; set it to 1 or more, or to null"),
    "num_workers": (lambda _, o: o(num_workers=-1), "data.num_workers is -1; set it to 0"),
    "split": (lambda _, o: o("dev"), "split=dev is not a split; choose train, val or test."),
    "split absent": (lambda _, o: o("test", max_sessions=1), "None of the 1 sessions under "),
    "channels": (
        lambda _, o: o(channels=512),
        "have 8 feature channels but the model expects 512; train with preprocessor.num_channels=8, or",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_setting_that_fits_nothing_is_one_sentence(root: Path, open_root: Opener, case: str) -> None:
    call, sentence = SETTINGS[case]
    with pytest.raises(InputError) as error:
        call(root, open_root)
    assert sentence in str(error.value)
    assert str(error.value).endswith(".")


def test_features_turned_round_are_recognised(tmp_path: Path, open_root: Opener) -> None:
    trials = [make_trial(i, frames=60 + i) for i in range(3)]
    for trial in trials:
        trial.features = np.ascontiguousarray(trial.features.T)
    write_session(tmp_path / "turned", SESSION, "train", trials)
    with pytest.raises(InputError, match=r"have 8 frames of 6\d or 2 other numbers of feature channels, so they seem"):
        open_root(data_root=str(tmp_path / "turned"))
    for path in (tmp_path / "turned").rglob("*.hdf5"):
        with h5py.File(path, "a") as file:
            for group in file.values():
                group.attrs["n_time_steps"] = group["input_features"].shape[1]
    with pytest.raises(InputError, match=r"seem to be turned round, for n_time_steps is their number of columns"):
        open_root(data_root=str(tmp_path / "turned"))


def test_many_numbers_of_channels_are_one_sentence(tmp_path: Path, open_root: Opener) -> None:
    trials = [make_trial(i, channels=60 + i) for i in range(3)]
    write_session(tmp_path / "turned", SESSION, "train", trials)
    with pytest.raises(InputError, match=r"have 6\d or 2 other numbers of feature channels but the model expects 512;"):
        open_root(data_root=str(tmp_path / "turned"), channels=512)


def test_empty_root_is_one_sentence(tmp_path: Path, open_root: Opener) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no session folder named <participant>\.YYYY"):
        open_root(data_root=str(tmp_path / "empty"))


def test_no_usable_trial_is_one_sentence(tmp_path: Path, open_root: Opener) -> None:
    write_session(tmp_path / "short", SESSION, "train", [make_trial(i, frames=3) for i in range(3)])
    with pytest.raises(InputError, match=r"has no usable train trial; the first of 3 problems: .* has 3 frames, too"):
        open_root(data_root=str(tmp_path / "short"))


def test_trial_beside_foreign_members_is_read(tmp_path: Path, open_root: Opener) -> None:
    path = write_session(tmp_path / "more", SESSION, "train", [make_trial(0)])
    with h5py.File(path, "a") as file:
        file["notes"] = "by hand"
        write_trial(file, "trial_9", SESSION, FakeTrial())
        file.move("trial_9", "practice_9")
    assert [entry.key.group for entry in open_root(data_root=str(tmp_path / "more")).entries] == ["trial_0000"]
