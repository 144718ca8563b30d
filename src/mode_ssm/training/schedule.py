"""What changes from update to update, as plain functions of counters: the learning rate, the weights, what learns."""

import math
from collections.abc import Collection, Iterator, Sequence

from mode_ssm.config import Decay, ScheduleConfig, StageConfig, TrainConfig, TrainingConfig
from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM
from mode_ssm.training.objective import Weighted
from mode_ssm.training.terms import TERMS, Term, run_terms, trained


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
    """Hold the stages against the terms and the network before any time is spent on them.

    Raises:
        InputError: for a stage with a weight for an unknown term or for one whose part of the network is not there,
            for one that trains nothing, or where no stage has an epoch.
    """
    if not any(stage.epochs for stage in config.training.stages):
        raise InputError("Every stage has 0 epochs; set training.stages.0.epochs, or another's, to 1 or more.")
    terms = run_terms(config)
    for index, stage in enumerate(config.training.stages):
        key, here = f"training.stages.{index}", trained(terms, stage)
        if stage.epochs and not here:
            weights = " and ".join(f"{name}_weight=0" for name in stage.weights) or "no weight"
            raise InputError(
                f"{key} has {weights}, so it would train nothing; give one of "
                f"{', '.join(TERMS)} a weight, or set {key}.epochs=0."
            )
        for term in here:
            if lack := term.lacks(config):
                raise InputError(f"{key}.{term.name}_weight={stage.weights[term.name]} but {lack}.")


def short_stages(training: TrainingConfig, updates_per_epoch: Sequence[int], first: int = 0) -> Iterator[str]:
    """A sentence for each stage, from the `first` on, that ends before its learning rate is warm."""
    trained = False
    for index, stage in enumerate(training.stages):
        name = "rewarm_updates" if trained else "warmup_updates"
        warm, updates = getattr(training.schedule, name), stage.epochs * updates_per_epoch[index]
        if 0 < updates < warm and index >= first:
            yield (
                f"Stage {stage.name} has {updates} updates and training.schedule.{name} is {warm}: its learning rate "
                f"will come to {100 * updates / warm:.0f} % of its schedule's at most"
            )
        trained = trained or updates > 0


def objective_at(terms: Sequence[Term], stage: StageConfig, update_in_stage: int) -> list[Weighted]:
    """What an update of a stage trains."""
    return [Weighted(term, term_weight(stage, term.name, update_in_stage)) for term in trained(terms, stage)]


def term_weight(stage: StageConfig, term: str, update_in_stage: int) -> float:
    """A term's weight; with a ramp it rises linearly from a tenth of it (the idea of icefall's warm-up)."""
    weight, ramp_updates = stage.weights[term], stage.ramp_updates.get(term, 0)
    if ramp_updates <= update_in_stage:
        return weight
    return weight * (0.1 + 0.9 * update_in_stage / ramp_updates)


def longest_wait(stage: StageConfig) -> int:
    """Updates of the stage after which no part of the network waits any more."""
    return max(stage.freeze_encoder_updates, stage.freeze_predictor_updates, stage.freeze_joiner_updates)


def freeze(model: ModeSSM, stage: StageConfig, update_in_stage: int) -> None:
    """Let each part learn once its updates of waiting are over; until then it has no gradient and so does not move."""
    waits = {
        model.preprocessor: stage.freeze_encoder_updates,
        model.encoder: stage.freeze_encoder_updates,
        model.predictor: stage.freeze_predictor_updates,
        model.joiner: stage.freeze_joiner_updates,
    }
    for part, updates in waits.items():
        if part is not None:
            part.requires_grad_(update_in_stage >= updates)


def hold(model: ModeSSM, learn: Collection[str] | None) -> None:
    """Let nothing learn but the parts named; `session` and `participant` are the maps within the preprocessor.

    Raises:
        InputError: where a part is not there.
    """
    if learn is None:
        return
    within = {"session": "preprocessor.session.", "participant": "preprocessor.participants."}
    names = {part: within.get(part, f"{part}.") for part in learn}
    for part, name in names.items():
        if not any(known.startswith(name) for known, _ in model.named_parameters()):
            raise InputError(f"training.learn names {part}, which this network does not have; leave it out.")
    for known, parameter in model.named_parameters():
        if not known.startswith(tuple(names.values())):
            parameter.requires_grad_(False)
