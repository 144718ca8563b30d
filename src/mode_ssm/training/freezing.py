"""Parts of the network that wait at the start of a stage."""

from mode_ssm.config import StageConfig
from mode_ssm.models.model import ModeSSM


def longest_wait(stage: StageConfig) -> int:
    """Updates of the stage after which no part waits any more."""
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
