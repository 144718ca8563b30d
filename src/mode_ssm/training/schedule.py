"""What changes from update to update: the learning rate and the transducer's weight, as plain functions of counters."""

import math

from mode_ssm.config import ScheduleConfig, StageConfig


def learning_rate(
    peak: float, schedule: ScheduleConfig, *, update: int, total: int, stage: int, update_in_stage: int
) -> float:
    """Linear warm-up to `peak`, cosine to `final_lr_fraction * peak` over all stages, re-warmed at a stage switch.

    Args:
        update, total: updates done, and in all, over all stages.
        stage, update_in_stage: counted from 0.
    """
    floor = schedule.final_lr_fraction
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(update / max(total, 1), 1.0)))
    warm = schedule.rewarm_updates if stage else schedule.warmup_updates
    return peak * cosine * min((update_in_stage + 1) / max(warm, 1), 1.0)


def transducer_weight(stage: StageConfig, update_in_stage: int) -> float:
    """The stage's RNN-T weight; with a ramp it rises linearly from a tenth of it (the idea of icefall's warm-up)."""
    if stage.rnnt_ramp_updates <= update_in_stage:
        return stage.rnnt_weight
    return stage.rnnt_weight * (0.1 + 0.9 * update_in_stage / stage.rnnt_ramp_updates)
