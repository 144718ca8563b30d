"""Brain-to-Text '24: files made by scipy from the set's own description, and what is computed from them by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.formats.pronounced import sentence_words
from mode_ssm.index import Reason
from mode_ssm.labels import T15
from tests.formats.conftest import read_split, run, said

scipy_io = pytest.importorskip("scipy.io")

SESSION = "t12.2022.04.28"
SENTENCES = ("I am here.", "Don't go, well-known man!", "Zyx is here.", "You go.")
BLOCKS = (3, 3, 4, 4)
FRAMES = (100, 141, 95, 120)
DICTIONARY = """;;; of the test
I  AY1
AM  AE1 M
HERE  HH IY1 R
HERE(1)  HH IH1 R
DON'T  D OW1 N T
GO  G OW1
WELL  W EH1 L
KNOWN  N OW1 N
MAN  M AE1 N
IS  IH1 Z
YOU  Y UW1
"""


def cells(frames: tuple[int, ...], seed: int) -> np.ndarray:
    random, made = np.random.default_rng(seed), np.empty((1, len(frames)), dtype=object)
    for place, length in enumerate(frames):
        made[0, place] = random.normal(7.0, 3.0, (length, 256))
    return made


def contents(**changed: Any) -> dict[str, Any]:
    features = {name: cells(FRAMES, seed) for seed, name in enumerate(("tx1", "tx2", "tx3", "tx4", "spikePow"))}
    width = max(map(len, SENTENCES))
    texts = np.array([text.ljust(width) for text in SENTENCES])
    made = {"sentenceText": texts, "blockIdx": np.array([BLOCKS], float).T, **features} | changed
    return {name: value for name, value in made.items() if value is not None}


def write(root: Path, folder: str = "train", session: str = SESSION, **changed: Any) -> Path:
    path = root / "competitionData" / folder / f"{session}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, contents(**changed), do_compression=True)
    return path


def config_of(root: Path, dictionary: bool = True) -> DataConfig:
    (root / "cmu.txt").write_text(DICTIONARY)
    found = str(root / "cmu.txt") if dictionary else None
    return DataConfig(data_root=str(root), source="t12", dictionary=found)


def test_features_are_the_usual_ones_z_scored_by_block(tmp_path):
    write(tmp_path, sentenceText=np.array([SENTENCES[0]] * 4))
    made = contents()
    dataset = read_split(config_of(tmp_path), "train", 256)
    assert [(entry.key.block, entry.key.number) for entry in dataset.entries] == [(3, 0), (3, 1), (4, 0), (4, 1)]
    for block, places in ((3, (0, 1)), (4, (2, 3))):
        whole = np.concatenate([np.hstack([made[n][0, p][:, :128] for n in ("tx1", "spikePow")]) for p in places])
        expected = (whole - whole.mean(0)) / (whole.std(0) + 1e-8)
        got = np.concatenate([dataset.read(place).features.numpy() for place in places])
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert [entry.key.block for entry in dataset.entries][places[0]] == block


def test_phonemes_are_the_dictionarys_with_a_boundary_after_each_word(tmp_path):
    write(tmp_path)
    dataset = read_split(config_of(tmp_path), "train", 256)
    read = [dataset.read(place) for place in range(3)]
    assert [T15.text(trial.labels.tolist()) for trial in read] == [
        "AY | AE M | HH IY R |",
        "D OW N T | G OW | W EH L | N OW N | M AE N |",
        "Y UW | G OW |",
    ]
    assert [trial.sentence for trial in read] == [SENTENCES[0], SENTENCES[1], SENTENCES[3]]
    (problem,) = dataset.problems
    assert (problem.trial, problem.reason, problem.told.sentence) == ("trial_0002", Reason.unlabelled, SENTENCES[2])
    assert f"says 'zyx', which {tmp_path / 'cmu.txt'} does not have. Add the word to the dictionary" in str(problem)


def test_the_sets_folders_are_the_splits(tmp_path):
    write(tmp_path)
    write(tmp_path, "test", sentenceText=np.array([SENTENCES[0]] * 4))
    write(tmp_path, "competitionHoldOut", sentenceText=np.array([" "] * 4))
    source = open_source(config_of(tmp_path))
    found = {split: source.index(split, [SESSION]).records[SESSION] for split in ("train", "val", "test")}
    assert {split: len(records) for split, records in found.items()} == {"train": 3, "val": 4, "test": 4}
    assert {(record.labels, record.sentence) for record in found["test"]} == {(None, None)}
    assert source.file(SESSION, "val") == f"test/{SESSION}.mat (val)"
    inner = DataConfig(data_root=str(tmp_path / "competitionData"), source="t12")
    assert open_source(inner).sessions == (SESSION,)


def test_without_a_dictionary_nothing_is_labelled_and_it_is_said(tmp_path, capsys):
    write(tmp_path)
    run("inspect", str(tmp_path), "data.source=t12", status=1)
    printed = " ".join(capsys.readouterr().out.split())
    assert "has sentences and no phonemes. Give data.dictionary=FILE" in printed
    assert "has no labels, and only a test trial can do without" in printed


def test_inspect_with_a_dictionary(tmp_path, capsys):
    write(tmp_path)
    config = config_of(tmp_path)
    run("inspect", str(tmp_path), "data.source=t12", f"data.dictionary={config.dictionary}", status=1)
    printed = " ".join(capsys.readouterr().out.split())
    assert "says 'zyx'" in printed
    assert "256" in printed


def no_mat(path: Path) -> None:
    path.write_bytes(b"no mat at all" * 30)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def newer(path: Path) -> None:
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n")


BROKEN = {
    "no .mat": (no_mat, "is no MATLAB file that can be read"),
    "cut short": (cut_short, "is no MATLAB file that can be read"),
    "of version 7.3": (newer, "is a MATLAB file of version 7.3 (HDF5). In MATLAB, save it again with '-v7'."),
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_problem(tmp_path, name):
    damage, sentence = BROKEN[name]
    damage(write(tmp_path))
    problems = open_source(config_of(tmp_path)).index("train", [SESSION]).problems
    assert len(problems) == 1
    assert sentence in said(problems)


ODD = {
    "no tx1": ({"tx1": None}, "has no variable tx1. Download the file again"),
    "no spikePow": ({"spikePow": None}, "has no variable spikePow"),
    "fewer blocks": ({"blockIdx": np.ones((1, 2))}, "has blockIdx of shape (1, 2), needed is one entry for each of 4"),
    "half a block": ({"blockIdx": np.full((4, 1), 0.5)}, "has blockIdx=0.5, needed is a whole number"),
    "fewer sentences": ({"sentenceText": np.array(["a"])}, "has sentenceText of shape (1,), needed is one entry for"),
    "numbers as sentences": ({"sentenceText": np.ones(4)}, "has sentenceText that is no matrix of characters"),
    "other lengths": (
        {"spikePow": cells((100, 141, 95, 119), 4)},
        "of shapes (120, 256) and (119, 256), needed are as many",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_told(tmp_path, name):
    changed, sentence = ODD[name]
    write(tmp_path, **changed)
    assert sentence in said(open_source(config_of(tmp_path)).index("train", [SESSION]).problems)


def test_any_damaged_byte_is_a_problem_or_none(tmp_path):
    path = write(tmp_path)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    config = config_of(tmp_path)
    for _ in range(15):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=6):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        index = open_source(config).index("train", [SESSION])
        assert index.problems or index.records


def test_roots_and_settings_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="holds no train, test or competitionHoldOut with files such as"):
        open_source(config_of(tmp_path))
    with pytest.raises(
        InputError, match=r"data.dictionary is set and data.source=t15 does not read it; t12 or npz or nwb"
    ):
        open_source(DataConfig(data_root=str(tmp_path), dictionary="cmu.txt"))
    write(tmp_path)
    (tmp_path / "odd.txt").write_text("HERE  H IY R\n")
    with pytest.raises(InputError, match=r"odd.txt, line 1: 'H' is none of the 40 labels"):
        open_source(DataConfig(data_root=str(tmp_path), source="t12", dictionary=str(tmp_path / "odd.txt")))


@pytest.mark.parametrize(
    ("sentence", "words"), [("", []), (" -- ", []), ("It\u2019s 5 o'clock.", ["it's", "o'clock"]), ("A-B", ["a", "b"])]
)
def test_words_of_a_sentence(sentence, words):
    assert sentence_words(sentence) == words
