"""NWB: spike times as counts, columns of other names, phonemes of sentences, and files that are damaged."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.checks import MAX_FRAMES
from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from mode_ssm.formats import nwb_file
from mode_ssm.formats.spikes import bin_edges, count_spikes
from mode_ssm.index import MalformedError, Reason
from mode_ssm.labels import T15
from mode_ssm.t15 import scan_process
from tests.formats.conftest import read_split, run, said

pytest.importorskip("pynwb")

from pynwb import TimeSeries

from tests.formats.nwb_made import write_nwb

SESSION = "m1.2012.09.24"
UNITS = [np.sort(np.random.default_rng(seed).uniform(0, 12, 40 * seed)) for seed in range(7)]  # one never fires
TIMES = ((0.5, 2.5), (3.013, 5.0), (6.0, 7.999))
SENTENCES = ("Go, man!", "Well known.", "Zyx.")
DICTIONARY = "GO  G OW1\nMAN  M AE1 N\nWELL  W EH1 L\nKNOWN  N OW1 N\n"


def write(root: Path, series: int = 0, **columns: Any) -> Path:
    """Three trials, seven units, and so many series of 20 ms a frame."""
    made = [TimeSeries(name=f"s{n}", data=np.ones((600, 5)), rate=50.0, unit="sd") for n in range(series)]
    trials: list[dict[str, Any]] = [{"start_time": start, "stop_time": stop} for start, stop in TIMES]
    for name, values in columns.items():
        for trial, value in zip(trials, values, strict=True):
            trial[name] = value
    return write_nwb(root / f"{SESSION}.nwb", made, trials, UNITS)


def config_of(root: Path, **more: Any) -> DataConfig:
    return DataConfig(data_root=str(root), source="nwb", **more)


@pytest.mark.parametrize(("series", "name"), [(0, None), (0, "units"), (1, "units"), (2, "units")])
def test_spikes_are_counted_from_the_start_of_each_trial(tmp_path, series, name):
    write(tmp_path, series, labels=[np.array([3])] * 3)
    dataset = read_split(config_of(tmp_path, nwb_series=name), "train", len(UNITS))
    for place, (start, stop) in enumerate(TIMES):
        bins = int((stop - start) / 0.02 + 1e-6)
        edges = start + 0.02 * np.arange(bins + 1)
        expected = np.stack([np.histogram(spikes, edges)[0] for spikes in UNITS], axis=1)
        np.testing.assert_array_equal(dataset.read(place).features.numpy(), expected)
    assert expected.shape == (99, 7)
    assert expected.sum() > 50


@given(st.floats(-1e4, 1e4), st.floats(0, 3), st.lists(st.floats(-1e4, 1e4), max_size=30))
def test_counts_are_those_of_a_histogram_and_every_bin_is_whole(start, length, spikes):
    edges = bin_edges(start, start + length)
    assert len(edges) - 1 <= length / 0.02 + 1e-3
    assert len(edges) >= length / 0.02 - 1e-3
    if len(edges) > 1:
        counts = count_spikes([np.array(spikes), np.array([])], edges)
        inside = [spike for spike in spikes if edges[0] <= spike <= edges[-1]]
        assert counts.sum(axis=0).tolist() == [len(inside), 0]


@given(st.floats(), st.floats())
@settings(max_examples=50)
def test_no_times_ask_for_more_bins_than_a_trial_may_have(start, stop):
    with np.errstate(all="ignore"):
        assert 1 <= len(bin_edges(start, stop)) <= MAX_FRAMES + 2


def test_one_series_goes_before_units_and_several_are_asked_about(tmp_path):
    write(tmp_path, 1)
    assert [record.channels for record in open_source(config_of(tmp_path)).index("test", [SESSION]).records] == []
    records = open_source(config_of(tmp_path)).index("train", [SESSION]).records[SESSION]
    assert [(record.frames, record.channels) for record in records] == [(100, 5), (99, 5), (100, 5)]
    write(tmp_path, 2)
    problems = open_source(config_of(tmp_path)).index("train", [SESSION]).problems
    assert "has the series s0, s1, units. Name the one with the features: data.nwb_series=NAME." in said(problems)


def test_sentences_of_another_column(tmp_path, capsys):
    write(tmp_path, cue=SENTENCES)
    records = open_source(config_of(tmp_path, sentence_column="cue")).index("train", [SESSION]).records[SESSION]
    assert [record.sentence for record in records] == [*SENTENCES]
    plain = open_source(config_of(tmp_path)).index("train", [SESSION])
    assert [record.sentence for record in plain.records[SESSION]] == [None] * 3
    assert "has columns cue. Read are start_time, stop_time, labels, block, number, split, sentence." in said(
        plain.notes
    )
    run("inspect", str(tmp_path), "data.source=nwb", "data.sentence_column=prompt", status=1)
    printed = " ".join(capsys.readouterr().out.split())
    assert "has no column prompt among its start_time, stop_time, cue. Name the one with the sentences" in printed


def test_a_dictionary_makes_labels_of_sentences(tmp_path):
    write(tmp_path, sentence=SENTENCES)
    (tmp_path / "cmu.txt").write_text(DICTIONARY)
    index = open_source(config_of(tmp_path)).index("train", [SESSION])
    assert "has sentences and no phonemes. Give data.dictionary=FILE" in said(index.notes)
    dataset = read_split(config_of(tmp_path, dictionary=str(tmp_path / "cmu.txt")), "train", 7)
    assert [T15.text(dataset.read(n).labels.tolist()) for n in range(2)] == ["G OW | M AE N |", "W EH L | N OW N |"]
    (problem,) = dataset.problems
    assert (problem.trial, problem.reason, problem.told.sentence) == ("trial_0002", Reason.unlabelled, "Zyx.")


def test_a_file_with_labels_asks_for_no_dictionary(tmp_path):
    write(tmp_path, sentence=SENTENCES, labels=[np.array([3])] * 3)
    (tmp_path / "cmu.txt").write_text(DICTIONARY)
    index = open_source(config_of(tmp_path, dictionary=str(tmp_path / "cmu.txt"))).index("train", [SESSION])
    assert [record.labels for record in index.records[SESSION]] == [1, 1, 1]
    assert "has labels of its own. The dictionary data.dictionary is for trials" in said(index.notes)


@pytest.fixture
def _short_limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    scan_process._scanner(os.getpid())._stop()
    monkeypatch.setattr(nwb_file, "LIMIT_S", 10.0)
    yield
    scan_process._scanner(os.getpid())._stop()


def crash(path: Path) -> None:
    """Make the type of a text neither a sequence nor a string: the library follows a null pointer."""
    content = bytearray(path.read_bytes())
    content[content.index(b"neurodata_type\0\0\x19") + 17] = 117
    path.write_bytes(content)


@pytest.mark.usefixtures("_short_limit")
def test_bytes_that_crash_the_library_are_one_problem_and_others_are_read(tmp_path):
    write(tmp_path)
    other = tmp_path / "m1.2012.09.26.nwb"
    other.write_bytes((tmp_path / f"{SESSION}.nwb").read_bytes())
    crash(tmp_path / f"{SESSION}.nwb")
    index = open_source(config_of(tmp_path)).index("train", [SESSION, other.stem])
    (problem,) = index.problems
    assert problem.file == f"{SESSION}.nwb"
    assert (
        "the HDF5 library crashes on it (SIG" in str(problem)
        or "cannot be read" in str(problem)
        or "is no" in str(problem)
    )
    assert [*index.records] == [other.stem]


@pytest.mark.usefixtures("_short_limit")
def test_any_damaged_byte_is_a_problem_or_none(tmp_path):
    path = write(tmp_path, sentence=SENTENCES)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(15):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=8):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        index = open_source(config_of(tmp_path)).index("train", [SESSION])
        assert index.problems or index.records or index.absent


def test_what_a_reader_raises_comes_through():
    with pytest.raises(MalformedError, match="no such"):
        scan_process.apart(raising, "no such")
    assert scan_process.apart(len, "four") == 4


def raising(what: str) -> None:
    raise MalformedError(what, "Mend it.")
