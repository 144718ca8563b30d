"""Which batches each process reads in which epoch of a run, and how much of the run lies behind a place in it."""

import math
from collections.abc import Sequence

from mode_ssm.config import StageConfig, TrainingConfig
from mode_ssm.data import deal, epoch_batches, padded_frames
from mode_ssm.recognition.checkpoint import Position
from mode_ssm.training.splits import Splits


class Timetable:
    """The epochs of all stages.

    Args:
        rank: of this process among so many `processes`.
    """

    def __init__(self, training: TrainingConfig, splits: Splits, rank: int = 0, processes: int = 1) -> None:
        self._training, self._splits, self._rank, self._processes = training, splits, rank, processes
        lengths: dict[tuple[str, ...], int] = {}
        for stage in training.stages:
            key = tuple(sorted(stage.splits))
            lengths[key] = lengths.get(key) or len(self.plan(stage, 0))
        self.batches = [lengths[tuple(sorted(stage.splits))] for stage in training.stages]  # in an epoch of each stage
        self.updates = [math.ceil(count / training.gradient_accumulation_steps) for count in self.batches]

    def plan(self, stage: StageConfig, epoch: int, earlier: Sequence[Sequence[int]] = ()) -> list[list[int]]:
        """This process's batches of an epoch, counted over all stages, of a stage's trials; every process gets as many.

        earlier says what of the epoch was read by other numbers of processes, see `deal`.
        """
        training, entries = self._training, self._splits.trained_on(stage).entries
        plan = epoch_batches(
            entries,
            batching=training.batching,
            batch_size=training.batch_size,
            sessions_per_batch=training.sessions_per_batch,
            seed=training.seed,
            epoch=epoch,
        )
        sizes = [padded_frames(entries, batch) for batch in plan]
        return [plan[turn[self._rank]] for turn in deal(sizes, self._processes, earlier)]

    @property
    def epochs(self) -> int:
        """Of all stages."""
        return sum(stage.epochs for stage in self._training.stages)

    @property
    def all_batches(self) -> int:
        return self._sum(self.batches, self._epochs)

    def epochs_done(self, position: Position) -> int:
        return sum(self._epochs_done(position))

    def batches_done(self, position: Position) -> int:
        return self._sum(self.batches, self._epochs_done(position)) + position.batch

    def share_done(self, position: Position) -> float:
        """Of the run's updates, 0 to 1; counted from the place in the data, which holds for any number of processes."""
        in_epoch = position.batch // self._training.gradient_accumulation_steps
        done = self._sum(self.updates, self._epochs_done(position)) + in_epoch
        return done / self._sum(self.updates, self._epochs)

    @property
    def _epochs(self) -> list[int]:
        return [stage.epochs for stage in self._training.stages]

    def _epochs_done(self, position: Position) -> list[int]:
        """By stage; of one that was made shorter on resuming, no more than it has now."""
        done = position.stage
        here = [min(position.epoch, stage.epochs) for stage in self._training.stages[done : done + 1]]
        return [*self._epochs[:done], *here]

    @staticmethod
    def _sum(each: Sequence[int], epochs: Sequence[int]) -> int:
        return sum(count * number for count, number in zip(each, epochs, strict=False))
