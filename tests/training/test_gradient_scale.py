"""Both losses' gradients at the encoder's output: measured without changing anything, and kept equally large."""

import math
from contextlib import nullcontext
from statistics import median

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import collate
from mode_ssm.losses.gradient_scale import MAX_CHANGE, equalising_scale, followed_scale
from mode_ssm.losses.objective import UpdateSize
from mode_ssm.models.model import ModeSSM, encoder_frames
from mode_ssm.training.loop import train
from mode_ssm.training.objective import UpdateSizes, batch_loss
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.terms import run_terms
from mode_ssm.training.terms.rnnt import transducer_nats
from tests.small import SESSIONS, small_config, write_data
from tests.training.clear_speech import CLEAR, write_clear_data
from tests.training.test_update import JOINT, PLAIN, objective, step, trials_of

POSITIVE = st.floats(1e-6, 1e6)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@given(POSITIVE, st.lists(POSITIVE, max_size=30))
def test_the_scale_goes_to_the_median_in_bounded_steps(scale, equalising):
    after = scale
    for _ in range(300):
        before, after = after, followed_scale(after, equalising)
        assert before / MAX_CHANGE * 0.9999 <= after <= before * MAX_CHANGE * 1.0001
    wanted = min(max(median(equalising), 0.01), 100) if equalising else scale
    assert after == pytest.approx(wanted)


@pytest.mark.parametrize("norms", [(0.0, 1.0), (1.0, 0.0), (math.nan, 1.0), (1.0, math.inf), (0.0, 0.0)])
def test_nothing_is_learnt_from_a_gradient_that_is_zero_or_not_finite(norms):
    assert equalising_scale(1.0, *norms) is None


def test_under_the_equalising_scale_the_norms_are_equal():
    assert equalising_scale(0.2, ctc_norm=3.0, rnnt_norm=0.2 * 7.0) * 7.0 == pytest.approx(3.0)


def losses_and_gradients(model, batch, config, *, measured):
    """The gradients by parameter, and the two norms at the encoder: by hooks, or each loss differentiated by itself."""
    size = UpdateSize(len(batch.keys), int(encoder_frames(model.config, batch.frame_lengths).sum()), 0)
    squares = torch.zeros(2, dtype=torch.float64)
    model.zero_grad()
    if measured:
        batch_loss(
            model, batch, objective(config), UpdateSizes(size, size, size), nullcontext, squares
        ).total.backward()
        return [p.grad for p in model.parameters()], squares.sqrt()
    frames, lengths = model.encode(batch)
    log_probs = model.ctc_log_probs(frames).transpose(0, 1)
    ctc = torch.nn.functional.ctc_loss(log_probs, batch.labels, lengths, batch.label_lengths)
    raw = transducer_nats(model, model.transducer_inputs(frames, batch.labels), batch, lengths, config.losses)
    weighted = [JOINT["ctc"] * ctc, JOINT["rnnt"] * (raw / batch.label_lengths).mean()]
    norms = [torch.autograd.grad(loss, frames, retain_graph=True)[0].norm() for loss in weighted]
    sum(weighted).backward()
    return [p.grad for p in model.parameters()], torch.stack(norms)


def test_measuring_changes_no_gradient_and_finds_each_losss_own(root):
    config = small_config(root, root / "run", *PLAIN, "losses.rnnt_scaling=label_length")
    torch.manual_seed(0)
    model = ModeSSM(config, 3).double()
    batch = collate(trials_of(config, root), {session: n for n, session in enumerate(SESSIONS)})
    batch = batch._replace(features=batch.features.double())
    found, norms = losses_and_gradients(model, batch, config, measured=True)
    expected, expected_norms = losses_and_gradients(model, batch, config, measured=False)
    torch.testing.assert_close(norms, expected_norms, rtol=1e-6, atol=0)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-12)


def test_accumulated_batches_have_the_norms_of_one_batch(root):
    config = small_config(root, root / "run", *PLAIN, "losses.rnnt_scaling=gradient")
    trials = trials_of(config, root)
    trained = objective(config)
    trained[1].term.gradient_scale = 0.25
    (many, _), (one, _) = (step(config, groups, trained) for groups in ([[trial] for trial in trials], [trials]))
    assert many.gradients.encoder == pytest.approx(one.gradients.encoder, rel=1e-6)
    assert one.numbers["rnnt_scale"] == pytest.approx(sum(0.25 / len(t.labels) for t in trials) / len(trials))


def test_a_head_without_a_loss_has_no_norm(root):
    config = small_config(root, root / "run", *PLAIN)
    update, _ = step(config, [trials_of(config, root)], objective(config, {"ctc": 1.0}))
    record = update.record(run_terms(config))
    assert record["encoder_grad_ctc"] > 0
    assert record["encoder_grad_rnnt"] is record["encoder_grad_ratio"] is record["rnnt_scale"] is None


def test_half_precision_is_measured_in_single(root):
    config = small_config(root, root / "run", *PLAIN)
    torch.manual_seed(0)
    model = ModeSSM(config, 3)
    batch = collate(trials_of(config, root), {session: n for n, session in enumerate(SESSIONS)})
    size = UpdateSize(len(batch.keys), int(encoder_frames(model.config, batch.frame_lengths).sum()), 0)
    norms = []
    for autocast in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        squares = torch.zeros(2, dtype=torch.float64)
        batch_loss(
            model, batch, objective(config), UpdateSizes(size, size, size), lambda used=autocast: used, squares
        ).total.backward()
        norms.append(squares.sqrt())
    torch.testing.assert_close(*norms, rtol=0.05, atol=0)


def test_a_real_training_keeps_the_norms_equal_from_the_hundredth_joint_update(tmp_path):
    """The weighted norms stand in the ratio of the weights, although the transducer starts far from it."""
    words = [*CLEAR, "training.stages.0.epochs=3", "training.stages.1.epochs=12", "losses.rnnt_scaling=gradient"]
    train(small_config(write_clear_data(tmp_path / "data"), tmp_path / "run", *words))
    joint = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "update" and r["loss_rnnt"] is not None]
    shares = [r["encoder_grad_ratio"] / (1.0 / 0.3) for r in joint]
    assert len(joint) == 144
    assert max(r["rnnt_scale"] for r in joint) > 5 * joint[0]["rnnt_scale"]
    assert all(0.5 < share < 2 for share in shares[99:])


@pytest.mark.parametrize("fused", ["true", "false"])
def test_a_training_in_mixed_precision_is_measured_and_scaled(root, tmp_path, fused):
    words = ["training.precision=bf16-mixed", "losses.rnnt_scaling=gradient", "training.stages.1.epochs=3"]
    words += [f"losses.fused={fused}"]
    train(small_config(root, tmp_path / "run", *words))
    joint = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "update" and r["loss_rnnt"] is not None]
    assert all(r["encoder_grad_ratio"] > 0 and not r["skipped_now"] for r in joint)
    assert len({r["rnnt_scale"] for r in joint}) > 5
