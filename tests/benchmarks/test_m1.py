"""Real spikes through the npz source: what the benchmark writes, and a short training on it."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from tests.formats.conftest import run

REPOSITORY = Path(__file__).parents[2]
SPIKES = REPOSITORY.parent / "shared" / "spikes" / "m1_center_out.npz"
pytestmark = pytest.mark.skipif(not SPIKES.is_file(), reason="the spikes are not at ../shared/spikes")


@pytest.fixture
def m1(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    return importlib.import_module("m1")


def test_the_periods_are_cut_and_scaled_as_they_are_described(m1, tmp_path):
    first, later = m1.reaches(SPIKES)
    assert (len(first), len(later)) == (660, 465)
    scaled = np.concatenate([reach.counts for reach in first[:450]])
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-4)
    assert scaled.shape[1] == 93
    roots = m1.make_roots(SPIKES, tmp_path)
    sources = [open_source(DataConfig(data_root=str(root), source="npz")) for root in roots]
    found = [source.index("val", source.sessions).records[m1.SESSION] for source in sources]
    assert [sum(record.labels for record in records) for records in found] == [140, 465]
    train = sources[0].index("train", sources[0].sessions).records[m1.SESSION]
    assert sum(record.labels for record in train) == 520 * m1.CUTS
    assert {len(record.sentence.split()) for record in train} <= {*range(1, 8)}
    run("inspect", str(roots[0]), "data.source=npz", status=1)  # three sentences are too short for its default patches


def test_a_short_training_is_far_better_than_chance(m1, tmp_path):
    roots = m1.make_roots(SPIKES, tmp_path)
    m1.train_once(roots[0], tmp_path / "run", 0, ["training.stages.0.epochs=2", "training.stages.1.epochs=0"])
    assert m1.error_rate(tmp_path / "run", roots[0], "ctc") < 40
