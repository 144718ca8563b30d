"""The last records of a run, as the alarms look at them."""

from dataclasses import dataclass, field
from typing import Any

from mode_ssm.config import LossesConfig, RNNTScaling, StageConfig

Record = dict[str, Any]  # a line of metrics.jsonl

REMEMBERED_UPDATES = 120  # somewhat more than alarms look at, for skipped ones measure little
SETTLED_UPDATES, SETTLED_SHARE, FEWEST_UPDATES = 1000, 0.6, 100  # see History.settled


@dataclass
class History:
    """What a stage has shown so far, the newest last."""

    stage: StageConfig
    number: int  # of the stage, from 0
    losses: LossesConfig
    in_all: int  # updates that the stage will have
    start: int = 0  # updates done before it
    updates: list[Record] = field(default_factory=list)  # the last REMEMBERED_UPDATES, skipped ones too
    validations: list[Record] = field(default_factory=list)  # of the whole run

    def last(self, key: str, count: int) -> list[float]:
        """The last `count` values that were measured; nothing where there are fewer."""
        values = [record[key] for record in self.updates if record[key] is not None][-count:]
        return values if len(values) == count else []

    @property
    def done(self) -> int:
        """Updates of the stage so far."""
        return int(self.updates[-1]["update"]) - self.start if self.updates else 0

    @property
    def setting(self) -> str:
        return f"training.stages.{self.number}"

    @property
    def other_scaling(self) -> str:
        """A setting that mends what is wrong between the losses, whichever of them is too strong."""
        uses_it = self.losses.rnnt_scaling is RNNTScaling.gradient
        return "losses.rnnt_scaling=" + ("label_length" if uses_it else "gradient")

    @property
    def settled(self) -> bool:
        """Whether what the stage has not learnt by now is late: after 1000 updates, or 60 % of a shorter stage."""
        return self.done >= max(FEWEST_UPDATES, min(SETTLED_UPDATES, SETTLED_SHARE * self.in_all))
