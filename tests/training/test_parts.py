"""The parts of training, each against its definition."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from mode_ssm.batch import Batch, TrialKey
from mode_ssm.config import (
    AugmentationConfig,
    Decay,
    OptimizerConfig,
    RNNTScaling,
    ScheduleConfig,
    StageConfig,
    TrainConfig,
    TrainingConfig,
)
from mode_ssm.errors import InputError
from mode_ssm.losses.objective import UpdateSize, ctc_nats_per_label, rnnt_divisor
from mode_ssm.models.model import ModeSSM
from mode_ssm.settings import read_settings
from mode_ssm.training.augment import augment, fewest_frames
from mode_ssm.training.display import clock
from mode_ssm.training.optimizer import build_optimizer
from mode_ssm.training.schedule import check_stages, learning_rate, short_stages, term_weight
from tests.small import SMALL

KEY = TrialKey("t15.2023.08.11", "train", "trial_0000", 1, 0)
SCHEDULE = ScheduleConfig(warmup_updates=10, rewarm_updates=5, final_lr_fraction=0.1)


def rate(update, stage_start=0):
    return learning_rate(
        2.0, SCHEDULE, done=update / 100, stage_start=stage_start, update_in_stage=update - stage_start
    )


def test_the_learning_rate_warms_up_and_follows_a_cosine():
    assert rate(0) == pytest.approx(0.2)
    assert rate(50) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert rate(100) == pytest.approx(0.2)
    assert rate(10**6) == pytest.approx(0.2)


def test_the_learning_rate_warms_up_again_at_a_stage_switch():
    ratios = [rate(40 + n, stage_start=40) / rate(40 + n) for n in range(7)]
    assert ratios == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


def test_the_learning_rate_steps_down_once():
    schedule = ScheduleConfig(decay=Decay.step, step_at=0.6, warmup_updates=10, final_lr_fraction=0.1)
    rates = [learning_rate(2.0, schedule, done=n / 100, stage_start=0, update_in_stage=n) for n in range(100)]
    assert rates == pytest.approx([0.2 * (n + 1) for n in range(10)] + [2.0] * 50 + [0.2] * 40)


def test_a_stage_that_trains_a_missing_transducer_is_refused():
    with pytest.raises(InputError, match=r"training\.stages\.1\.rnnt_weight=1\.0 but joiner=none"):
        check_stages(read_settings(TrainConfig, [*SMALL, "joiner=none"]))


def test_stages_that_train_nothing_are_refused():
    with pytest.raises(InputError, match=r"training\.stages\.0 has ctc_weight=0, so it .* one of ctc, rnnt a weight"):
        check_stages(read_settings(TrainConfig, [*SMALL, "training.stages.0.ctc_weight=0"]))
    check_stages(read_settings(TrainConfig, [*SMALL, "training.stages.0.ctc_weight=0", "training.stages.0.epochs=0"]))
    with pytest.raises(InputError, match="Every stage has 0 epochs"):
        check_stages(read_settings(TrainConfig, ["training.stages.0.epochs=0", "training.stages.1.epochs=0"]))


def test_a_stage_shorter_than_its_warm_up_is_named():
    def found(first, second):
        stages = [StageConfig("one", epochs=first), StageConfig("two", epochs=second)]
        schedule = ScheduleConfig(warmup_updates=50, rewarm_updates=25)
        return list(short_stages(TrainingConfig(schedule=schedule, stages=stages), updates_per_epoch=[10, 10]))

    assert found(5, 3) == []
    (sentence,) = found(2, 4)
    assert sentence.startswith("Stage one has 20 updates and training.schedule.warmup_updates is 50: ")
    assert "40 %" in sentence
    assert list(short_stages(TrainingConfig(stages=[StageConfig("done", epochs=1)]), [10], first=1)) == []
    assert [s.split(":")[0] for s in found(5, 2)] == [
        "Stage two has 20 updates and training.schedule.rewarm_updates is 25"
    ]
    assert [s.split(":")[0] for s in found(0, 3)] == [
        "Stage two has 30 updates and training.schedule.warmup_updates is 50"
    ]


def test_a_terms_weight_ramps_from_a_tenth():
    stage = StageConfig(weights={"ctc": 1.0, "rnnt": 2.0}, ramp_updates={"rnnt": 10})
    assert [term_weight(stage, "rnnt", n) for n in (0, 5, 10, 99)] == pytest.approx([0.2, 1.1, 2.0, 2.0])
    assert term_weight(stage, "ctc", 0) == 1.0


def test_weight_decay_spares_biases_norms_embeddings_sessions_and_the_recurrence():
    model = ModeSSM(read_settings(TrainConfig, SMALL), num_sessions=3)
    names = {id(p): n for n, p in model.named_parameters()}
    decayed, spared = (
        [names[id(p)] for p in g["params"]] for g in build_optimizer(model, OptimizerConfig()).param_groups
    )
    assert "ctc_head.weight" in decayed
    assert all(name.endswith("weight") for name in decayed)
    assert {"ctc_head.bias", "predictor.embedding.weight"} <= set(spared)
    assert any("session" in name for name in spared)
    assert any("dt_bias" in name for name in spared)
    assert any("log_rate" in name for name in spared)
    assert len(decayed) + len(spared) == len(names)


def test_clock():
    assert (clock(59.6), clock(3725)) == ("1:00", "1:02:05")


def make_batch(lengths, channels=5):
    features = torch.ones(len(lengths), max(lengths), channels)
    none = torch.zeros(len(lengths), 0, dtype=torch.int64)
    zeros = torch.zeros(len(lengths), dtype=torch.int64)
    keys = (KEY,) * len(lengths)
    return Batch(features, torch.tensor(lengths), none, zeros, zeros, keys, (None,) * len(lengths))


OFF = {
    "max_speed_change": 0.0,
    "white_noise_sd": 0.0,
    "constant_offset_sd": 0.0,
    "max_cut_frames": 0,
    "time_masks": 0,
}


def test_no_augmentation_changes_nothing():
    batch = make_batch([9, 9])
    assert torch.equal(augment(batch, AugmentationConfig(**OFF)).features, batch.features)


def test_noise_and_offset_have_their_standard_deviations():
    torch.manual_seed(0)
    noisy = augment(make_batch([4000], 20), AugmentationConfig(**OFF | {"white_noise_sd": 0.5})).features
    assert noisy.std().item() == pytest.approx(0.5, rel=0.02)
    offset = augment(make_batch([30], 20_000), AugmentationConfig(**OFF | {"constant_offset_sd": 0.3})).features
    assert offset[0, 0].std().item() == pytest.approx(0.3, rel=0.03)
    torch.testing.assert_close(offset.std(dim=1), torch.zeros(1, 20_000), rtol=0, atol=1e-6)


@given(st.lists(st.integers(20, 200), min_size=1, max_size=4), st.integers(1, 20), st.floats(0.0, 0.3))
def test_time_masks_hide_whole_frames_within_their_bound(lengths, masks, fraction):
    options = OFF | {"time_masks": masks, "time_mask_max_fraction": fraction}
    features = augment(make_batch(lengths), AugmentationConfig(**options)).features
    for row, length in enumerate(lengths):
        per_frame = features[row, :length].unique(dim=1)
        assert per_frame.shape[1] == 1
        assert int((per_frame == 0).sum()) <= masks * math.floor(length * fraction + 1e-4)  # float32 rounds up
        assert (features[row, length:] == 0).all()


def test_a_cut_takes_the_first_frames_of_the_whole_batch():
    batch = make_batch([9, 6])
    batch.features[:, :, 0] = torch.arange(9.0)
    lengths = set()
    for seed in range(30):
        torch.manual_seed(seed)
        cut = augment(batch, AugmentationConfig(**OFF | {"max_cut_frames": 2}))
        gone = 9 - int(cut.frame_lengths[0])
        lengths.add(gone)
        assert cut.frame_lengths.tolist() == [9 - gone, 6 - gone]
        assert cut.features[0, :, 0].tolist() == list(range(gone, 9))
    assert lengths == {0, 1, 2}


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.floats(0.0, 0.5), st.integers(0, 99))
def test_a_changed_speed_interpolates_within_each_trial(lengths, most, seed):
    torch.manual_seed(seed)
    batch = make_batch(lengths)
    batch.features.normal_()
    config = AugmentationConfig(**OFF | {"max_speed_change": most})
    played = augment(batch, config)
    for trial, (length, new) in enumerate(zip(lengths, played.frame_lengths.tolist(), strict=True)):
        assert fewest_frames(length, config) <= new <= math.ceil(length * (1 + most))
        if new:
            expected = interpolate(batch.features[trial : trial + 1, :length].mT, size=new, mode="linear")
            torch.testing.assert_close(played.features[trial, :new], expected[0].mT, rtol=0, atol=1e-4)
        assert (played.features[trial, new:] == 0).all()


def test_speeds_differ_between_trials_and_are_spread_evenly():
    torch.manual_seed(0)
    played = augment(make_batch([1000] * 400), AugmentationConfig(**OFF | {"max_speed_change": 0.2}))
    duration = played.frame_lengths / 1000
    assert duration.mean().item() == pytest.approx(1.0, abs=0.02)
    assert (duration.std() * math.sqrt(12)).item() == pytest.approx(0.4, rel=0.05)
    assert 0.8 <= duration.min() < 0.81
    assert 1.19 < duration.max() <= 1.2


def test_a_trial_must_fit_at_its_highest_speed_and_longest_cut():
    assert fewest_frames(100, AugmentationConfig(max_speed_change=0.12, max_cut_frames=2)) == 86
    assert fewest_frames(1, AugmentationConfig(max_cut_frames=2)) == 0


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (RNNTScaling.sequence_length, [47.5 / 2, 47.5 / 2]),
        (RNNTScaling.sqrt, [math.sqrt(47.5 * 9)] * 2),
        (RNNTScaling.label_length, [10, 8]),
        (RNNTScaling.gradient, [10, 8]),
        (RNNTScaling.none, [1, 1]),
    ],
)
def test_the_scalings_are_their_formulas(scaling, expected):
    found = rnnt_divisor(scaling, torch.tensor([10, 8]), UpdateSize(2, 95, 18))
    assert found.tolist() == pytest.approx(expected)


def test_no_scaling_divides_by_less_than_one():
    for scaling in RNNTScaling:
        assert rnnt_divisor(scaling, torch.tensor([0]), UpdateSize(1, 1, 0)).tolist() == [1.0]


def test_ctc_is_pytorchs_mean_when_averaged():
    torch.manual_seed(0)
    log_probs = torch.randn(3, 20, 41).log_softmax(-1)
    labels, frames, counts = torch.randint(1, 41, (3, 6)), torch.tensor([20, 15, 18]), torch.tensor([6, 4, 5])
    expected = torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), labels, frames, counts, reduction="mean")
    torch.testing.assert_close(ctc_nats_per_label(log_probs, labels, frames, counts).mean(), expected)
