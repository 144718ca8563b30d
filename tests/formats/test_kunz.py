"""Kunz et al. 2025: files made by scipy from what is published of the set, and what is computed from them by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.formats.kunz import WORDS
from mode_ssm.labels import T15
from tests.formats.conftest import read_split, run, said
from tests.small import SMALL

scipy_io = pytest.importorskip("scipy.io")

SESSION = "t15.2024.04.07"
CUES = ("DO_NOTHING", *WORDS.symbols[1:])
CHANNELS, TRIALS, DELAY, GO = 6, 40, 31, 41  # channels, trials, and bins of each of their periods
DICTIONARY = "BAN  B AE1 N\nCHOICE  CH OY1 S\nDAY  D EY1\nFEEL  F IY1 L\nKITE  K AY1 T\nTHOUGH  DH OW1\nWERE  W ER1\n"


def texts(words: tuple[str, ...] = CUES) -> np.ndarray:
    cells = np.empty((1, len(words)), dtype=object)
    cells[0] = words
    return cells


def contents(seed: int = 0, **changed: Any) -> dict[str, Any]:
    """Five trials of each cue in turn, in two blocks."""
    random, bins = np.random.default_rng(seed), TRIALS * (DELAY + GO)
    first = 1 + np.arange(TRIALS) * (DELAY + GO)
    made = {
        "binnedTX": random.poisson(2.0, (bins, CHANNELS)).astype(np.uint8),
        "spikePow": random.normal(300.0, 40.0, (bins, CHANNELS)).astype(np.float32),
        "blockNum": np.where(np.arange(bins) < bins // 2, 3, 7)[:, None],
        "binSize": 10,
        "delayTrialEpochs": np.stack([first, first + DELAY - 1], axis=1),
        "goTrialEpochs": np.stack([first + DELAY, first + DELAY + GO - 1], axis=1),
        "trialCues": (1 + np.arange(TRIALS) % len(CUES))[:, None],
        "cueList": texts(),
        "chanSetNames": texts(("ventral6v",)),
    } | changed
    return {name: value for name, value in made.items() if value is not None}


def write(root: Path, behaviour: str = "attempted", session: str = SESSION, **changed: Any) -> Path:
    path = root / "isolatedVerbalBehaviors" / f"{session}_{behaviour}_raw.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, contents(**changed), do_compression=True)
    return path


def config_of(root: Path, **more: Any) -> DataConfig:
    return DataConfig(data_root=str(root), source="kunz", **more)


def by_hand(made: dict[str, Any], epochs: str, trial: int, size: int) -> np.ndarray:
    """The frames of a trial, each of so many bins, on the scale of its block: written out bin by bin."""

    def frames(rows: np.ndarray) -> np.ndarray:
        groups = [rows[n : n + size] for n in range(0, len(rows) - size + 1, size)]
        crossings = [made["binnedTX"][group].astype(float).sum(0) for group in groups]
        power = [made["spikePow"][group].astype(float).mean(0) for group in groups]
        return np.hstack([crossings, power])

    first, last = made[epochs][trial]
    block = frames(np.flatnonzero(made["blockNum"][:, 0] == made["blockNum"][first - 1, 0]))
    return (frames(np.arange(first - 1, last)) - block.mean(0)) / (block.std(0) + 1e-8)


@pytest.mark.parametrize(("behaviour", "epochs"), [("attempted", "goTrialEpochs"), ("reading", "delayTrialEpochs")])
@pytest.mark.parametrize(("size", "bins"), [(10, 2), (20, 1)])
def test_features_are_20_ms_of_the_period_on_the_scale_of_the_block(tmp_path, behaviour, epochs, size, bins):
    write(tmp_path, behaviour, binSize=size)
    made, source = contents(), open_source(config_of(tmp_path))
    words = [n for n in range(TRIALS) if n % len(CUES)]  # all but those of doing nothing
    expected = {"train": words[: -len(WORDS) + 1], "val": words[-len(WORDS) + 1 :]}
    for split, trials in expected.items():
        dataset = read_split(config_of(tmp_path), split, 2 * CHANNELS)
        assert (dataset.problems, len(dataset)) == ([], len(trials))
        for place, trial in enumerate(trials):
            read = dataset.read(place)
            np.testing.assert_allclose(read.features.numpy(), by_hand(made, epochs, trial, bins), atol=1e-4)
            assert read.sentence == CUES[trial % len(CUES)]
            assert WORDS.text(read.labels.tolist()) == read.sentence
            assert read.key.block == (3 if trial < TRIALS // 2 else 7)
    assert "has 5 of 40 trials of doing nothing" in said(source.index("train", [SESSION]).notes)


def test_behaviours_are_chosen(tmp_path, capsys):
    for seed, behaviour in enumerate(("attempted", "imagined1stMotor", "listening")):
        write(tmp_path, behaviour, seed=seed)
    counts = {}
    for chosen in (None, ["attempted"], ["listening", "imagined1stMotor"]):
        source = open_source(config_of(tmp_path, behaviours=chosen))
        counts[str(chosen)] = len(source.index("train", [SESSION]).records[SESSION])
        assert source.index("train", [SESSION]).unread == []
    assert [*counts.values()] == [3 * 28, 28, 2 * 28]
    run("inspect", str(tmp_path), "data.source=kunz", "data.behaviours=[mouthed]", status=2)
    assert "data.behaviours names mouthed;" in capsys.readouterr().err
    run("inspect", str(tmp_path), "data.source=kunz", "data.behaviours=[attempted]")
    assert "35 trials (28 train, 7 val, 0 test)" in " ".join(capsys.readouterr().out.split())


def test_a_dictionary_makes_phonemes(tmp_path):
    write(tmp_path, binSize=20)
    (tmp_path / "cmu.txt").write_text(DICTIONARY)
    dataset = read_split(config_of(tmp_path, dictionary=str(tmp_path / "cmu.txt")), "val", 2 * CHANNELS)
    assert T15.text(dataset.read(0).labels.tolist()) == "B AE N |"
    assert dataset.labels == T15


def test_other_tasks_of_the_set_are_named(tmp_path):
    write(tmp_path)
    write(tmp_path, "interleavedVerbalBehaviors")
    (problem,) = open_source(config_of(tmp_path)).index("train", [SESSION]).unread
    assert "interleavedVerbalBehaviors_raw.mat looks like recordings and is not read" in str(problem)


def test_a_run_reads_its_own_behaviours_again(tmp_path, capsys):
    for seed, behaviour in enumerate(("attempted", "mouthed")):
        write(tmp_path, behaviour, seed=seed, binSize=20)
    small = [word for word in SMALL if not word.startswith("preprocessor.num_channels")]
    data = [f"data.data_root={tmp_path}", "data.source=kunz", "data.behaviours=[mouthed]"]
    run("train", *small, f"preprocessor.num_channels={2 * CHANNELS}", *data, f"output_dir={tmp_path / 'run'}")
    assert "28 train and 7 val trials of 1 sessions" in capsys.readouterr().out
    run("evaluate", str(tmp_path / "run"))
    assert "val, ctc, 7 trials" in " ".join(capsys.readouterr().out.split())
    run("evaluate", str(tmp_path / "run"), "data.behaviours=[attempted,mouthed]")
    assert "val, ctc, 14 trials" in " ".join(capsys.readouterr().out.split())


EPOCHS = contents()["goTrialEpochs"]
ODD = {
    "no crossings": ({"binnedTX": None}, "has no variable binnedTX. Download the file again"),
    "no cues": ({"cueList": None}, "has no variable cueList"),
    "a number as a cue": ({"cueList": np.arange(8)}, "has a cueList that is no list of texts"),
    "a cue beyond": ({"trialCues": np.full(TRIALS, 9)}, "has trialCues=9, needed are 1 to 8, as many as cueList"),
    "half a cue": ({"trialCues": np.full(TRIALS, 1.5)}, "has trialCues=1.5, needed is a whole number"),
    "another word": ({"cueList": texts((*CUES[:-1], "zoo"))}, "has the cue 'zoo': 'zoo' is none of the 7 labels"),
    "fewer epochs": ({"goTrialEpochs": EPOCHS[:3]}, "has epochs of shape (3, 2), needed is (40, 2)"),
    "an epoch beyond": ({"goTrialEpochs": EPOCHS + 9}, "has bins 2849 to 2889, needed are some of 1 to 2880"),
    "fewer powers": ({"spikePow": np.ones((9, 6))}, "has 2880 rows of binnedTX and 9 of spikePow, needed are as many"),
    "fewer blocks": ({"blockNum": np.ones(9)}, "has blockNum of shape (1, 9), needed is one entry for each of 2880"),
    "bins of 15 ms": ({"binSize": 15}, "has binSize=15, needed is 20 ms or a whole part of it"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_told(tmp_path, name):
    changed, sentence = ODD[name]
    write(tmp_path, **changed)
    problems = [
        p for split in ("train", "val") for p in open_source(config_of(tmp_path)).index(split, [SESSION]).problems
    ]
    assert sentence in said(problems)


def test_any_damaged_byte_is_a_problem_or_none(tmp_path):
    path = write(tmp_path)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(15):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=6):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        index = open_source(config_of(tmp_path)).index("train", [SESSION])
        assert index.problems or index.records


def test_roots_and_settings_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="holds no files such as t12.2023.08.15_attempted_raw.mat, nor do its folders"):
        open_source(config_of(tmp_path))
    with pytest.raises(InputError, match=r"data.behaviours is set and data.source=t15 does not read it; kunz does\."):
        open_source(DataConfig(data_root=str(tmp_path), behaviours=["attempted"]))
