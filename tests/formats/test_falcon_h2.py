"""FALCON's H2: files of its schema, held against falcon-challenge's own loader where that is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.formats.falcon_h2 import CHARACTERS
from tests.formats.conftest import read_split, run, said

pytest.importorskip("pynwb")

from pynwb import TimeSeries

from tests.formats.nwb_made import write_nwb

SESSION, NAME = "t5.2022.05.18", "sub-T5-held-in-calib/sub-T5-held-in-calib_ses-20220518.nwb"
CUES = ("i>am>here~", "don't>go,>man~", "you?")
FRAMES, BLOCKS, CHANNELS = (90, 120, 61), (2, 2, 5), 192
GAP_S = 10.0


def contents(seed: int = 0, **changed: Any) -> dict[str, Any]:
    """The arrays of a file as the set's own preparation lays them out: ten seconds between trials."""
    random = np.random.default_rng(seed)
    times, start = [], 0.0
    for frames in FRAMES:
        times.append((start + np.arange(frames)) * 0.02)
        start += frames + GAP_S / 0.02
    made = {
        "spikes": random.poisson(0.5, (sum(FRAMES), CHANNELS)).astype(np.uint8),
        "times": np.concatenate(times),
        "mask": np.ones(sum(FRAMES), dtype=bool),
        "trials": [
            {"start_time": t[0], "stop_time": t[-1], "cue": cue, "block_num": block}
            for t, cue, block in zip(times, CUES, BLOCKS, strict=True)
        ],
    }
    return made | changed


def write(root: Path, name: str = NAME, leave: str = "", **changed: Any) -> Path:
    made = contents(**changed)
    series = [
        TimeSeries(name=name, data=made[key], timestamps=made["times"][: len(made[key])], unit="n/a")
        for name, key in (("binned_spikes", "spikes"), ("eval_mask", "mask"))
        if name != leave
    ]
    trials = [{key: value for key, value in trial.items() if key != leave} for trial in made["trials"]]
    return write_nwb(root / name, series, trials)


def config_of(root: Path, **more: Any) -> DataConfig:
    return DataConfig(data_root=str(root), source="falcon_h2", **more)


def test_a_trial_is_the_bins_between_its_times_with_the_characters_of_its_cue(tmp_path):
    write(tmp_path)
    made, dataset = contents(), read_split(config_of(tmp_path), "train", CHANNELS)
    assert (dataset.sessions, dataset.problems) == ((SESSION,), [])
    start = 0
    for place, frames in enumerate(FRAMES):
        trial = dataset.read(place)
        np.testing.assert_array_equal(trial.features.numpy(), made["spikes"][start : start + frames])
        assert [CHARACTERS.symbols[label] for label in trial.labels.tolist()] == [*CUES[place]]
        start += frames
    assert [dataset.read(n).sentence for n in range(3)] == ["i am here.", "don't go, man.", "you?"]
    assert [(entry.key.block, entry.key.number) for entry in dataset.entries] == [(2, 0), (2, 1), (5, 0)]
    assert CHARACTERS.words(CHARACTERS.ids([*"a>b"])) == [(1,), (2,)]


def test_the_challenges_own_loader_reads_the_same(tmp_path):
    loaders = pytest.importorskip("falcon_challenge.dataloaders", reason="falcon-challenge is not installed")
    from falcon_challenge.config import FalconTask

    mask = np.ones(sum(FRAMES), dtype=bool)
    mask[30:40] = mask[-3:-1] = False
    path = write(tmp_path, mask=mask)
    spikes, targets, ends, used = loaders.load_nwb(path, FalconTask.h2)
    dataset = read_split(config_of(tmp_path), "train", CHANNELS)
    start = 0
    for place, end in enumerate(np.flatnonzero(ends) + 1):
        trial = dataset.read(place)
        np.testing.assert_array_equal(trial.features.numpy(), spikes[start:end][used[start:end]])
        assert [ord(CHARACTERS.symbols[label]) for label in trial.labels.tolist()] == targets[place].tolist()
        start = end
    assert (len(dataset), start) == (len(targets), len(spikes))


def test_bins_outside_the_mask_are_left_out_and_told(tmp_path):
    mask = np.ones(sum(FRAMES), dtype=bool)
    mask[:10] = mask[100:105] = False
    write(tmp_path, mask=mask)
    index = open_source(config_of(tmp_path)).index("train", [SESSION])
    assert [record.frames for record in index.records[SESSION]] == [80, 115, 61]
    assert "has 15 of 271 bins outside its eval_mask" in said(index.notes)


def test_the_challenges_parts_are_the_splits(tmp_path, capsys):
    write(tmp_path)
    write(tmp_path, "held_out_calib/sub-T5-held-out-calib_ses-20230417.nwb", seed=1)
    write(tmp_path, "T5_2022.05.18_held_in_eval.nwb", seed=2)
    write(tmp_path, "minival/sub-T5-held-in-minival_ses-20220518.nwb", seed=3)
    source = open_source(config_of(tmp_path))
    assert source.sessions == (SESSION, "t5.2023.04.17")
    for split, sessions in (("train", [SESSION]), ("val", ["t5.2023.04.17"]), ("test", [SESSION])):
        assert [*source.index(split, source.sessions).records] == sessions
    assert source.index("train", source.sessions).absent == []  # what is held out has none by design
    assert source.index("val", source.sessions).absent == [SESSION]
    run("inspect", str(tmp_path), "data.source=falcon_h2")
    printed = " ".join(capsys.readouterr().out.split())
    assert "9 trials (3 train, 3 val, 3 test)" in printed
    assert "minival/sub-T5-held-in-minival_ses-20220518.nwb looks like recordings and is not read. Read are" in printed


def test_a_cue_with_another_character_is_told_and_labels_may_have_it(tmp_path):
    trials = contents()["trials"]
    trials[1]["cue"] = "no>7~"
    write(tmp_path, trials=trials)
    index = open_source(config_of(tmp_path)).index("train", [SESSION])
    ((problem,), notes) = index.problems, index.notes
    assert notes == []  # it asks for no dictionary, which could not help
    assert "has the cue 'no>7~': '7' is none of the 31 labels" in str(problem)
    assert "Give a set of labels that has it: data.labels=FILE.yaml" in str(problem)
    assert problem.told.sentence == "no 7."
    symbols = ", ".join(f'"{symbol}"' for symbol in (*CHARACTERS.symbols, "7"))
    (tmp_path / "labels.yaml").write_text(f'symbols: [{symbols}]\nboundary: ">"\n')
    assert open_source(config_of(tmp_path)).index("train", [SESSION]).problems == []


ODD = {
    "no spikes": ({"leave": "binned_spikes"}, "has no series binned_spikes. Download the file again"),
    "no mask": ({"leave": "eval_mask"}, "has no series eval_mask"),
    "no cue": ({"leave": "cue"}, "has no column cue in its trials table"),
    "no trials": ({"trials": []}, "has no trials table with start_time"),
    "a short mask": ({"mask": np.ones(9, bool)}, "eval_mask of shapes (271, 192), (271,) and (9,), needed are as many"),
    "a column as mask": ({"mask": np.ones((271, 1))}, "of shapes (271, 192), (271,) and (271, 1), needed are as many"),
    "one row": ({"spikes": np.zeros(271)}, "has a series of type float64 and shape (271,), needed is (frames,"),
    "bins of 10 ms": ({"times": np.arange(271) * 0.01}, "has a bin every 10 ms, needed are bins of 20 ms"),
    "no bins in a trial": ({"times": 1e6 + np.arange(271) * 0.02}, "has binned_spikes of shape (0, 192), needed is"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_told(tmp_path, name):
    changed, sentence = ODD[name]
    write(tmp_path, **changed)
    assert sentence in said(open_source(config_of(tmp_path)).index("train", [SESSION]).problems)


@pytest.mark.parametrize("content", [b"no nwb", b"\x89HDF\r\n\x1a\n" + bytes(600), b""])
def test_a_broken_file_is_one_problem(tmp_path, content):
    write(tmp_path).write_bytes(content)
    (problem,) = open_source(config_of(tmp_path)).index("train", [SESSION]).problems
    assert "is no NWB file that can be read" in str(problem) or "is empty (0 bytes)" in str(problem)


def test_roots_and_settings_that_do_not_fit(tmp_path):
    with pytest.raises(InputError, match="holds no files such as sub-T5-held-in-calib_ses-20220518.nwb, nor do its"):
        open_source(config_of(tmp_path))
    with pytest.raises(InputError, match="data.dictionary is set and data.source=falcon_h2 does not read it"):
        open_source(config_of(tmp_path, dictionary="cmu.txt"))
