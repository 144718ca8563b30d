"""A folder of .npz: built here with NumPy from the schema, and read back; what is wrong with one, in a sentence."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.batch import TrialKey
from mode_ssm.config import DataConfig
from mode_ssm.data import open_source, read_batches, sequential_batches
from mode_ssm.formats.npz import NpzSource
from mode_ssm.formats.npz_members import map_member, read_member
from mode_ssm.index import Told
from tests.data.files import make_trial
from tests.formats.conftest import read_split, run, said
from tests.small import SMALL

SESSION = "m1.2016.03.25"
FRAMES = (40, 44, 48, 52, 60)


def arrays(seed: int = 0, **changed: Any) -> dict[str, Any]:
    """Five trials, three of them train and two val, with 8 channels and one to five labels."""
    trials = [make_trial(10 * seed + n, frames, labels=n + 1) for n, frames in enumerate(FRAMES)]
    labels = [trial.labels or () for trial in trials]
    made = {
        "features": np.concatenate([trial.features for trial in trials]),
        "offsets": np.cumsum([0, *FRAMES]),
        "labels": np.concatenate([np.array(ids) for ids in labels]),
        "label_offsets": np.cumsum([0, *map(len, labels)]),
        "sentences": np.array([f"Sentence {seed} {n}." for n in range(5)]),
        "block": np.array([1, 1, 2, 2, 3]),
        "number": np.array([0, 1, 0, 1, 0]),
        "split": np.array(["train", "train", "val", "train", "val"]),
    } | changed
    return {name: values for name, values in made.items() if values is not None}


def write(path: Path, save: Callable[..., None] = np.savez, **values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, **values)
    return path


def config_of(root: Path) -> DataConfig:
    return DataConfig(data_root=str(root), source="npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_was_written_is_read(tmp_path, save):
    made = arrays()
    write(tmp_path / f"{SESSION}.npz", save, **made)
    dataset = read_split(config_of(tmp_path), "train", 8)
    assert (dataset.sessions, dataset.problems, dataset.unread) == ((SESSION,), [], ())
    places = [0, 1, 3]
    assert [entry.key for entry in dataset.entries] == [
        TrialKey(SESSION, "train", f"trial_{n:04d}", int(made["block"][place]), int(made["number"][place]))
        for n, place in enumerate(places)
    ]
    for n, place in enumerate(places):
        trial = dataset.read(n)
        start, end = made["offsets"][place : place + 2]
        np.testing.assert_array_equal(trial.features.numpy(), made["features"][start:end])
        start, end = made["label_offsets"][place : place + 2]
        assert trial.labels.tolist() == made["labels"][start:end].tolist()
        assert trial.sentence == made["sentences"][place]
    assert len(read_split(config_of(tmp_path), "val", 8)) == 2
    assert open_source(config_of(tmp_path)).index("test", [SESSION]).absent == [SESSION]


def test_a_file_a_split_without_what_may_be_absent(tmp_path):
    write(tmp_path / SESSION / "test.npz", features=np.ones((40, 3), np.uint8), offsets=[0, 20, 40])
    dataset = read_split(config_of(tmp_path), "test", 3)
    trial = dataset.read(1)
    assert (trial.labels, trial.sentence, trial.features.dtype) == (None, None, dataset.read(0).features.dtype)
    assert trial.features.numpy().tolist() == np.ones((20, 3)).tolist()
    assert [(entry.key.block, entry.key.number) for entry in dataset.entries] == [(0, 0), (0, 1)]


def test_no_split_is_train(tmp_path):
    write(tmp_path / f"{SESSION}.npz", **arrays(split=None))
    index = [open_source(config_of(tmp_path)).index(split, [SESSION]) for split in ("train", "val", "test")]
    assert [len(found.records.get(SESSION, ())) for found in index] == [5, 0, 0]


def test_stored_features_stay_in_the_file_and_packed_ones_are_held(tmp_path):
    values = np.arange(12.0).reshape(4, 3)
    stored = write(tmp_path / "a.npz", features=values, turned=np.asfortranarray(values))
    packed = write(tmp_path / "b.npz", np.savez_compressed, features=values)
    assert isinstance(map_member(stored, "features"), np.memmap)
    assert not isinstance(map_member(packed, "features"), np.memmap)
    for path, name in ((stored, "features"), (stored, "turned"), (packed, "features")):
        np.testing.assert_array_equal(map_member(path, name), values)
        np.testing.assert_array_equal(read_member(path, name), values)


def test_a_copy_in_reader_processes_reads_the_same(tmp_path):
    write(tmp_path / f"{SESSION}.npz", **arrays())
    dataset = read_split(config_of(tmp_path), "train", 8)
    first = dataset.read(0).features
    assert len(pickle.dumps(dataset)) < 10_000
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.read(0).features.equal(first)
    index = {SESSION: 0}
    plan = sequential_batches(dataset.entries, 2)
    both = [
        list(read_batches(dataset, plan, session_index=index, num_workers=workers, on_problem=print))
        for workers in (0, 1)
    ]
    for here, there in zip(*both, strict=True):
        assert here.features.equal(there.features)
        assert here.labels.equal(there.labels)


def test_a_file_that_changes_is_told(tmp_path):
    path = write(tmp_path / f"{SESSION}.npz", **arrays())
    dataset = read_split(config_of(tmp_path), "train", 8)
    write(path, **arrays(seed=3, sentences=None))
    changed = "trial_0000 has changed since it was indexed. Start the run again."
    assert str(dataset.read(0)) == f"{SESSION}.npz (train) {changed}"


BAD_TRIALS = {
    "a label beyond the set": ({"labels": np.full(15, 41)}, "has 41 as label 0, needed are labels of 1 to 40"),
    "the blank": ({"labels": np.arange(15) % 3}, "has the blank (0) as label"),
    "no frame": ({"offsets": [0, 0, 84, 132, 184, 244]}, "has features of shape (0, 8), needed is (frames, channels)"),
}


@pytest.mark.parametrize("name", BAD_TRIALS)
def test_a_bad_trial_is_left_out_and_tells_what_it_can(tmp_path, name):
    changed, sentence = BAD_TRIALS[name]
    write(tmp_path / f"{SESSION}.npz", **arrays(**changed, split=None, sentences=np.array([" Said "] * 5)))
    index = open_source(config_of(tmp_path)).index("train", [SESSION])
    assert sentence in said(index.problems)
    assert "Write the trial again in the npz schema, or remove it from the file." in said(index.problems)
    problem = index.problems[0]
    assert isinstance(problem.told, Told)
    block, number = {"trial_0000": (1, 0), "trial_0002": (2, 0)}[problem.trial or ""]
    assert problem.told[:3] == (SESSION, block, number)
    assert problem.told.sentence == "Said"
    assert len(index.problems) + len(index.records[SESSION]) == 5


objects = np.array([np.zeros(3), "x"], dtype=object)
BAD_FILES = {
    "pickled features": ({"features": objects}, "has features as an array of Python objects. Pickled arrays are not"),
    "pickled sentences": ({"sentences": np.array(["a"] * 5, dtype=object)}, "because loading one can run code; save"),
    "no features": ({"features": None}, "has no features, needed is an array (frames of all trials, channels). Write"),
    "no offsets": ({"offsets": None}, "has no offsets, needed is one row of whole numbers"),
    "one row of features": ({"features": np.zeros(244)}, "has features of type float64 and shape (244,), needed is"),
    "complex features": ({"features": np.zeros((244, 8), complex)}, "has features of type complex128"),
    "offsets beyond": ({"offsets": [0, 40, 84, 132, 184, 300]}, "needed is rising numbers from 0 to 244, one more"),
    "offsets that fall": ({"offsets": [0, 84, 40, 132, 184, 244]}, "needed is rising numbers from 0 to 244"),
    "offsets of floats": ({"offsets": np.arange(6.0)}, "has offsets of type float64 and shape (6,), needed is one row"),
    "labels without bounds": ({"label_offsets": None}, "has no label_offsets, needed is one row of whole numbers"),
    "bounds without labels": ({"labels": None}, "has no labels, needed is one row of whole numbers"),
    "bounds of fewer trials": ({"label_offsets": [0, 15]}, "has 2 label_offsets, needed is 6, one more than"),
    "too few sentences": ({"sentences": np.array(["a"])}, "has sentences of type <U1 and shape (1,), needed is a"),
    "numbers in place of texts": ({"split": np.zeros(5)}, "needed is a row of 5 texts (dtype str), one a trial"),
    "another split": ({"split": np.array(["dev"] * 5)}, "has split=dev, needed is train, val or test"),
    "blocks of floats": ({"block": np.zeros(5)}, "has block of type float64 and shape (5,), needed is a row of 5"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_problem(tmp_path, name, capsys):
    changed, sentence = BAD_FILES[name]
    write(tmp_path / f"{SESSION}.npz", **arrays(**changed))
    run("inspect", str(tmp_path), "data.source=npz", status=1)
    assert sentence in " ".join(capsys.readouterr().out.split())


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def no_zip(path: Path) -> None:
    path.write_bytes(b"features")


def no_array(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("features.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False")


def huge(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999), }".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("features.npy", b"\x93NUMPY\x01\x00v\x00" + header)


@pytest.mark.parametrize("damage", [cut_short, no_zip, no_array, huge, lambda path: path.write_bytes(b"")])
def test_a_damaged_file_is_one_problem(tmp_path, damage):
    damage(write(tmp_path / f"{SESSION}.npz", **arrays()))
    index = open_source(config_of(tmp_path)).index("train", [SESSION])
    assert (len(index.problems), index.problems[0].file, index.records) == (1, f"{SESSION}.npz", {})
    assert "Copy or download the file again, or move it out of the session folder." in said(index.problems)


def test_any_damaged_byte_is_a_problem_or_none(tmp_path):
    whole = write(tmp_path / f"{SESSION}.npz", np.savez_compressed, **arrays()).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=4):
            damaged[place] = random.integers(256)
        (tmp_path / f"{SESSION}.npz").write_bytes(damaged)
        index = open_source(config_of(tmp_path)).index("train", [SESSION])
        assert index.problems or index.records or index.absent


def test_a_root_without_any_is_one_sentence(tmp_path, capsys):
    run("inspect", str(tmp_path), "data.source=npz", status=2)
    assert "holds no <participant>.YYYY.MM.DD.npz, such as m1.2016.03.25.npz" in capsys.readouterr().err
    run("inspect", str(tmp_path / "x"), "data.source=npz", status=2)
    assert "does not exist; set data.data_root to the folder that holds the recordings." in capsys.readouterr().err


def test_other_files_and_keys_are_named(tmp_path, capsys):
    write(tmp_path / f"{SESSION}.npz", **arrays(mode=np.zeros(5)))
    write(tmp_path / "m1_later.npz", **arrays())
    write(tmp_path / SESSION / "extra.npz", **arrays())
    run("inspect", str(tmp_path), "data.source=npz")
    printed = " ".join(capsys.readouterr().out.split())
    assert f"{SESSION}.npz holds mode. Read are features, offsets," in printed
    assert "m1_later.npz looks like recordings and is not read. Read are <participant>.YYYY.MM.DD.npz" in printed
    assert f"{SESSION}/extra.npz looks like recordings" in printed


def test_a_run_reads_its_own_format_again(tmp_path, capsys):
    for n, day in enumerate(("m1.2016.03.25", "m1.2016.03.26")):
        write(tmp_path / "data" / f"{day}.npz", **arrays(n, features=arrays(n)["features"].repeat(2, 0),
              offsets=2 * arrays(n)["offsets"]))  # fmt: skip
    data = [f"data.data_root={tmp_path / 'data'}", "data.source=npz"]
    run("train", *SMALL, *data, f"output_dir={tmp_path / 'run'}")
    run("evaluate", str(tmp_path / "run"))
    assert "4" in capsys.readouterr().out
    run("decode", str(tmp_path / "run"), "lm=nowhere", status=2)
    assert NpzSource(config_of(tmp_path / "data")).sessions == ("m1.2016.03.25", "m1.2016.03.26")
