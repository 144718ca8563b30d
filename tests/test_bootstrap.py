"""Intervals of error rates beside plain resampling, the textbook's formula, and cases known by construction."""

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.bootstrap import RESAMPLES, SEED, error_interval, resampled
from mode_ssm.commands.rate_table import grouped, rate_of, rate_row, rate_rows, rates_by
from mode_ssm.scoring import ErrorRate, total

TRIALS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=30)


def trials_of(pairs: list[tuple[int, int]]) -> list[ErrorRate]:
    """Edits and units of each; how the edits divide among kinds does not matter."""
    return [ErrorRate(edits // 2, edits - edits // 2, 0, said) for edits, said in pairs]


def drawn(pairs: list[tuple[int, int]], draws: int) -> tuple[float, float]:
    """As one would write it from the paper: trials drawn with replacement, pooled, the draws sorted."""
    source = random.Random(5)
    rates = []
    for _ in range(draws):
        chosen = source.choices(pairs, k=len(pairs))
        rates.append(sum(edits for edits, _ in chosen) / sum(said for _, said in chosen))
    rates.sort()
    return rates[round(0.025 * draws)], rates[round(0.975 * draws)]


def test_as_plain_resampling_finds_it() -> None:
    source = random.Random(0)
    pairs = [(source.randint(0, 8), source.randint(10, 40)) for _ in range(120)]
    interval = error_interval(trials_of(pairs))
    assert interval is not None
    assert interval == pytest.approx(drawn(pairs, 8000), abs=0.003)
    edits, said = np.array(pairs, dtype=float).T
    rate = edits.sum() / said.sum()
    error = np.std(edits - rate * said) / said.mean() / np.sqrt(len(pairs))  # the delta method
    assert interval == pytest.approx((rate - 1.96 * error, rate + 1.96 * error), abs=0.004)


def test_of_two_trials_every_draw_can_be_counted() -> None:
    """Draws of two trials are one of them twice, a quarter each, or both; so 95 % reach from the one to the other."""
    pairs = [(1, 10), (6, 20)]
    every = sorted(
        sum(pairs[k][0] for k in draw) / sum(pairs[k][1] for k in draw) for draw in product((0, 1), repeat=2)
    )
    assert error_interval(trials_of(pairs)) == pytest.approx((every[0], every[-1]))


@given(TRIALS)
def test_the_pooled_rate_and_all_draws_lie_among_the_trials(pairs: list[tuple[int, int]]) -> None:
    errors = trials_of(pairs)
    interval = error_interval(errors)
    assert interval is not None
    rates = [one.rate for one in errors]
    assert min(rates) - 1e-9 <= interval.low <= interval.high <= max(rates) + 1e-9
    if len(set(rates)) == 1:
        assert interval == pytest.approx((rates[0], rates[0]))


def test_one_trial_tells_nothing_of_others() -> None:
    assert error_interval([]) is None
    assert error_interval([ErrorRate(1, 0, 0, 4)]) is None
    assert error_interval([ErrorRate(0, 0, 2, 0), ErrorRate(0, 0, 2, 0)]) is not None  # no units at all


def test_many_trials_are_drawn_in_parts_that_make_the_whole() -> None:
    count = 1500
    edits, said = np.arange(count) % 7.0, np.full(count, 20.0)
    draws = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    expected = np.percentile((draws @ edits) / (draws @ said), [2.5, 97.5])
    assert resampled(edits, said) == pytest.approx(tuple(expected))


def test_groups_have_rates_intervals_and_trials() -> None:
    a, b = ErrorRate(1, 0, 0, 4), ErrorRate(0, 2, 1, 6)
    summary = rates_by("per_by_session", grouped([("late", a), ("early", b), ("late", b)])) | rate_of("per", [a, b, b])
    assert list(summary["per_by_session"]) == ["early", "late"]
    assert summary["per_by_session"] == {"early": 0.5, "late": pytest.approx(0.4)}
    assert summary["per_by_session_trials"] == {"early": 1, "late": 2}
    assert summary["per_by_session_interval"] == {"early": None, "late": pytest.approx([0.25, 0.5])}
    assert summary["per"] == total([a, b, b]).rate
    assert rate_rows(summary, "", "per_by_session") == [
        ("early", "50.00", "", "1"),
        ("late", "40.00", "25.00-50.00", "2"),
    ]
    assert rate_rows(summary, "", "per_by_corpus") == []
    assert rate_row(rate_of("x", []), "none", "x", 0) == ("none", "no trials", "", "0")
