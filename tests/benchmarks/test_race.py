"""The race track: epochs within a budget, and a whole race on made-up recordings, stopped and continued."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.language.lexicon import write_lexicon
from mode_ssm.language.ngram import write_arpa
from mode_ssm.settings import read_settings
from mode_ssm.training import loop
from mode_ssm.training.run_folder import read_metrics
from tests.small import write_data

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import race  # noqa: E402
import race_plan  # noqa: E402
import race_run  # noqa: E402
import race_table  # noqa: E402
import simulator_curve  # noqa: E402

OWN = """[encoder.width=16, encoder.layers=1, encoder.state_size=8, encoder.head_width=8, predictor.width=8,
    training.stages.0.epochs=1, training.stages.1.epochs=1]"""
PEER = """[experiment=masked_transformer, encoder.width=16, encoder.head_width=8, encoder.layers=1]"""


def write_race(folder: Path, budget: str, rates: str = "[0.01]", seeds: str = "[0]") -> Path:
    path = folder / "tiny.yaml"
    path.write_text(
        f"budget: {budget}\nthreads: 1\nseeds: {seeds}\nlearning_rates: {rates}\n"
        "settings: [training.accelerator=cpu, training.batch_size=9, training.checkpoint_every_updates=1]\n"
        "data: {made up: [preprocessor.num_channels=8, data.cache_dir=null]}\n"
        f"systems:\n  own: {OWN}\n  peer: {PEER}\n"
    )
    return path


def read(path: Path, root: Path) -> race_plan.Race:
    return race_plan.read_race(path, {"made up": root}, {})


def start(monkeypatch: pytest.MonkeyPatch, path: Path, root: Path, *more: str) -> None:
    folders = ["--data", f"made up={root}", "--out", str(path.parent / "runs"), "--results", str(path.parent)]
    monkeypatch.setattr(sys, "argv", ["race.py", str(path), *folders, *more])
    race.main()


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=3),
    st.floats(0, 50),
    st.lists(st.floats(0.5, 40), min_size=3, max_size=3),
    st.floats(200, 5000),
)
def test_epochs_fill_the_budget_and_keep_their_proportions(
    shape: list[int], start: float, each: list[float], amount: float
) -> None:
    costs = race_plan.Costs(start, tuple(each[: len(shape)]))
    epochs = race_plan.stage_epochs(shape, costs, race_plan.Budget(amount, "cpu"))
    spent = start + sum(count * cost for count, cost in zip(epochs, costs.epoch, strict=True))
    assert min(epochs) >= 1
    assert amount - costs.epoch[-1] - 1e-9 < spent <= amount
    scale = (amount - start) / sum(count * cost for count, cost in zip(shape, costs.epoch, strict=True))
    shares = [scale * count for count in shape]
    if min(shares) >= 1 and all(abs(share - round(share)) > 1e-6 for share in shares):
        assert epochs[:-1] == [int(share) for share in shares[:-1]]


def test_a_budget_below_one_epoch_a_stage_is_refused() -> None:
    assert race_plan.stage_epochs([12, 24], race_plan.Costs(10, (20, 30)), race_plan.Budget(1010, "cpu")) == [12, 25]
    with pytest.raises(InputError, match=r"A budget of 0\.5 minutes of processor time does not hold one epoch"):
        race_plan.stage_epochs([12, 24], race_plan.Costs(10, (20, 30)), race_plan.Budget(30, "cpu"))


@given(st.integers(1, 8), st.data())
def test_the_search_finds_the_best_learning_rate_and_tries_both_sides_of_it(count: int, data: st.DataObject) -> None:
    rates = tuple(10.0**-n for n in reversed(range(count)))
    best = data.draw(st.integers(0, count - 1))
    made = race_plan.Race("r", race_plan.Budget(1, "cpu"), 1, (0,), rates, (), {"s": ()}, {"d": ()}, {}, {})
    found: dict[float, float] = {}
    while run := made.next_of_grid("d", "s", found):
        assert run.learning_rate not in found
        found[run.learning_rate] = abs(rates.index(run.learning_rate) - best)
    assert min(found, key=lambda rate: found[rate]) == rates[best]
    assert set(rates[max(best - 1, 0) : best + 2]) <= set(found)


@pytest.mark.parametrize("name", ["race_an4", "race_simulated"])
def test_the_races_of_this_project_can_be_read(name: str, tmp_path: Path) -> None:
    data = {"race_an4": "AN4", "race_simulated": "simulated T15"}[name]
    read_back = race_plan.read_race(BENCHMARKS / f"{name}.yaml", {data: tmp_path}, {})
    for system in read_back.systems:
        config = read_settings(TrainConfig, read_back.words(data, system))
        assert config.data.data_root == str(tmp_path)
    assert next(iter(read_back.systems)) == "MODE-SSM"


def test_the_grid_may_be_shorter_and_a_language_model_gives_word_error_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, path = write_data(tmp_path / "data"), write_race(tmp_path, "{updates: 8}", seeds="[0, 1]")
    path.write_text(path.read_text() + "grid_budget: {updates: 4}\n")
    (tmp_path / "lm").mkdir()
    write_lexicon(tmp_path / "lm" / "lexicon.txt", {"words": ((1, 7),), "unseen": ((7,),)})
    write_arpa([["unseen", "words"]], frozenset(["unseen", "words"]), 2, tmp_path / "lm" / "lm.arpa")
    start(monkeypatch, path, root)
    assert "| WER |" not in (tmp_path / "tiny.md").read_text()
    start(monkeypatch, path, root, "--lm", f"made up={tmp_path / 'lm'}")
    results = json.loads((tmp_path / "tiny.json").read_text())
    assert [found["updates"] for found in results["grids"]["made up"]["peer"]] == [4]
    assert [(found["seed"], found["updates"]) for found in results["results"]["made up"]["peer"]] == [(0, 8), (1, 8)]
    assert results["results"]["made up"]["peer"][0]["heads"]["ctc"]["wer"] > 0
    assert "| WER | WER, unseen sentences |" in (tmp_path / "tiny.md").read_text()
    assert "in runs of 4 updates" in (tmp_path / "tiny.md").read_text()
    capsys.readouterr()
    start(monkeypatch, path, root, "--print-commands")
    assert capsys.readouterr().out == ""


def test_the_curve_is_a_race_of_one_run(tmp_path: Path) -> None:
    sizes = {"width": 16, "layers": 1, "batch_size": 4, "warmup": 5, "minutes": 2, "seed": 3, "learning_rate": 0.01}
    curve, run = simulator_curve.the_run(argparse.Namespace(**sizes), tmp_path / "data")
    assert curve.find(str(run)) == run
    assert (curve.budget, curve.grid_budget) == (race_plan.Budget(120, "cpu"), None)
    assert read_settings(TrainConfig, curve.words(*run[:2])).data.data_root == str(tmp_path / "data")


def test_wrong_races_end_with_a_sentence(tmp_path: Path) -> None:
    path = write_race(tmp_path, "{cpu_minutes: 1}")
    for text, roots, sentence in (
        ("3", {}, "must have the keys budget, data"),
        (path.read_text(), {"other": tmp_path}, "has no data 'other'; it has made up"),
        (path.read_text(), {}, "Say where the data are: --data made up=DIR"),
        (path.read_text().replace("cpu_minutes", "days"), {"made up": tmp_path}, "budget must be one of updates"),
        (path.read_text().replace("[0.01]", "fast"), {"made up": tmp_path}, "could not convert"),
        (path.read_text().replace(PEER, "peer"), {"made up": tmp_path}, "systems must give a list of settings"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=sentence):
            race_plan.read_race(path, roots, {})


def test_a_race_goes_on_where_it_was_stopped_and_runs_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, path = write_data(tmp_path / "data"), write_race(tmp_path, "{updates: 4}")
    start(monkeypatch, path, root, "--print-commands")
    names = ["made up/own/lr0.01-seed0", "made up/peer/lr0.01-seed0"]
    assert [line.rsplit("--run ", 1)[1].strip("'") for line in capsys.readouterr().out.splitlines()] == names

    tiny = read(path, root)
    folder = tmp_path / "runs" / names[1]
    stop_in_the_middle(monkeypatch, tiny, folder)
    assert len(read_metrics(folder)) < 4
    start(monkeypatch, path, root)
    assert "Written: tiny.json, tiny.md and tiny.png" in capsys.readouterr().out
    assert "Resuming after update 1" in (folder / "train.log").read_text()
    results = json.loads((tmp_path / "tiny.json").read_text())["results"]["made up"]
    assert {system: list(found[0]["heads"]) for system, found in results.items()} == {
        "own": ["ctc", "rnnt"],
        "peer": ["ctc"],
    }
    assert [found[0]["updates"] for found in results.values()] == [4, 4]
    assert results["own"][0]["epochs"] == [1, 1]
    assert [found[0]["cpu_s"] is None for found in results.values()] == [False, True]  # nobody timed the stopped part
    assert "| own | RNN-T |" in (tmp_path / "tiny.md").read_text()

    monkeypatch.setattr(race_run, "train", lambda *_: pytest.fail("trained again"))
    assert race_run.finish(tiny, tiny.find(names[0]), tmp_path / "runs") == results["own"][0]
    path.write_text(path.read_text().replace("encoder.layers=1]", "encoder.layers=2]"))
    with pytest.raises(
        InputError, match=r"other settings \(encoder\.layers=1, encoder\.layers=2\); give another --out"
    ):
        race_run.finish(read(path, root), tiny.find(names[1]), tmp_path / "runs")


def stop_in_the_middle(monkeypatch: pytest.MonkeyPatch, tiny: race_plan.Race, folder: Path) -> None:
    """Train the peer as the race does, in this process, and stop it after its first update."""

    class StopAtOnce(loop.StopRequest):
        def __enter__(self) -> "StopAtOnce":
            self.requested = True
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def train_here(words: list[str], threads: int, log: Path) -> None:
        loop.train(read_settings(TrainConfig, words))

    with monkeypatch.context() as patch:
        patch.setattr(loop, "StopRequest", StopAtOnce)
        patch.setattr(race_run, "train", train_here)
        with pytest.raises(SystemExit):
            race_run.finish(tiny, tiny.find(str(folder.relative_to(folder.parents[2]))), folder.parents[2])


def test_costs_are_differences_of_short_runs_that_are_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = read(write_race(tmp_path, "{cpu_minutes: 1}"), write_data(tmp_path / "data"))
    started = []

    def train(words: list[str], threads: int, log: Path) -> tuple[race_run.Usage, int]:
        epochs = [int(word[-1]) for word in words if word.startswith("training.stages") and "resume" not in word][-2:]
        started.append(epochs)
        assert not log.parent.exists()
        return race_run.Usage(cpu_s=5.0 + 2 * epochs[0] + 3 * epochs[1], wall_s=0.0, peak_mb=0.0), 0

    monkeypatch.setattr(race_run, "train", train)
    (tmp_path / "runs/made up/own/costs/1").mkdir(parents=True)  # of a timing that was stopped
    for _ in range(2):
        assert race_run.costs(tiny, "made up", "own", tmp_path / "runs") == race_plan.Costs(5.0, (2.0, 3.0))
    assert started == [[0, 0], [1, 0], [1, 1]]
    monkeypatch.setattr(race_run, "train", lambda *_: (race_run.Usage(5.0, 5.0, 5.0), 0))
    (tmp_path / "runs/made up/peer").mkdir(parents=True)
    with pytest.raises(InputError, match="An epoch of peer on made up is too short to be timed"):
        race_run.costs(tiny, "made up", "peer", tmp_path / "runs")


def test_a_run_that_diverges_loses_and_one_that_fails_ends_the_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = read(write_race(tmp_path, "{updates: 4}"), write_data(tmp_path / "data"))
    run, said = tiny.find("made up/peer/lr0.01-seed0"), []

    def train(words: list[str], threads: int, log: Path) -> tuple[race_run.Usage, int]:
        log.write_text(said[-1])
        return race_run.Usage(1.0, 1.0, 1.0), 2

    monkeypatch.setattr(race_run, "train", train)
    said.append("mode-ssm: the disk is full.")
    with pytest.raises(InputError, match="the disk is full"):
        race_run.finish(tiny, run, tmp_path / "runs")
    monkeypatch.setattr(race_run, "train", lambda *_: (race_run.Usage(1.0, 1.0, 1.0), -9))
    with pytest.raises(InputError, match="ended by SIGKILL .*lack of memory"):
        race_run.finish(tiny, run, tmp_path / "runs")
    monkeypatch.setattr(race_run, "train", train)
    said.append("mode-ssm: 10 updates in a row were skipped for NaN/Inf.")
    failed = race_run.finish(tiny, run, tmp_path / "runs")
    assert race_table.best_rate(failed) == float("inf")
    assert "| peer | diverged |" in race_table.table("t", {"d": {"peer": [failed]}}, {"d": {"peer": [failed]}}, "")


def result(system: str, per: float, seed: int, unseen: float | None) -> dict[str, Any]:
    head = {"per": per, "per_unseen_sentences": unseen, "per_seen_sentences": None, "per_new_days": None}
    curve = [{"update": 5, "per_ctc": 0.9}, {"update": 10, "per_ctc": per}]
    return {
        "system": system,
        "seed": seed,
        "learning_rate": 1e-3,
        "epochs": [2],
        "epoch_costs": [40.04],
        "updates": 10,
        "parameters": 1_410_000,
    } | {
        "cpu_s": 90.0,
        "wall_s": 100.0,
        "peak_mb": 612.3,
        "curve": curve,
        "heads": {"ctc": head | {"real_time_factor": 0.01}},
    }


def test_the_table_has_means_spreads_and_a_verdict() -> None:
    rates = {"ours": (0.04, 0.05), "first": (0.10, 0.12), "second": (0.06, 0.06)}
    data = {
        "D": {name: [result(name, per, seed, per) for seed, per in enumerate(both)] for name, both in rates.items()}
    }
    grids = {"D": {name: results[:1] for name, results in data["D"].items()}}
    text = race_table.table("tiny", data, grids, "How.")
    assert "| ours | CTC | 4.50 ± 0.71 | 4.50 ± 0.71 |" in text
    assert "| ours | 1.41 M | 0.001 | 2 | 40.0 | 10 | 2 | 1.50 ± 0.00 | 1.67 ± 0.00 | 612 | CTC 0.0100 |" in text
    assert "ours makes 25.0 % fewer phoneme errors than second" in text
    assert "| seen sentences |" not in text
    race_table.draw(data)


def test_the_verdict_is_by_one_head_over_all_seeds() -> None:
    """Not by the better of two heads in each seed, which favours a system that has two."""
    ours = [result("ours", per, seed, per) for seed, per in enumerate((0.04, 0.06))]
    for trained, per in zip(ours, (0.06, 0.02), strict=True):
        trained["heads"]["rnnt"] = trained["heads"]["ctc"] | {"per": per}
    peer = [result("peer", 0.08, seed, 0.08) for seed in range(2)]
    text = race_table.table("tiny", {"D": {"ours": ours, "peer": peer}}, {"D": {"ours": ours, "peer": peer}}, "How.")
    assert "ours makes 50.0 % fewer phoneme errors than peer" in text
