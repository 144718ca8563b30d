"""The benchmark of several participants: what it keeps of a root, and its tables against hand-made figures."""

import importlib
import json
from pathlib import Path

import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from tests.data.files import make_trial, write_session

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("participants")


@pytest.fixture
def tables(benchmark):
    return importlib.import_module("participants_table")


def test_the_first_train_trials_and_all_of_val_are_kept_as_they_are(benchmark, tmp_path):
    for day, date in enumerate(("2023.08.11", "2023.08.13")):
        for split, count in (("train", 3), ("val", 2)):
            trials = [make_trial(100 * day + n, 40 + n, 5, labels=4 + n) for n in range(count)]
            write_session(tmp_path / "root", f"p6.{date}", split, trials)
    benchmark.keep(tmp_path / "root", tmp_path / "p6", 4)
    assert benchmark.sentences(tmp_path / "p6") == {"sentence 0", "sentence 1", "sentence 2", "sentence 100"}
    before = open_source(DataConfig(data_root=str(tmp_path / "root")))
    for split, counts in (("train", [3, 1]), ("val", [2, 2])):
        source = open_source(DataConfig(data_root=str(tmp_path / "p6" / split), source="npz"))
        _, entries, problems = benchmark.list_trials(source, "", split)
        _, there, _ = benchmark.list_trials(before, "", split)
        assert problems == []
        assert [sum(e.key.session == session for e in entries) for session in source.sessions] == counts
        for old, new in zip(there, entries, strict=False):
            assert (old.key.session, old.key.block, old.key.number) == (new.key.session, new.key.block, new.key.number)
            assert old.record.sentence == new.record.sentence
            for read in ("read_features", "read_labels"):
                values = [getattr(s, read)(e.key, e.record) for s, e in ((before, old), (source, new))]
                assert values[0].equal(values[1])


def test_tables_are_of_what_is_there(tables, tmp_path):
    def one(network, per, *, seed=0, passes=12, whom="p6"):
        return tables.Trained(network, whom, passes, seed, per, 96, per * 2, 10, 7.0, ["a=b"], "abc")

    all_weights = tables.TRANSFERS[0].name
    found = [
        one(tables.TOGETHER, 5.0, whom="p1"),
        one(tables.TOGETHER, 9.0, whom="p2"),
        *(one(tables.SCRATCH.name, per, seed=seed) for seed, per in ((0, 20.0), (1, 10.0))),
        *(one(all_weights, per, seed=seed) for seed, per in ((0, 5.0), (1, 4.0))),
        one(tables.SCRATCH.name, 8.0, passes=108),
        one(tables.ALONE, 6.0, whom="p1"),
        one(tables.ALONE, 8.0, whom="p2"),
    ]
    result = tmp_path / "found.md"
    tables.write(found, result, tables.Lengths(12, 36, 108))
    text = result.read_text(encoding="utf-8")
    assert "participants.py WORK --passes 12 --longer 36 --longest 108" in text
    assert "| from scratch | 12 | 15.0 ± 7.1 (20.0, 10.0) | 30.0 ± 14.1 (40.0, 20.0) | 7 |" in text
    assert f"| {all_weights} | 12 | 4.5 ± 0.7 (5.0, 4.0) |" in text
    assert "| after 12 passes each | 32 ± 11 (25, 40) | 32 ± 11 (25, 40) |" in text
    assert "| of whatever length | 51 ± 16 (62, 40) |" in text  # 5 of 8, 4 of 10
    assert "| 0 | p2 | 8.0 | 9.0 |" in text
    assert "Together they are not worse than alone in 1 of 2." in text
    assert json.loads(result.with_suffix(".json").read_text())[0]["settings"] == ["a=b"]


def test_what_matters_most_is_run_first(benchmark, tables):
    planned = benchmark.plan(Path("seed0"), tables.Lengths(12, 36, 108), [Path(f"p{n}") for n in range(1, 7)])
    assert [each.folder.name for each in planned[:3]] == [
        "together-12",
        "sixth-from-scratch-12",
        f"sixth-{tables.TRANSFERS[0].folder}-12",
    ]
    assert len({each.folder for each in planned}) == len(planned) == 1 + 4 + 5 + 1 + 2
    assert planned[2].words == ["init=seed0/together-12"]
    assert [each.passes for each in planned if each.network == tables.SCRATCH.name] == [12, 36, 108]
