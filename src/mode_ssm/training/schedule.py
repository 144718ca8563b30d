"""What changes from update to update: the learning rate and the transducer's weight, as plain functions of counters."""

import math
from collections.abc import Iterator

from mode_ssm.config import Decay, NoJoinerConfig, ScheduleConfig, StageConfig, TrainConfig, TrainingConfig
from mode_ssm.errors import InputError


def learning_rate(
    peak: float, schedule: ScheduleConfig, *, done: float, stage_start: int, update_in_stage: int
) -> float:
    """Linear warm-up to `peak`, then a cosine or a step to `final_lr_fraction * peak`, re-warmed at a stage switch.

    Args:
        done: share of the run that is behind, 0 to 1, over all stages.
        stage_start: the update with which the stage began; before 0 nothing was trained, so nothing is re-warmed.
        update_in_stage: counted from 0.
    """
    floor = schedule.final_lr_fraction
    done = min(done, 1.0)
    match schedule.decay:
        case Decay.cosine:
            fraction = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
        case Decay.step:
            fraction = 1.0 if done < schedule.step_at else floor
    warm = schedule.rewarm_updates if stage_start else schedule.warmup_updates
    return peak * fraction * min((update_in_stage + 1) / max(warm, 1), 1.0)


def check_stages(config: TrainConfig) -> None:
    """Hold the stages against the network before any time is spent on them.

    Raises:
        InputError: for a stage that trains a transducer that is not there, or nothing, or where no stage has an epoch.
    """
    if not any(stage.epochs for stage in config.training.stages):
        raise InputError("Every stage has 0 epochs; set training.stages.0.epochs, or another's, to 1 or more.")
    for index, stage in enumerate(config.training.stages):
        if stage.epochs and not stage.ctc_weight and not stage.rnnt_weight:
            raise InputError(
                f"training.stages.{index} has ctc_weight=0 and rnnt_weight=0, so it would train nothing; give one of "
                f"them a weight, or set training.stages.{index}.epochs=0."
            )
        if stage.rnnt_weight > 0 and isinstance(config.joiner, NoJoinerConfig):
            key = f"training.stages.{index}.rnnt_weight"
            raise InputError(f"{key}={stage.rnnt_weight} but joiner=none; set it to 0, or choose joiner=tanh.")


def short_stages(training: TrainingConfig, updates_per_epoch: int, first: int = 0) -> Iterator[str]:
    """A sentence for each stage, from the `first` on, that ends before its learning rate is warm."""
    trained = False
    for index, stage in enumerate(training.stages):
        name = "rewarm_updates" if trained else "warmup_updates"
        warm, updates = getattr(training.schedule, name), stage.epochs * updates_per_epoch
        if 0 < updates < warm and index >= first:
            yield (
                f"Stage {stage.name} has {updates} updates and training.schedule.{name} is {warm}: its learning rate "
                f"will come to {100 * updates / warm:.0f} % of its schedule's at most"
            )
        trained = trained or updates > 0


def transducer_weight(stage: StageConfig, update_in_stage: int) -> float:
    """The stage's RNN-T weight; with a ramp it rises linearly from a tenth of it (the idea of icefall's warm-up)."""
    if stage.rnnt_ramp_updates <= update_in_stage:
        return stage.rnnt_weight
    return stage.rnnt_weight * (0.1 + 0.9 * update_in_stage / stage.rnnt_ramp_updates)
