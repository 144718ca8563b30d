"""Two terms held against each other: each further term of a run against its first."""

from collections.abc import Sequence
from typing import NamedTuple

from mode_ssm.config import StageConfig
from mode_ssm.training.terms import Term


class Balance(NamedTuple):
    first: Term
    further: Term

    @property
    def loss_key(self) -> str:
        """The further loss over the first, without their weights."""
        return f"{self.further.name}_{self.first.name}_ratio"

    @property
    def gradient_key(self) -> str:
        """The norm of the further gradient at the encoder's output over that of the first, both weighted."""
        return self.further.gradient_ratio_key

    @property
    def loss_title(self) -> str:
        return f"{self.further.loss_title} / {self.first.loss_title}"

    @property
    def gradient_title(self) -> str:
        return f"{self.further.title} gradient / {self.first.title} gradient at the encoder's output"

    def target(self, stage: StageConfig) -> float | None:
        """What the ratio of the gradients is held against: that of the weights; None where one of them is 0."""
        first, further = (stage.weights.get(term.name, 0.0) for term in self)
        return further / first if first and further else None


def balances(terms: Sequence[Term]) -> list[Balance]:
    return [Balance(terms[0], term) for term in terms[1:]]
