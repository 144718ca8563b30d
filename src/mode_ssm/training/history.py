"""The last records of a run, as the alarms look at them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mode_ssm.config import LossesConfig, StageConfig
from mode_ssm.labels import T15

LogLine = dict[str, Any]  # a line of metrics.jsonl

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
    updates: list[LogLine] = field(default_factory=list)  # the last REMEMBERED_UPDATES, skipped ones too
    validations: list[LogLine] = field(default_factory=list)  # of the whole run
    rate: str = T15.rate  # what the error rates are called

    def last(self, key: str, count: int) -> list[float]:
        """The last `count` values that were measured; nothing where there are fewer."""
        values = [record[key] for record in self.updates if record.get(key) is not None][-count:]
        return values if len(values) == count else []

    @property
    def done(self) -> int:
        """Updates of the stage so far."""
        return int(self.updates[-1]["update"]) - self.start if self.updates else 0

    @property
    def setting(self) -> str:
        return f"training.stages.{self.number}"

    @property
    def settled(self) -> bool:
        """Whether what the stage has not learnt by now is late: after 1000 updates, or 60 % of a shorter stage."""
        return self.done >= max(FEWEST_UPDATES, min(SETTLED_UPDATES, SETTLED_SHARE * self.in_all))


class Alarm(NamedTuple):
    """A rule that sees from a run's own numbers that it is about to be lost, and says so with what to change."""

    name: str  # as it stands in metrics.jsonl
    rule: Callable[[History], str | None]  # its sentence, or None while all is well
