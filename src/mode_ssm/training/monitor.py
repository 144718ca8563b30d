"""The monitor of every run: takes in each record as it is written, and says in words when an alarm goes off."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mode_ssm.config import TrainConfig
from mode_ssm.labels import T15
from mode_ssm.training.alarms import update_alarms, validation_alarms
from mode_ssm.training.history import REMEMBERED_UPDATES, History, LogLine
from mode_ssm.training.terms import run_terms

QUIET_UPDATES = 100  # an alarm about updates is over when it has not gone off for so many


class Monitor:
    """Watches a run, one stage at a time.

    An alarm speaks once, and again when it was over in between or another stage has begun.

    Args:
        updates_per_epoch: of each stage.
        speaking: for each alarm that is not over, the update at which it last went off; kept in the checkpoint.
        records: of a resumed run; those of versions that measured less are passed over.
        rate: what the error rates are called.
    """

    def __init__(
        self,
        config: TrainConfig,
        updates_per_epoch: Sequence[int],
        speaking: dict[str, int],
        records: Iterable[LogLine] = (),
        rate: str = T15.rate,
    ) -> None:
        self.config, self.updates_per_epoch, self.speaking = config, updates_per_epoch, speaking
        terms = run_terms(config)
        self.alarms = {"update": update_alarms(terms), "validation": validation_alarms(terms)}
        self.history = History(config.training.stages[0], 0, config.losses, in_all=0, rate=rate)
        for record in records:
            self._remember(record)

    def begin(self, number: int, start: int) -> None:
        """Turn to stage `number`, which began after `start` updates."""
        stage = self.config.training.stages[number]
        in_all = stage.epochs * self.updates_per_epoch[number]
        of_stage = [record for record in self.history.updates if record["update"] > start]
        if not of_stage:
            self.speaking.clear()
        self.history = replace(self.history, stage=stage, number=number, start=start, in_all=in_all, updates=of_stage)

    def see(self, record: LogLine) -> Iterator[LogLine]:
        """Take in a record; gives a record of kind warning for each alarm that begins to go off."""
        self._remember(record)
        quiet = QUIET_UPDATES if record["kind"] == "update" else 1
        for name, rule in self.alarms.get(record["kind"], ()):
            text, update = rule(self.history), record["update"]
            if text is None:
                if update - self.speaking.get(name, update) >= quiet:
                    del self.speaking[name]
                continue
            if name not in self.speaking:
                where = {key: record[key] for key in ("stage", "epoch", "update")}
                yield {"kind": "warning", "rule": name, "text": text} | where
            self.speaking[name] = update

    def _remember(self, record: LogLine) -> None:
        if record["kind"] == "update" and "grad_norms" in record:
            self.history.updates.append(record)
            del self.history.updates[:-REMEMBERED_UPDATES]
        elif record["kind"] == "validation":
            self.history.validations.append(record)
