"""Which trials are planned, from the presets and from tables of labels."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.settings import read_settings
from mode_ssm.simulation.labels import read_labels
from mode_ssm.simulation.plan import BLOCK_TRIALS, plan_sessions
from mode_ssm.simulation.presets import PRESETS

T15_LABELS = Path("../shared/t15_labels/t15_labels.csv.gz")
HEADER = "session,split,block,trial,phonemes,sentence\n"
GOOD = 't15.2023.08.11,train,2,0,B R IH NG | IH T |,"Bring it."\n'


def _splits(config: SimulateConfig) -> Counter[str]:
    return Counter(trial.split for session in plan_sessions(config)[1] for trial in session.trials)


@pytest.mark.parametrize("labels", [None, T15_LABELS])
def test_t15_has_its_sessions_and_trials(labels: Path | None) -> None:
    if labels and not labels.exists():
        pytest.skip("the T15 labels are not beside the checkout")
    config = SimulateConfig(out="", preset="t15", labels=labels and str(labels))
    _, sessions = plan_sessions(config)
    assert _splits(config) == {"train": 8072, "val": 1426, "test": 1450}
    assert len(sessions) == 45
    only_training = [s.name for s in sessions if {trial.split for trial in s.trials} == {"train"}]
    assert only_training == [f"t15.{date}" for date in ("2023.08.11", "2024.03.03", "2024.04.25", "2024.04.28")]
    assert sum(any(t.split == "test" for t in s.trials) for s in sessions) == 41


@pytest.mark.parametrize("preset", PRESETS)
def test_blocks_are_numbered_from_0_within_a_split_and_hold_at_most_50_trials(preset: str) -> None:
    for session in plan_sessions(SimulateConfig(out="", preset=preset))[1]:
        blocks = Counter(trial.block for trial in session.trials)
        assert sorted(blocks) == list(range(1, len(blocks) + 1))
        assert max(blocks.values()) <= BLOCK_TRIALS
        places = [(trial.split, trial.block, trial.number) for trial in session.trials]
        assert len(set(places)) == len(places)
        train = {trial.block for trial in session.trials if trial.split == "train"}
        assert not train & {trial.block for trial in session.trials if trial.split != "train"}
        for trial in session.trials:
            assert trial.number < sum((t.split, t.block) == (trial.split, trial.block) for t in session.trials)


def test_the_first_sessions_do_not_depend_on_how_many_follow() -> None:
    few = plan_sessions(SimulateConfig(out="", preset="small", max_sessions=2))[1]
    assert few == plan_sessions(SimulateConfig(out="", preset="small"))[1][:2]
    assert few != plan_sessions(SimulateConfig(out="", preset="small", max_sessions=2, seed=1))[1]


def test_given_labels_are_kept_and_test_trials_join_the_blocks_of_validation(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.gz"
    rows = [
        f"t15.2030.01.02,val,{block},{n},HH AY |,Hi.\n" for block, trials in ((4, 3), (7, 1)) for n in range(trials)
    ]
    with gzip.open(path, "wt") as file:
        file.write(HEADER + GOOD + "".join(rows))
    _, (first, second) = plan_sessions(SimulateConfig(out="", preset="small", labels=str(path)))
    assert (first.name, second.name) == ("t15.2023.08.11", "t15.2030.01.02")
    assert first.trials[0].labels == tuple(T15.ids("B R IH NG | IH T |"))
    assert first.trials[0].sentence == "Bring it."
    tests = [(trial.block, trial.number) for trial in second.trials if trial.split == "test"]
    assert tests == [(4, 0), (4, 1), (4, 2), (7, 0)]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("t15.2023.08.11,train,2,0,B OX |,Box.", "'OX' is none of the 40 labels"),
        ("t15.2023.08.11,train,2,0,B AA K S,Box.", "do not end with |"),
        ("t15.2023.08.11,train,2,0,,Box.", "do not end with |"),
        ("t15.2023.08.11,training,2,0,B AA |,Bah.", "'training' is not a split"),
        ("t15.2023.08.11,train,two,0,B AA |,Bah.", "'two' is not a number"),
        ("t15.2023.08.11,train,-2,0,B AA |,Bah.", "'-2' is not a number"),
        ("yesterday,train,2,0,B AA |,Bah.", "'yesterday' is not a session"),
        ("../t15.2023.08.11,train,2,0,B AA |,Bah.", "is not a session"),
        ("t15.2023.13.11,train,2,0,B AA |,Bah.", "no date of the calendar"),
        ("t15.2023.08.11,train,2", "too few values"),
        (f"t15.2023.08.11,train,2,0,{'AA ' * 500}|,Aah.", "longer than the 500 values"),
        (GOOD.strip(), "block 2 trial 0 twice"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, words: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(HEADER + GOOD + row + "\n")
    with pytest.raises(InputError, match="line 3") as caught:
        read_labels(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"session,split\n", "has no column block, trial, phonemes, sentence"),
        (b"", "has no column"),
        (HEADER.encode(), "holds no trials"),
        (HEADER.encode() + b"\xff\xfe\n", "cannot be read"),
        (HEADER.encode() + b'"t15', "cannot be read"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"labels.csv") as caught:
        read_labels(path)
    assert words in str(caught.value)


def test_a_broken_or_missing_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.gz"
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(path)
    path.write_bytes(gzip.compress((HEADER + GOOD).encode())[:-10])
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(path)
    path.write_bytes(b"not compressed")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(path)


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(InputError, match="There is no preset 'big'; set preset to one of demo, small, t15"):
        plan_sessions(SimulateConfig(out="", preset="big"))


def test_sessions_are_chosen_by_their_number_in_date_order(tmp_path: Path) -> None:
    every = plan_sessions(SimulateConfig(out="", preset="small"))[1]
    chosen = read_settings(SimulateConfig, ["out=x", "preset=small", "sessions=[8,2,2]"])
    assert plan_sessions(chosen)[1] == [every[1], every[7]]
    chosen.max_sessions = 1
    assert plan_sessions(chosen)[1] == [every[1]]
    path = tmp_path / "labels.csv"
    later = GOOD.replace("08.11", "08.13")
    path.write_text(HEADER + later + GOOD)
    labelled = SimulateConfig(out="", labels=str(path), sessions=[2])
    assert [session.name for session in plan_sessions(labelled)[1]] == ["t15.2023.08.13"]
    for number in (0, 9):
        with pytest.raises(InputError, match=f"sessions names number {number}; they are counted from 1 to 8 in date"):
            plan_sessions(SimulateConfig(out="", preset="small", sessions=[1, number]))
