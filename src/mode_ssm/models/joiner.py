"""The joiner: logits of every (encoder frame, label position) from the encoder's and the predictor's outputs.

Each joiner first projects both sides, (B, S, D) and (B, U+1, P), to a common width J. The big (B, S, U+1, .) tensors
are then built by `logits` for a few cells at a time in search, or never, inside the fused loss.
"""

from torch import Tensor, nn

from mode_ssm.config import AdditiveJoinerConfig, JoinerConfig, TanhJoinerConfig
from mode_ssm.errors import InputError


class TanhJoiner(nn.Module):
    """logits = W tanh(encoder + predictor) + b (Graves et al. 2013, section 2.4)."""

    def __init__(self, config: TanhJoinerConfig, encoder_width: int, predictor_width: int, classes: int) -> None:
        super().__init__()
        width = config.width or encoder_width
        self.encoder_projection = nn.Linear(encoder_width, width)
        self.predictor_projection = nn.Linear(predictor_width, width, bias=False)
        self.output = nn.Linear(width, classes)

    def logits(self, encoder: Tensor, predictor: Tensor) -> Tensor:
        """Projected (..., J) and (..., J), broadcast, to (..., V)."""
        logits: Tensor = self.output((encoder + predictor).tanh())
        return logits


class AdditiveJoiner(nn.Module):
    """logits = encoder + predictor, both of width V (the factorisation of Variani et al. 2020 without its gate)."""

    def __init__(self, encoder_width: int, predictor_width: int, classes: int) -> None:
        super().__init__()
        self.encoder_projection = nn.Linear(encoder_width, classes)
        self.predictor_projection = nn.Linear(predictor_width, classes, bias=False)

    def logits(self, encoder: Tensor, predictor: Tensor) -> Tensor:
        """Projected (..., V) and (..., V), broadcast, to (..., V)."""
        return encoder + predictor


Joiner = TanhJoiner | AdditiveJoiner


def build_joiner(config: JoinerConfig, encoder_width: int, predictor_width: int, classes: int) -> Joiner:
    """The joiner that a configuration names, for V classes."""
    match config:
        case TanhJoinerConfig():
            return TanhJoiner(config, encoder_width, predictor_width, classes)
        case AdditiveJoinerConfig():
            return AdditiveJoiner(encoder_width, predictor_width, classes)
    raise InputError(f"joiner.kind={config.kind} is not a joiner; choose joiner=tanh, additive or none.")
