"""Each alarm goes off on a history that shows its failure, with the number seen, for how long, and what to change."""

import copy

import pytest

from mode_ssm.config import CTCNormalisation, LossesConfig, RNNTScaling, StageConfig, TrainConfig, TrainingConfig
from mode_ssm.training.alarms import update_alarms, validation_alarms
from mode_ssm.training.history import History
from mode_ssm.training.terms import run_terms

PARTS = ("preprocessor", "encoder", "ctc_head", "predictor", "joiner")
STAGE = StageConfig("joint_train", 10, weights={"ctc": 0.3, "rnnt": 1.0})


def update(number, **changes):
    sound = {"kind": "update", "update": number, "skipped_now": False, "loss_ctc": 3.0, "rnnt_ctc_ratio": 1.2}
    sound |= {"encoder_grad_ratio": 3.3, "grad_norm": 4.0, "clip_norm": 1.0, "grad_norms": dict.fromkeys(PARTS, 1.0)}
    return sound | changes


def validation(number, **changes):
    sound = {"kind": "validation", "update": number, "per_ctc": 0.3, "per_rnnt": 0.35, "emission_delay_ms": 80.0}
    return sound | {"blank_ctc": 0.6, "blank_rnnt": 0.7} | changes


def history(
    updates=(), validations=(), before=({}, {}, {}), scaling=RNNTScaling.sequence_length, start=400, in_all=10**6
):
    """1,100 updates into stage 1, the last 100 of which are here; changes by place among those."""
    records = [update(start + 1000 + n) for n in range(1, 101)]
    for place, changes in updates:
        records[place] |= changes
    seen = [validation(start + 900 + 100 * n, **changes) for n, changes in enumerate([*before, *validations])]
    return History(STAGE, 1, LossesConfig(rnnt_scaling=scaling), in_all, start, records, seen)


LAST_50 = range(50, 100)
NONE_OF_IT = dict.fromkeys(PARTS, 1.0)
FAILURES = {
    "rnnt_gradient": (
        history([(n, {"encoder_grad_ratio": 60.0 + n % 5}) for n in LAST_50]),
        "The RNN-T gradient at the encoder has been 62 times the CTC gradient for 50 updates; set "
        "losses.rnnt_scaling=gradient or lower training.stages.1.rnnt_weight.",
    ),
    "ctc_gradient": (
        history([(n, {"encoder_grad_ratio": 0.01}) for n in LAST_50]),
        "The RNN-T gradient at the encoder has been only 0.01 times the CTC gradient for 50 updates; set "
        "losses.rnnt_scaling=gradient or lower training.stages.1.ctc_weight.",
    ),
    "loss_ratio": (
        history([(n, {"rnnt_ctc_ratio": 31.0}) for n in LAST_50]),
        "The scaled RNN-T loss has been 31 times the CTC loss for 50 updates, where 0.05 to 20 is usual; set "
        "losses.rnnt_scaling=label_length.",
    ),
    "clipping": (
        history([(n, {"grad_norm": 400.0}) for n in range(5, 100)] + [(n, {"grad_norm": 0.5}) for n in range(5)]),
        "95 % of the last 100 updates were clipped, from a gradient norm 400 times the bound; lower "
        "training.optimizer.lr, or set losses.rnnt_scaling=gradient in a joint stage.",
    ),
    "gradient_growth": (
        history([(n, {"grad_norm": 48.0}) for n in range(90, 100)]),
        "The gradient norm has been 48 for 10 updates, 12 times its median of the 90 updates before; lower "
        "training.optimizer.lr or training.max_grad_norm.",
    ),
    "silent_part": (
        history([(n, {"grad_norms": NONE_OF_IT | {"joiner": 0.0, "predictor": 0.0}}) for n in range(80, 100)]),
        "The gradient of the predictor and the joiner has been 0 for 20 updates, so nothing is learnt there; look for "
        "a weight of 0 or dead units, and start again with a lower training.optimizer.lr.",
    ),
    "skips": (
        history([(n, {"skipped_now": True}) for n in range(0, 100, 14)]),
        "8 of the last 100 updates were skipped for NaN/Inf; look at the batches in the run's folder skipped, or lower "
        "training.optimizer.lr.",
    ),
    "blank_collapse": (
        history(validations=[{"blank_rnnt": 0.991, "per_rnnt": 0.96}], before=()),
        "After 1100 updates of the stage the RNN-T head still says blank and little else (probability 0.99, PER 96 "
        "%); train CTC alone before, raise training.stages.1.rnnt_weight, or set training.optimizer.lr near 1e-3.",
    ),
    "head_behind": (
        history(validations=[{"per_rnnt": rate, "per_ctc": 0.3} for rate in (0.84, 0.86, 0.82)], before=[]),
        "After 1100 updates of the stage the RNN-T head has PER 82 % (84 % two validations ago), the CTC head 30 %; "
        "raise training.stages.1.rnnt_weight, or set losses.rnnt_scaling=gradient.",
    ),
    "worse_than_best": (
        history(validations=[{"per_ctc": 0.2}, {"per_ctc": 0.44}, {"per_ctc": 0.41}]),
        "The PER of the CTC head was 20.0 % and has been 41.0 % or more in the last 2 validations; lower "
        "training.optimizer.lr, or set losses.rnnt_scaling=gradient in a joint stage.",
    ),
    "emission_delay": (
        history(validations=[{"emission_delay_ms": 1234.5}]),
        "The transducer emits labels 1234 ms after CTC does (mean of a val batch after 1100 updates of the stage); set "
        "losses.fastemit_lambda=0.01, or raise training.stages.1.ctc_weight.",
    ),
}


def alarms(scaling=RNNTScaling.sequence_length):
    """Of a run with both heads, by name."""
    terms = run_terms(TrainConfig(losses=LossesConfig(rnnt_scaling=scaling), training=TrainingConfig(stages=[STAGE])))
    return {alarm.name: alarm.rule for alarm in (*update_alarms(terms), *validation_alarms(terms))}


ALARMS = alarms()
AFTER_VALIDATION = ("blank_collapse", "head_behind", "worse_than_best", "emission_delay")


def test_every_alarm_is_tried():
    assert FAILURES.keys() == ALARMS.keys()


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_sets_off_its_alarm_and_no_other(name):
    failing, sentence = FAILURES[name]
    said = {other: alarm(failing) for other, alarm in ALARMS.items()}
    assert {other: text for other, text in said.items() if text} == {name: sentence}


@pytest.mark.parametrize("name", ALARMS)
@pytest.mark.parametrize("seen", [0, 1, 19, 49, 100])
def test_a_sound_run_and_a_short_one_set_off_nothing(name, seen):
    sound = history()
    sound.updates = sound.updates[:seen]
    assert ALARMS[name](sound) is None


@pytest.mark.parametrize("name", ["rnnt_gradient", "ctc_gradient", "loss_ratio", "clipping", "gradient_growth"])
@pytest.mark.parametrize("key", ["encoder_grad_ratio", "rnnt_ctc_ratio", "loss_ctc", "grad_norm"])
def test_numbers_that_were_not_measured_set_off_nothing(name, key):
    failing = copy.deepcopy(FAILURES[name][0])
    for record in failing.updates:
        record |= {key: None}
    needs = {"loss_ratio": {"rnnt_ctc_ratio", "loss_ctc"}, "clipping": {"grad_norm"}, "gradient_growth": {"grad_norm"}}
    assert (ALARMS[name](failing) is None) == (key in needs.get(name, {"encoder_grad_ratio"}))


def test_a_stage_of_one_head_sets_off_nothing():
    alone = {"per_rnnt": None, "blank_rnnt": None, "emission_delay_ms": None}
    one = history([(n, {"encoder_grad_ratio": None, "rnnt_ctc_ratio": None}) for n in range(100)], [alone] * 3)
    assert not any(alarm(one) for alarm in ALARMS.values())


def test_what_a_young_stage_has_not_learnt_is_no_alarm_yet():
    nothing = {"per_rnnt": 1.0, "blank_rnnt": 1.0, "emission_delay_ms": 5000.0}
    young = history(validations=[nothing] * 3, before=())
    assert sum(ALARMS[name](young) is not None for name in AFTER_VALIDATION) == 3
    young.start = 550
    assert not any(ALARMS[name](young) for name in AFTER_VALIDATION)


def test_a_small_ctc_loss_says_nothing_about_the_ratio():
    late = history([(n, {"rnnt_ctc_ratio": 300.0, "loss_ctc": 0.01}) for n in range(100)])
    assert ALARMS["loss_ratio"](late) is None


def test_an_alarm_names_another_scaling_than_that_in_use():
    failing = FAILURES["rnnt_gradient"][0]
    assert "set losses.rnnt_scaling=label_length or" in alarms(RNNTScaling.gradient)["rnnt_gradient"](failing)
    failing = copy.deepcopy(FAILURES["loss_ratio"][0])
    failing.losses.rnnt_scaling = RNNTScaling.label_length
    assert "set losses.rnnt_scaling=gradient." in ALARMS["loss_ratio"](failing)


def test_the_ratio_of_the_gradients_is_held_against_that_of_the_weights():
    failing = copy.deepcopy(FAILURES["rnnt_gradient"][0])
    failing.stage = StageConfig("joint_train", 10, weights={"ctc": 0.1, "rnnt": 1.0})
    assert ALARMS["rnnt_gradient"](failing) is None


def test_a_ctc_loss_per_trial_is_not_taken_for_one_per_label():
    failing = copy.deepcopy(FAILURES["loss_ratio"][0])
    failing.losses.ctc_normalisation = CTCNormalisation.trial
    assert ALARMS["loss_ratio"](failing) is None


def test_parts_that_begin_to_learn_are_no_growth():
    failing = copy.deepcopy(FAILURES["gradient_growth"][0])
    failing.stage = StageConfig("joint_train", 10, weights={"ctc": 0.3, "rnnt": 1.0}, freeze_joiner_updates=1050)
    assert ALARMS["gradient_growth"](failing) is None


@pytest.mark.parametrize("key", ["encoder_grad_ratio", "grad_norm"])
def test_gradients_of_zero_break_no_alarm(key):
    zeros = history([(n, {key: 0.0}) for n in range(90)])
    assert ALARMS["gradient_growth"](zeros) is None
    assert (ALARMS["ctc_gradient"](history([(n, {key: 0.0}) for n in range(100)])) is None) == (key == "grad_norm")
