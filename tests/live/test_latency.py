"""Percentiles of a bounded histogram beside those of all values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.live.latency import Latency


@given(st.lists(st.floats(0.02, 5000), min_size=1, max_size=200), st.sampled_from([50, 90, 99, 99.9]))
def test_percentiles_are_within_two_percent(values, percent):
    latency = Latency()
    for value in values:
        latency.add(value)
    exact = float(np.percentile(values, percent, method="inverted_cdf"))
    assert exact * 0.9999 <= latency.percentile(percent) <= exact * 1.0201
    assert latency.in_time == pytest.approx(100 * np.mean(np.array(values) <= 80))
    assert latency.steps == len(values)


def test_without_a_step_there_is_no_number():
    assert math.isnan(Latency().percentile(50))
    assert math.isnan(Latency().in_time)
