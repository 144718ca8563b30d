"""One update: accumulation equals the larger batch, scaling included, and bad numbers never reach the weights."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import Trial, TrialKey, collate
from mode_ssm.data import open_split
from mode_ssm.decoding.alignment import ctc_alignment
from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM, encoder_frames
from mode_ssm.training.devices import start_fabric
from mode_ssm.training.loop import train
from mode_ssm.training.objective import Weighted
from mode_ssm.training.optimizer import build_optimizer
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.terms import run_terms
from mode_ssm.training.update import run_update
from tests.small import SESSIONS, small_config, write_data

PLAIN = """
augmentation.max_speed_change=0 augmentation.white_noise_sd=0 augmentation.constant_offset_sd=0
augmentation.max_cut_frames=0 augmentation.time_masks=0
preprocessor.dropout=0 encoder.dropout=0 encoder.stochastic_depth=0 predictor.dropout=0
""".split()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


JOINT = {"ctc": 0.3, "rnnt": 1.0}


def objective(config, weights=JOINT):
    return [Weighted(term, weights[term.name]) for term in run_terms(config) if weights.get(term.name)]


def trials_of(config, root):
    dataset = open_split(config.data, "train", num_channels=8, encoder_frames=lambda frames: frames // 4)
    return [dataset[index] for index in (0, 3, 8, 17)]


def step(config, groups, trained=None):
    """One update over groups of trials; trained is an objective, by default that of JOINT."""
    fabric = start_fabric(config.training)
    torch.manual_seed(0)
    model = ModeSSM(config, 3).double()
    optimizer = build_optimizer(model, config.training.optimizer)
    index = {session: n for n, session in enumerate(SESSIONS)}
    batches = [collate(group, index) for group in groups]
    batches = [batch._replace(features=batch.features.double()) for batch in batches]
    terms = objective(config) if trained is None else trained
    return run_update(fabric, model, optimizer, batches, terms, config, 0, config.training.max_grad_norm), model


@pytest.mark.parametrize("scaling", ["sequence_length", "sqrt", "label_length", "gradient", "none"])
@pytest.mark.parametrize("joiner", ["tanh", "additive"])
def test_four_batches_of_one_trial_equal_one_batch_of_four(root, scaling, joiner):
    words = [*PLAIN, f"losses.rnnt_scaling={scaling}", f"joiner={joiner}"]
    config = small_config(root, root / "run", *words)
    trials = trials_of(config, root)
    accumulated, model_a = step(config, [[trial] for trial in trials])
    together, model_b = step(config, [trials])
    assert accumulated.numbers == pytest.approx(together.numbers, rel=1e-6)
    assert accumulated.gradients.total == pytest.approx(together.gradients.total, rel=1e-6)
    for a, b in zip(model_a.parameters(), model_b.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_the_fused_and_the_plain_transducer_loss_train_alike(root):
    config = small_config(root, root / "run", *PLAIN)
    trials = trials_of(config, root)
    fused, _ = step(config, [trials])
    plain_config = copy.deepcopy(config)
    plain_config.losses.fused = False
    plain, _ = step(plain_config, [trials])
    assert fused.numbers == pytest.approx(plain.numbers, rel=1e-6)
    assert fused.gradients.total == pytest.approx(plain.gradients.total, rel=1e-5)


def test_a_stage_without_a_head_leaves_it_alone(root):
    config = small_config(root, root / "run", *PLAIN)
    torch.manual_seed(0)
    before = ModeSSM(config, 3).double()
    update, after = step(config, [trials_of(config, root)], objective(config, {"ctc": 1.0}))
    assert update.record(run_terms(config))["loss_rnnt"] is None
    for name, parameter in before.named_parameters():
        same = torch.equal(parameter, dict(after.named_parameters())[name])
        assert same == name.startswith(("predictor", "joiner")) or "session" in name or not parameter.requires_grad


def test_a_trial_too_short_for_its_labels_is_lost_to_ctc_alone(root):
    """The transducer's mean is over all trials, CTC's over those whose labels it can align."""
    config = small_config(root, root / "run", *PLAIN, "losses.rnnt_scaling=none")
    trials = trials_of(config, root)
    first, second = (encoder_frames(config, len(trial.features)) for trial in trials[:2])
    crowded = replace(trials[0], labels=torch.tensor([1 + n % 2 for n in range(first + 1)]))
    doubled = replace(trials[1], labels=torch.ones(second // 2 + 2, dtype=torch.int64))  # a blank between equal ones
    together, _ = step(config, [[crowded, trials[2]], [doubled, trials[3]]])
    alone = [step(config, [[trial]])[0].numbers for trial in (trials[2], trials[3], crowded, doubled)]
    assert together.numbers["loss_ctc"] == pytest.approx(sum(n["loss_ctc"] for n in alone[:2]) / 2, rel=1e-6)
    assert together.numbers["loss_rnnt"] == pytest.approx(sum(n["loss_rnnt"] for n in alone) / 4, rel=1e-6)
    assert all("loss_ctc" not in numbers for numbers in alone[2:])
    assert not together.skipped


@given(st.lists(st.lists(st.integers(1, 3), max_size=6), min_size=1, max_size=4), st.integers(1, 9))
def test_labels_can_be_aligned_where_some_ctc_path_spells_them(labels, frames):
    """Against the count of frames that a path needs, and against the search for the best path."""
    key = TrialKey(SESSIONS[0], "train", "trial_0000", 0, 0)
    given_ = [Trial(key, torch.zeros(9, 1), torch.tensor(row, dtype=torch.int64), None) for row in labels]
    found = collate(given_, {}).aligned(torch.full((len(labels),), frames))
    shortest = [len(row) + sum(a == b for a, b in pairwise(row)) for row in labels]
    assert found.tolist() == [bool(row) and frames >= least for row, least in zip(labels, shortest, strict=True)]
    searched = [align(row, frames) is not None for row in labels if row]
    assert searched == [fits for row, fits in zip(labels, found.tolist(), strict=True) if row]


def align(labels, frames):
    """CTC's best path, or None where the search itself says that there is none."""
    try:
        return ctc_alignment(torch.zeros(frames, 4), torch.tensor(labels), blank=0)
    except InputError:
        return None


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_a_bad_batch_is_skipped_named_counted_and_kept(root, tmp_path, monkeypatch, capsys, value):
    """A spike that overflows, put into one trial behind the reader's checks."""
    from mode_ssm.training import loop

    real = loop.read_batches

    def poisoned(dataset, batches, **options):
        for number, batch in enumerate(real(dataset, batches, **options)):
            if number == 1 and dataset.entries[0].key.split == "train":
                batch.features[0] = value
                batch.features[0, 3] = -value
            yield batch

    monkeypatch.setattr(loop, "read_batches", poisoned)
    monkeypatch.setattr("mode_ssm.training.augment.torch.randn_like", torch.zeros_like)
    config = small_config(root, tmp_path / "run", "preprocessor.softsign=false")
    train(config)
    printed = capsys.readouterr().out
    updates = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "update"]
    skipped = [r for r in updates if r["skipped_now"]]
    if value != value:  # NaN must be caught; a spike may be survived, since the norms of the network bound it
        assert len(skipped) == 2
        assert "Skipping batch 2 due to NaN/Inf loss (trials t15." in printed
        assert len(list((tmp_path / "run" / "skipped").iterdir())) == 2
    assert updates[-1]["skipped"] == len(skipped)
    assert all(r["loss"] is not None for r in updates if not r["skipped_now"])


def test_each_bad_batch_of_an_accumulated_update_is_kept(root, tmp_path, monkeypatch, capsys):
    from mode_ssm.training import loop

    real = loop.read_batches

    def poisoned(dataset, batches, **options):
        for number, batch in enumerate(real(dataset, batches, **options)):
            poison = number in (4, 7) and dataset.entries[0].key.split == "train"
            if poison:
                batch.features[0] = float("nan")
            yield None if number == 5 and len(batches) == 9 else batch  # a batch without a readable trial

    monkeypatch.setattr(loop, "read_batches", poisoned)
    words = ["training.batch_size=2", "training.gradient_accumulation_steps=4", "training.stages.1.epochs=0"]
    train(small_config(root, tmp_path / "run", *words))
    kept = sorted(p.name for p in (tmp_path / "run" / "skipped").iterdir())
    assert kept == [f"update-000002-batch-{number}-process-0.safetensors" for number in (5, 8)]
    assert capsys.readouterr().out.count("Skipping batch ") == 2


def test_too_many_skips_in_a_row_end_the_run(root, tmp_path, monkeypatch):
    from mode_ssm.training import loop

    real = loop.read_batches

    def poisoned(dataset, batches, **options):
        for batch in real(dataset, batches, **options):
            batch.features[0] = float("nan")
            yield batch

    monkeypatch.setattr(loop, "read_batches", poisoned)
    config = small_config(root, tmp_path / "run", "training.max_skipped_in_a_row=3")
    with pytest.raises(InputError, match="3 updates in a row were skipped for NaN/Inf, the last one update 3"):
        train(config)
