"""The parts of a page against plain calculations: shortened curves, axes, confusions, paired differences."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mode_ssm.labels import T15, Labels
from mode_ssm.report.axes import fitted_axis, linear_ticks, log_ticks
from mode_ssm.report.chart import Line, LineChart
from mode_ssm.report.confusion import NOTHING, Confusions, grouped, pairs
from mode_ssm.report.curves import shorten
from mode_ssm.report.paired import paired_difference
from mode_ssm.report.records import Series, Switch
from mode_ssm.scoring import edit_counts
from tests.report.reading import read

LABELS = st.lists(st.integers(1, 6), max_size=9)


@given(st.integers(0, 700), st.integers(1, 60), st.lists(st.integers(0, 700), max_size=3))
def test_a_short_curve_keeps_every_extreme_and_mixes_no_stages(size: int, points: int, breaks: list[int]) -> None:
    rng = np.random.default_rng(size)
    series = Series(np.arange(size, dtype=np.float64), np.asarray(rng.normal(size=size), dtype=np.float64))
    curve = shorten(series, breaks, points)
    assert len(curve.x) <= max(points, 1) + 2 * len(breaks) + 1
    if not size:
        return
    assert (curve.low.min(), curve.high.max()) == (series.y.min(), series.y.max())
    assert ((curve.low <= curve.y) & (curve.y <= curve.high)).all()
    inner = sorted({b for b in breaks if 0 < b < size})
    for low, high in pairwise([0, *inner, size]):
        inside = (curve.x >= low) & (curve.x < high)
        assert curve.high[inside].max() == series.y[low:high].max()
        assert curve.low[inside].min() == series.y[low:high].min()


def test_a_curve_that_is_short_stays_as_it_is() -> None:
    series = Series(np.arange(1, 9, dtype=float), np.arange(8, dtype=np.float64))
    curve = shorten(series, points=50)
    assert (curve.x == series.x).all()
    assert (curve.y == series.y).all()


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_linear_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    ticks = linear_ticks(low, low + width)
    assert 2 <= len(ticks) <= 12
    slack = 1e-6 * max(abs(low), width)
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)


@example(1.0000000000000002e-12, 1.5)
@given(st.floats(1e-12, 1e12), st.floats(1.3, 1e20))
def test_logarithmic_ticks_are_few_and_inside(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(set(ticks)) == len(ticks) <= 14
    assert all(0.99 * low <= tick <= 1.01 * low * factor for tick in ticks)


@given(st.lists(st.floats(1e-8, 1e8), min_size=1, max_size=9), st.booleans())
def test_an_axis_holds_its_values_in_order(values: list[float], log: bool) -> None:
    axis = fitted_axis(np.array(values), 206, 22, log=log)
    places = axis.place(sorted(values))
    assert ((places >= 22) & (places <= 206)).all()
    assert (np.diff(places) <= 1e-9).all()
    assert axis.place([axis.low, axis.high]).tolist() == pytest.approx([206, 22])
    assert axis.place([-1e300, 1e300]).tolist() == pytest.approx([206, 22])  # a spike stays on the chart


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [1e30, 1.0, 1.0]])
def test_a_chart_of_little_or_wild_data_is_drawn(values: list[float], log: bool) -> None:
    series = Series(np.arange(len(values), dtype=float), np.array(values))
    line = Line("<name>", "c0", shorten(series))
    drawn = str(LineChart([line], "unit & more", log, switches=[Switch(1, "<stage>")]).draw())
    assert "nan" not in drawn
    assert "inf" not in drawn
    page = read(f"<!DOCTYPE html>{drawn}")
    assert page.tags[0] == "svg"


@given(LABELS, LABELS)
def test_pairs_rebuild_both_sides_with_the_fewest_edits(reference: list[int], hypothesis: list[int]) -> None:
    found = list(pairs(reference, hypothesis))
    assert [pair.said for pair in found if pair.said != NOTHING] == reference
    assert [pair.decoded for pair in found if pair.decoded != NOTHING] == hypothesis
    assert sum(pair.said != pair.decoded for pair in found) == edit_counts(reference, hypothesis).edits


@given(st.lists(st.tuples(LABELS, LABELS), max_size=5))
def test_confusions_add_up(spoken: list[tuple[list[int], list[int]]]) -> None:
    confusions = Confusions.of(spoken, T15)
    for label in range(1, 7):
        assert confusions.said(label) == sum(reference.count(label) for reference, _ in spoken)
    errors = sum(edit_counts(*trial).edits for trial in spoken)
    assert sum(int(times.replace(",", "")) for _, _, times, _ in confusions.most_frequent(10**6)) == errors
    assert str(confusions.draw()).count("<rect") == len(confusions.counts)


def test_every_label_has_one_row_and_t15s_stand_by_how_they_sound() -> None:
    by_sound = grouped(T15)
    assert sorted(label for group in by_sound for label in group) == list(range(1, 41))
    assert [T15.text(group) for group in by_sound[4:6]] == ["P B T D K G", "CH JH"]
    turned = Labels(T15.symbols[::-1], blank=40, boundary=0)  # the same symbols, numbered from the end
    assert [turned.text(group) for group in grouped(turned)] == [T15.text(group) for group in by_sound]
    assert grouped(Labels(("a", "b", "-", "c"), blank=2)) == [[0, 1, 3]]


def test_labels_that_are_no_phonemes_have_their_own_names() -> None:
    confusions = Confusions.of([([0, 1], [0, 3, 1])], Labels(("a", "b", "-", "c"), blank=2))
    assert confusions.most_frequent(9) == [("(put in)", "c", "1", "")]
    assert str(confusions.draw()).count("<text") == 2 * 4  # three labels and nothing, on both sides


def test_the_commonest_errors_in_words() -> None:
    confusions = Confusions.of([([1, 2, 1], [1, 3, 1, 5]), ([2, 1], [3])], T15)
    assert confusions.most_frequent(9) == [
        ("AE", "AH", "2", "100.0 %"),
        ("(put in)", "AW", "1", ""),
        ("AA", "(left out)", "1", "33.3 %"),
    ]


def test_a_paired_difference_is_as_sure_as_the_textbook_says() -> None:
    """Of many trials the bootstrap's 95 % are those of the delta method for a ratio of two means."""
    rng = np.random.default_rng(0)
    said = rng.integers(10, 50, 400).astype(float)
    before, after = rng.binomial(40, 0.2, 400).astype(float), rng.binomial(40, 0.18, 400).astype(float)
    difference = paired_difference(before, after, said)
    ratio = (after - before).sum() / said.sum()
    error = np.std(after - before - ratio * said) / said.mean() / np.sqrt(len(said))
    assert difference.points == pytest.approx(100 * ratio)
    assert difference.low == pytest.approx(100 * (ratio - 1.96 * error), abs=0.1)
    assert difference.high == pytest.approx(100 * (ratio + 1.96 * error), abs=0.1)
    assert str(paired_difference(before, before, said)) == "+0.00 (+0.00 to +0.00)"
