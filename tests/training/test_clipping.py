"""Clipping: a fixed bound or one by the median, and the norms of the parts, found on the way to that of the whole."""

import copy
from statistics import median

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.config import TrainConfig, TrainingConfig
from mode_ssm.models.model import ModeSSM
from mode_ssm.settings import read_settings
from mode_ssm.training.clipping import FEWEST_NORMS, WINDOW_UPDATES, clip_bound, clip_gradients, parts_of
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.terms import run_terms
from tests.small import SMALL, small_config, write_data


@given(st.lists(st.floats(0.01, 100), min_size=FEWEST_NORMS, max_size=WINDOW_UPDATES), st.floats(0.1, 10))
def test_the_bound_by_the_median_takes_the_place_of_the_fixed_one(norms, multiple):
    training = TrainingConfig(max_grad_norm=3.0, clip_median_multiple=multiple)
    assert clip_bound(training, norms) == multiple * median(norms)


def test_without_a_multiple_or_with_too_few_norms_the_fixed_bound_counts():
    assert clip_bound(TrainingConfig(max_grad_norm=3.0), [0.1] * 100) == 3.0
    assert clip_bound(TrainingConfig(max_grad_norm=3.0, clip_median_multiple=2.0), [0.1] * (FEWEST_NORMS - 1)) == 3.0


def test_a_median_of_zero_bounds_nothing():
    assert clip_bound(TrainingConfig(max_grad_norm=3.0, clip_median_multiple=2.0), [0.0] * 50 + [1.0] * 49) == 3.0


@pytest.mark.parametrize("bound", [0.01, 1e6])
def test_clipping_equals_pytorchs_and_finds_the_norm_of_each_part(bound):
    torch.manual_seed(0)
    model = ModeSSM(read_settings(TrainConfig, SMALL), num_sessions=3)
    for name, parameter in model.named_parameters():
        parameter.grad = None if name.startswith("predictor") else torch.randn_like(parameter)
    other = copy.deepcopy(model)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        theirs.grad = None if mine.grad is None else mine.grad.clone()
    terms = run_terms(read_settings(TrainConfig, SMALL))
    parts = {
        part: torch.cat([p.grad.flatten() for p in getattr(model, part).parameters()]).norm()
        for part in parts_of(terms)
        if part != "predictor"
    }
    found = clip_gradients(model, bound)
    torch.testing.assert_close(found.total, torch.nn.utils.clip_grad_norm_(other.parameters(), bound))
    torch.testing.assert_close(found.by_part, parts)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_model_in_which_nothing_learns_has_norm_zero():
    model = ModeSSM(read_settings(TrainConfig, SMALL), num_sessions=3)
    found = clip_gradients(model, 1.0)
    assert (float(found.total), found.by_part) == (0.0, {})


def test_a_run_clips_to_the_median_of_what_it_logged(tmp_path):
    root = write_data(tmp_path / "data")
    words = ["training.clip_median_multiple=0.9", "training.stages.1.epochs=6", "losses.rnnt_scaling=sequence_length"]
    train(small_config(root, tmp_path / "run", *words))
    updates = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "update"]
    norms = [r["grad_norm"] for r in updates]
    assert len(norms) == 35
    for place, record in enumerate(updates):
        bound = 0.9 * median(norms[:place]) if place >= FEWEST_NORMS else 1.0
        assert record["clip_norm"] == pytest.approx(bound)
        assert record["clipped"] == (record["grad_norm"] > record["clip_norm"])
    assert {r["clipped"] for r in updates} == {True, False}
