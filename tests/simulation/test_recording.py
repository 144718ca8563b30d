"""Spike counts, power and normalisation against closed forms and numpy; tuning and its drift."""

from dataclasses import replace
from math import exp, factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.simulation.articulation import ARTICULATORS
from mode_ssm.simulation.implant import ELECTRODES
from mode_ssm.simulation.population import build_population
from mode_ssm.simulation.presets import PRESETS
from mode_ssm.simulation.recording import (
    CHANNELS,
    CLIP,
    BlockScale,
    draw_counts,
    gamma_table,
    log_rates,
    record_features,
)

T15 = PRESETS["t15"].electrodes
DAYS = [0, 100, 400]


@pytest.mark.parametrize("rate", [0.05, 0.6, 4.0])
def test_regularity_1_is_poisson(rate: float) -> None:
    counts = draw_counts(np.full((4000, 64), np.log(rate), np.float32), 1.0, np.random.default_rng(0))
    expected = [exp(-rate) * rate**n / factorial(n) for n in range(5)]
    seen = np.bincount(counts.ravel(), minlength=5)[:5] / counts.size
    np.testing.assert_allclose(seen, expected, atol=0.012)


@pytest.mark.parametrize("regularity", [0.5, 4.0])
def test_other_regularities_are_counts_of_gamma_intervals(regularity: float) -> None:
    """Against spike trains laid down interval by interval from a spike just before the frame."""
    rng = np.random.default_rng(1)
    rate = 2.0
    spikes = rng.gamma(regularity, 1 / (regularity * rate), size=(100_000, 60)).cumsum(axis=1)
    laid_down = (spikes <= 1.0).sum(axis=1)
    counts = draw_counts(np.full((1000, 100), np.log(rate), np.float32), regularity, rng)
    assert counts.mean() == pytest.approx(laid_down.mean(), rel=0.03)
    assert counts.var() == pytest.approx(laid_down.var(), rel=0.04)


@pytest.mark.parametrize("shape", [0.7, 1.0, 3.0])
def test_quantiles_of_the_gamma_distribution(shape: float) -> None:
    table = gamma_table(shape).astype(np.float64)
    drawn = np.random.default_rng(2).gamma(shape, 1 / np.sqrt(shape), 200_000)
    assert table.mean() == pytest.approx(np.sqrt(shape), rel=2e-3)
    assert table.std() == pytest.approx(1, rel=5e-3)
    np.testing.assert_allclose(np.quantile(table, [0.1, 0.5, 0.9]), np.quantile(drawn, [0.1, 0.5, 0.9]), rtol=0.03)


@given(st.integers(0, 1000), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_a_block_is_z_scored_as_one_and_clipped(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    trials = [rng.gamma(0.05, 3, size=(n, CHANNELS)).astype(np.float32) for n in lengths]
    scale = BlockScale()
    for trial in trials:
        trial[:, 4] = 2.5
        scale.add(trial)
    whole = np.concatenate(trials).astype(np.float64)
    sd = whole.std(axis=0)
    expected = np.where(sd > 1e-3, (whole - whole.mean(axis=0)) / np.maximum(sd, 1e-3), 0).clip(max=CLIP)
    for trial in trials:
        scale.scale(trial)
    np.testing.assert_allclose(np.concatenate(trials), expected, atol=2e-2)


def test_power_follows_the_crossings_of_its_electrode_and_of_no_other() -> None:
    population = build_population(T15, DAYS, 250.0, 0)
    rest = np.tile(population.log_rate, (3000, 1))
    features = record_features(rest, population, T15, 1.0, np.random.default_rng(3))
    assert (features >= 0).all()
    correlation = np.corrcoef(features.T)[:ELECTRODES, ELECTRODES:]
    own = np.diag(correlation)[population.alive]
    assert own.mean() == pytest.approx(0.8, abs=0.05)
    assert np.abs(correlation - np.diag(np.diag(correlation))).mean() < 0.05


def test_activity_leads_the_movement() -> None:
    quiet = replace(T15, shared_noise=0.0)
    population = build_population(quiet, DAYS, 250.0, 0)
    movement = np.zeros((60, 2 * len(ARTICULATORS)), np.float32)
    movement[30:] = 1
    gained = log_rates(movement, population, 1.0, np.random.default_rng(0)) - population.log_rate
    for electrode in (0, 100, 255):
        answers = np.flatnonzero(np.abs(gained[:, electrode]) > 1e-6)
        if len(answers):
            assert answers[0] == 30 - population.lead_frames[electrode]
    np.testing.assert_allclose(gained[40], population.tuning.sum(axis=1), atol=1e-4)


def test_tuning_drifts_as_a_random_walk_that_forgets() -> None:
    """The correlation of the weights after d days is exp(-d / drift_days), and their size stays."""
    electrodes = replace(T15, dead_share=0.0, half_life_days=1e9)
    first = build_population(electrodes, DAYS[:1], 250.0, 0).tuning
    for i in (1, 2):
        later = build_population(electrodes, DAYS[: i + 1], 250.0, 0).tuning
        tuned = (first != 0) & (later != 0)
        assert (tuned == (first != 0)).all()
        size = np.abs(first[tuned]).mean()
        assert np.abs(later[tuned]).mean() == pytest.approx(size, rel=0.1)
        kept = float((first * later).sum() / np.sqrt((first**2).sum() * (later**2).sum()))
        assert kept == pytest.approx(np.exp(-DAYS[i] / 250), abs=0.05)


def test_electrodes_die_and_stay_dead() -> None:
    electrodes = replace(T15, dead_share=0.1, half_life_days=200)
    alive = [build_population(electrodes, DAYS[: i + 1], 250.0, 0).alive for i in range(3)]
    assert alive[0].mean() == pytest.approx(0.9, abs=0.05)
    assert alive[2].mean() == pytest.approx(0.9 * 0.25, abs=0.08)
    assert not (alive[1] & ~alive[0]).any()
    assert not (alive[2] & ~alive[1]).any()
    dead = build_population(electrodes, DAYS, 250.0, 0)
    assert not dead.tuning[~dead.alive].any()


def test_the_state_of_a_session_does_not_depend_on_those_that_follow() -> None:
    long, short = (build_population(T15, days, 250.0, 5) for days in ([0, 9], [0, 9, 30][:2]))
    for before, after in zip(long, short, strict=True):
        np.testing.assert_array_equal(before, after)
