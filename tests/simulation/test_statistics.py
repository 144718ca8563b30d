"""Statistics trial by trial against numpy on the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.simulation.statistics import PUBLISHED, FeatureStatistics


@given(st.integers(0, 1000), st.lists(st.integers(5, 30), min_size=1, max_size=4))
def test_statistics_are_those_of_all_values_together(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    trials = [rng.standard_normal((n, 128)).astype(np.float32) for n in lengths]
    statistics = FeatureStatistics()
    for trial in trials:
        statistics.add(trial)
    values, whole = statistics.values(), np.concatenate(trials)
    assert values["feature mean"] == pytest.approx(whole.mean(), abs=1e-5)
    assert values["feature sd"] == pytest.approx(whole.std(), rel=1e-5)
    assert values["feature median"] == pytest.approx(np.median(whole), abs=0.02)
    assert (values["feature min"], values["feature max"]) == (whole.min(), whole.max())
    electrodes = [np.corrcoef(t[:, i], t[:, 64 + i])[0, 1] for t in trials for i in range(64)]
    assert values["crossings against power, one electrode"] == pytest.approx(np.mean(electrodes), abs=1e-5)
    arrays = [np.corrcoef(t[:, :64].mean(axis=1), t[:, 64:].mean(axis=1))[0, 1] for t in trials]
    assert values["crossings against power, array means"] == pytest.approx(np.mean(arrays), abs=1e-4)
    assert set(values) - set(PUBLISHED) == {"crossings against power, one electrode"}


def test_the_lag_is_one_frame() -> None:
    noise = np.random.default_rng(0).standard_normal((4001, 10)).astype(np.float32)
    statistics = FeatureStatistics()
    statistics.add(noise[1:] + noise[:-1])
    assert statistics.values()["lag-1 autocorrelation of a channel"] == pytest.approx(0.5, abs=0.02)


def test_what_never_changes_has_no_correlations() -> None:
    statistics = FeatureStatistics()
    statistics.add(np.full((1, 512), 3, np.float32))
    half_dead = np.random.default_rng(0).standard_normal((50, 512)).astype(np.float32)
    half_dead[:, 256:] = 0
    statistics.add(half_dead)
    values = statistics.values()
    assert values["feature max"] > 2
    assert "lag-1 autocorrelation of a channel" in values
    assert not any("crossings" in name for name in values)
