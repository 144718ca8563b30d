"""What a term of a training stage is: a loss over the encoder's frames, and all that is said of it by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from mode_ssm.batch import Batch
from mode_ssm.config import LossesConfig, ModelConfig
from mode_ssm.losses.objective import UpdateSize
from mode_ssm.models.model import Encoded, ModeSSM
from mode_ssm.training.history import Alarm


class Measured(NamedTuple):
    """A number that is measured of a term: its key in metrics.jsonl, and how a report draws it."""

    key: str
    title: str
    label: str
    healthy: str  # the sentence that says what a sound run looks like
    unit: str = ""
    log: bool = False
    section: str = "balance"  # of the report: balance, or rates beside the error rates


class TermInput(NamedTuple):
    """What a term sees of a batch: the trials that it can use, encoded."""

    model: ModeSSM
    encoded: Encoded  # what flows back through its frames is measured
    batch: Batch
    size: UpdateSize  # counts over all trials of the update that the term can use
    autocast: Callable[[], AbstractContextManager[object]]  # for matrix products; a loss is computed outside of it


class TermLoss(NamedTuple):
    """A batch's share of the update: summed over an update's batches and processes these are the update's means."""

    loss: Tensor
    numbers: Mapping[str, Tensor]  # by key of `Term.measured`, without a gradient


class GreedyPath(NamedTuple):
    labels: list[list[int]]  # of each trial
    blanks: Tensor  # (N,) the probabilities of blank that were met on the way


class Term(ABC):
    """A loss that stages train with a weight. A new one is a file of its own and a line in `terms/__init__.py`.

    One object serves one run and holds what the term has learnt from its updates. Everything outside of terms loops
    over them in their order: the objective, the console, metrics.jsonl, the alarms, the picture and the report. The
    first term of a run is what the others are held against.
    """

    name: ClassVar[str]  # in the settings and in the keys of metrics.jsonl; a validated term's is that of its head
    title: ClassVar[str]  # as people write it
    healthy: ClassVar[str]  # the sentence that says how a sound loss runs
    needs_labels: ClassVar[bool] = True  # or it also sees trials without
    needs_alignment: ClassVar[bool] = False  # or it also sees trials with fewer frames than CTC needs for the labels
    parts: ClassVar[tuple[str, ...]] = ()  # of the network, besides what all terms train
    validated: ClassVar[bool] = False  # whether `decode` gives labels, to count errors in
    measured: ClassVar[Sequence[Measured]] = ()  # in each update
    validation_measured: ClassVar[Sequence[Measured]] = ()  # in each validation
    carried: ClassVar[tuple[str, ...]] = ()  # attributes that an update leaves to the next, through a checkpoint too
    loss_ratio_band: ClassVar[tuple[float, float] | None] = None  # the loss over the first term's, both untrained
    loss_ratio_healthy: ClassVar[str] = ""  # the sentence that says so
    scaling_hint: str = ""  # a setting that mends the balance with the other terms

    def __init__(self, losses: LossesConfig) -> None:
        self.losses = losses

    @property
    def unit(self) -> str:
        """Of the loss."""
        return ""

    @property
    def loss_key(self) -> str:
        return f"loss_{self.name}"

    @property
    def gradient_key(self) -> str:
        """The norm of the weighted loss's gradient at the encoder's output."""
        return f"encoder_grad_{self.name}"

    @property
    def gradient_ratio_key(self) -> str:
        """That norm over the first term's."""
        return f"encoder_grad_ratio_{self.name}"

    @property
    def loss_title(self) -> str:
        return f"{self.title} loss"

    @property
    def compared(self) -> Measured:
        """The number by which runs are compared."""
        return Measured(self.loss_key, f"{self.title} loss", self.title, "", "as trained", log=True)

    def lacks(self, model: ModelConfig) -> str:  # noqa: ARG002
        """What of the network is not there for the term, and what to set; empty where all is."""
        return ""

    @abstractmethod
    def loss(self, given: TermInput) -> TermLoss:
        """The loss of a batch, as a share of the update's mean: sums divided by counts over the whole update."""

    def decode(self, model: ModeSSM, encoded: Encoded) -> GreedyPath:
        """The labels that the term's head finds greedily."""
        raise NotImplementedError(f"{self.name} is not validated")

    def validate(self, model: ModeSSM, encoded: Encoded, batch: Batch, others: Sequence["Term"]) -> dict[str, float]:
        """The numbers of `validation_measured`, of one batch; `others` are validated beside it."""
        raise NotImplementedError(f"{self.name} measures nothing in a validation")

    def follow(self, gradient: float, first: float) -> None:  # noqa: B027  (most terms learn nothing from it)
        """Learn from an update: the norms of this term's and of the first one's unweighted gradients at the encoder."""

    def state(self) -> dict[str, Any]:
        """What the next update needs of the last ones, for the checkpoint."""
        return {name: getattr(self, name) for name in self.carried}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        for name in self.carried:
            setattr(self, name, state[name])

    def silence_hint(self, setting: str) -> str:
        """What to change where the head of a settled stage says blank and little else; `setting` is the stage's."""
        return f"raise {setting}.{self.name}_weight, or training.optimizer.lr"

    def update_alarms(self, first: "Term") -> tuple[Alarm, ...]:  # noqa: ARG002
        return ()

    def validation_alarms(self, first: "Term") -> tuple[Alarm, ...]:  # noqa: ARG002
        return ()
