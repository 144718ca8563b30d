"""The joiner: logits of every (encoder frame, label position) from the encoder's and the predictor's outputs.

Each joiner first projects both sides, (B, S, D) and (B, U+1, P), to a common width J. The big (B, S, U+1, .) tensors
are then built by `logits` for a few cells at a time in search, or never, inside the fused loss.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mode_ssm.config import AdditiveJoinerConfig, TanhJoinerConfig


class Joiner(nn.Module, ABC):
    """The base of all joiners."""

    encoder_projection: nn.Linear
    predictor_projection: nn.Linear

    @abstractmethod
    def logits(self, encoder: Tensor, predictor: Tensor) -> Tensor:
        """Projected (..., J) and (..., J), broadcast, to (..., V)."""


class TanhJoiner(Joiner):
    """logits = W tanh(encoder + predictor) + b (Graves et al. 2013, section 2.4)."""

    def __init__(self, config: TanhJoinerConfig, encoder_width: int, predictor_width: int, classes: int) -> None:
        super().__init__()
        width = config.width or encoder_width
        self.encoder_projection = nn.Linear(encoder_width, width)
        self.predictor_projection = nn.Linear(predictor_width, width, bias=False)
        self.output = nn.Linear(width, classes)

    def logits(self, encoder: Tensor, predictor: Tensor) -> Tensor:
        logits: Tensor = self.output((encoder + predictor).tanh())
        return logits


class AdditiveJoiner(Joiner):
    """logits = encoder + predictor, both of width V (the factorisation of Variani et al. 2020 without its gate)."""

    def __init__(
        self,
        config: AdditiveJoinerConfig,  # noqa: ARG002
        encoder_width: int,
        predictor_width: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.encoder_projection = nn.Linear(encoder_width, classes)
        self.predictor_projection = nn.Linear(predictor_width, classes, bias=False)

    def logits(self, encoder: Tensor, predictor: Tensor) -> Tensor:
        return encoder + predictor
