"""The training loop, in the order in which it runs: open data, build or resume, then stages of epochs of updates.

An update reads `gradient_accumulation_steps` batches, divides every loss by counts over all of them (and over all
processes), sums the gradients, clips, and steps; or is skipped, and said so, when a loss or gradient is not finite.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning_fabric import Fabric

from mode_ssm.batch import Batch
from mode_ssm.config import Resume, StageConfig, TrainConfig
from mode_ssm.data import LeftOut, Problem, TrialDataset, read_batches, sequential_batches
from mode_ssm.errors import InputError
from mode_ssm.files import put_also
from mode_ssm.memory import keep_freed_memory
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import Checkpoint, Position, load_optimizer, save_checkpoint, sentence_hashes
from mode_ssm.training.card import write_card
from mode_ssm.training.devices import any_process, gather_lines, peak_memory_mb, start_fabric
from mode_ssm.training.display import Display, epoch_summary, introduction, outcome
from mode_ssm.training.inherited import Inherited, inherit
from mode_ssm.training.monitor import Monitor
from mode_ssm.training.optimizer import build_optimizer, set_learning_rate
from mode_ssm.training.picture import draw_run
from mode_ssm.training.resume import changed_settings, find_resumable, same_sentences
from mode_ssm.training.run_folder import RunFolder, new_name
from mode_ssm.training.running import RunningStatistics
from mode_ssm.training.schedule import (
    check_stages,
    freeze,
    hold,
    learning_rate,
    longest_wait,
    objective_at,
    short_stages,
)
from mode_ssm.training.splits import Splits, check_labels, keep_reference, open_splits
from mode_ssm.training.stopping import StopRequest
from mode_ssm.training.terms import run_terms, trained
from mode_ssm.training.timetable import Timetable
from mode_ssm.training.update import Update, run_update
from mode_ssm.training.validation import validate
from mode_ssm.training.watch import together

WORST = math.inf


def train(config: TrainConfig) -> Path:
    """Train all stages and return the run folder.

    Raises:
        InputError: for data or settings that cannot be trained on, and after too many skipped updates in a row.
        SystemExit: 143, after a checkpoint was saved, when the process is told to stop (SIGTERM or Ctrl-C).
    """
    check_stages(config)
    fabric = start_fabric(config.training)
    if fabric.device.type == "cpu":
        keep_freed_memory()
    with together(fabric):
        folder = RunFolder(config, fabric.broadcast(new_name()))
        splits = open_splits(config)
        check_labels(config, splits, run_terms(config))
        with StopRequest() as stop, folder.claimed() if fabric.is_global_zero else nullcontext():
            checkpoint = find_resumable(folder, config, splits)
            fabric.barrier()
            return Trainer(fabric, config, splits, folder, checkpoint).run(stop)


class Trainer:
    """One run: what is being trained, and where it stands (`position`)."""

    def __init__(
        self, fabric: Fabric, config: TrainConfig, splits: Splits, folder: RunFolder, checkpoint: Checkpoint | None
    ) -> None:
        self.fabric, self.config, self.splits, self.folder = fabric, config, splits, folder
        torch.manual_seed(config.training.seed)
        self.terms = run_terms(config)
        model = ModeSSM(config, len(splits.sessions), splits.train.labels, splits.participants)
        self.model = model.to(fabric.device)
        self.optimizer = build_optimizer(self.model, config.training.optimizer, config.training.body_lr_factor)
        self.position = Position(processes=fabric.world_size)
        self.hashes = sentence_hashes(entry.sentence for entry in splits.train.entries)
        self.resumed, self.changes = "", {}
        self.inherited: Inherited | None = None
        hold(self.model, config.training.learn)
        if config.init and not checkpoint:
            self.inherited = inherit(self.model, splits.sessions, config.init)
            self.position.inherited = self.inherited.heads
            self.hashes = torch.unique(torch.cat([self.hashes, self.inherited.checkpoint.sentence_hashes]))
        if not checkpoint:
            keep_reference(self.model.preprocessor, splits.train.source, splits.participants)
        if checkpoint:
            self.resumed = f"update {checkpoint.position.update} from {checkpoint.path}"
            self.changes = changed_settings(checkpoint.config, config)
            if checkpoint.position.processes != fabric.world_size:
                self.changes["processes"] = (checkpoint.position.processes, fabric.world_size)
            if not same_sentences(checkpoint, self.hashes):
                self.resumed += "; the train sentences are not those that it was started on"
            self.model.load_state_dict(checkpoint.model)
            load_optimizer(self.optimizer, checkpoint.optimizer)
            self.position = checkpoint.position.among(self.fabric.world_size)
            self.hashes = checkpoint.sentence_hashes if config.init else self.hashes
        self.running = RunningStatistics(self.terms, self.position.running)
        self.timetable = Timetable(config.training, splits, fabric.global_rank, fabric.world_size)
        self.parts_wait = any(map(longest_wait, config.training.stages))
        self.started = time.monotonic() - self.position.seconds

    @property
    def is_main(self) -> bool:
        return self.fabric.is_global_zero

    def run(self, stop: StopRequest) -> Path:
        stages, position = self.config.training.stages, self.position
        if self.is_main:
            records = self.folder.open(self.config, position)
            rate = self.splits.train.labels.rate
            self.monitor = Monitor(self.config, self.timetable.updates, position.speaking, records, rate)
        every, done = self.config.training.log_every_updates, self.timetable.batches_done(position)
        self.display = Display(self.timetable.all_batches, done, every, silent=not self.is_main)
        try:
            for sentence in self.introduction():
                self.display.say(sentence)
            for stage in stages[position.stage :]:
                self.run_stage(stage, stop)
        finally:
            self.display.close()
            if self.is_main:
                self.folder.close()
        if self.is_main:
            with self.folder.writing():
                draw_run(self.folder.path, self.terms, self.splits.train.labels.unit)
            write_card(self.folder, self.config, self.splits, self.model, self.position, self.terms)
            for sentence in outcome(self.folder, self.config.data.words, self.terms, self.splits.train.labels.rate):
                self.display.say(sentence)
        return self.folder.path

    def introduction(self) -> Iterator[str]:
        training = self.config.training
        yield from introduction(self.splits, self.model, self.folder, self.resumed, self.changes)
        if self.inherited:
            yield from self.inherited.sentences()
        size, steps, processes = training.batch_size, training.gradient_accumulation_steps, self.fabric.world_size
        if steps * processes > 1:
            trials = f"{size * steps * processes} trials: batches of {size}, {steps} accumulated, {processes} processes"
            yield f"An update takes up to {trials}"
        if training.resume is Resume.auto and not self.resumed:
            yield f"There is no checkpoint in {self.folder.path} to go on from; starting from the beginning"
        if self.timetable.epochs_done(self.position) >= self.timetable.epochs:
            yield f"Nothing is left to train: all {self.timetable.epochs} epochs are done"
            return
        yield from short_stages(training, self.timetable.updates, self.position.stage)
        for term in self.terms:
            if not term.validated and any(term in trained(self.terms, stage) for stage in training.stages):
                yield f"{term.title} has no head to decode: it is trained and logged, not validated."

    def run_stage(self, stage: StageConfig, stop: StopRequest) -> None:
        position = self.position
        if self.is_main:
            self.monitor.begin(position.stage, position.stage_start)
        if position.update == position.stage_start and stage.epochs:
            self.log({"kind": "stage", "name": stage.name, "update": position.update + 1})
        while position.epoch < stage.epochs:
            self.run_epoch(stage, stop)
            self.finish_epoch(stage, stop)
        position.stage += 1
        position.epoch, position.stage_start = 0, position.update

    def run_epoch(self, stage: StageConfig, stop: StopRequest) -> None:
        training, position = self.config.training, self.position
        plan = self.timetable.plan(stage, self.timetable.epochs_done(position), position.earlier)
        first, dataset = position.first, self.splits.trained_on(stage)
        where = f"Stage {position.stage + 1}/{len(training.stages)} {stage.name}"
        self.display.epoch(f"{where}, epoch {position.epoch + 1}/{stage.epochs}")
        self.epoch_numbers: list[dict[str, float]] = []
        whole, trials = position.batch == 0, 0
        batches = self.read(dataset, plan[position.batch - first :])
        while group := list(islice(batches, training.gradient_accumulation_steps)):
            numbered = {position.batch + n: batch for n, batch in enumerate(group, start=1) if batch is not None}
            update = self.step(stage, numbered, len(group), first + len(plan))
            trials += update.trials
            position.batch += len(group)
            position.update += 1
            self.keep_count(update)
            if any_process(self.fabric, stop.requested):
                self.leave()
            if position.update % training.checkpoint_every_updates == 0:
                self.save(self.folder.last)

        if whole and not trials:
            raise InputError(
                f"None of the {len(dataset)} {' and '.join(stage.splits)} trials could be read in this epoch; mode-ssm "
                "inspect says what is wrong with them."
            )

    def leave(self) -> NoReturn:
        self.save(self.folder.last)
        self.display.say(
            f"Stopped; to go on, add training.resume=auto output_dir={self.folder.path} to the same command"
        )
        raise SystemExit(143)

    def step(self, stage: StageConfig, batches: Mapping[int, Batch], count: int, of: int) -> Update:
        """One update over `batches`, by number: `count` of the epoch's `of`, less those without a readable trial."""
        config, position = self.config, self.position
        began, in_stage = time.monotonic(), position.update - position.stage_start
        lr = learning_rate(
            config.training.optimizer.lr,
            config.training.schedule,
            done=self.timetable.share_done(position),
            stage_start=position.stage_start,
            update_in_stage=in_stage,
        )
        set_learning_rate(self.optimizer, lr)
        if self.parts_wait:  # else what the caller holds stays held
            freeze(self.model, stage, in_stage)
            hold(self.model, config.training.learn)
        objective = objective_at(self.terms, stage, in_stage)
        bound = self.running.bound(config.training)
        read = list(batches.values())
        update = run_update(self.fabric, self.model, self.optimizer, read, objective, config, position.update, bound)
        self.running.follow(update, objective)
        if update.skipped:
            kept = list(self.folder.keep_bad_batches(batches, update, position, self.fabric.global_rank))
            for sentence in gather_lines(self.fabric, kept):
                self.display.say(sentence)
        elif update.trials:
            self.epoch_numbers.append(update.numbers)
        seconds = time.monotonic() - began
        self.display.update(position.batch, count, of, update.losses(self.terms), seconds)
        self.log(
            {"kind": "update", "stage": stage.name, "epoch": position.epoch, "update": position.update + 1}
            | update.record(self.terms)
            | {"lr": lr, "skipped": position.skipped + update.skipped, "skipped_now": update.skipped}
            | {"frames_per_s": round(update.feature_frames / seconds, 1)}
        )
        return update

    def log(self, record: dict[str, Any]) -> None:
        """Write a record, and what the monitor has to say of it."""
        if self.is_main:
            self.folder.log(record)
            for warning in self.monitor.see(record):
                self.folder.log(warning)
                self.display.warn(warning["text"])

    def keep_count(self, update: Update) -> None:
        """Count skipped updates.

        Raises:
            InputError: after max_skipped_in_a_row of them.
        """
        position, limit = self.position, self.config.training.max_skipped_in_a_row
        position.skipped += update.skipped
        position.skipped_in_a_row = position.skipped_in_a_row + 1 if update.skipped else 0
        if position.skipped_in_a_row >= limit:
            raise InputError(
                f"{limit} updates in a row were skipped for NaN/Inf, the last one update {position.update}; look at "
                f"the batches in {self.folder.path / 'skipped'}, or lower training.optimizer.lr, and start again."
            )

    def report(self, problem: Problem) -> None:
        self.display.say(f"Leaving out: {problem}", in_every_process=True)

    def read(
        self,
        dataset: TrialDataset,
        plan: Sequence[Sequence[int]],
        on_problem: Callable[[Problem], None] | None = None,
    ) -> Iterator[Batch | None]:
        report = on_problem or self.report
        index, workers = self.splits.session_index, self.config.data.num_workers
        device = self.fabric.device
        return read_batches(dataset, plan, session_index=index, num_workers=workers, on_problem=report, device=device)

    def finish_epoch(self, stage: StageConfig, stop: StopRequest) -> None:
        """Validate, log, and keep the last and perhaps the best checkpoint."""
        position = self.position
        rates = self.validate(stage, stop)
        position.epoch, position.batch, position.earlier = position.epoch + 1, 0, []
        position.rates = rates
        self.save(*self.bests(rates), self.folder.last)
        name = self.splits.train.labels.rate
        summary = epoch_summary(position, trained(self.terms, stage), self.epoch_numbers, rates, name)
        self.display.say(f"  {summary}")

    def bests(self, rates: Mapping[str, float]) -> list[Path]:
        """The places of the best checkpoints that this epoch's takes; that of the run is for stages that validate."""
        position, mean = self.position, sum(rates.values()) / len(rates) if rates else WORST
        stage, lowest = position.best or (-1, WORST)
        if stage == position.stage and mean > lowest:
            return []
        of_stage = self.folder.best_of(position.stage)
        if not rates and lowest < WORST:
            return [of_stage]
        position.best = [position.stage, mean]
        return [of_stage, self.folder.best]

    def validate(self, stage: StageConfig, stop: StopRequest) -> dict[str, float]:
        """Error rates by head, of the heads that this stage trains."""
        position = self.position
        heads = [term for term in trained(self.terms, stage) if term.validated]
        if self.splits.val is None or not heads:
            return {}
        plan = sequential_batches(self.splits.val.entries, self.config.training.batch_size)
        left_out = LeftOut("val", self.splits.val.problems if self.is_main else [], self.report)
        share = self.read(self.splits.val, plan[self.fabric.global_rank :: self.fabric.world_size], left_out)
        sessions = self.splits.val.sessions
        found = validate(self.fabric, self.model, share, heads, sessions, lambda: stop.requested, left_out)
        if found is None:
            self.leave()
        self.log(
            {"kind": "validation", "stage": stage.name, "epoch": position.epoch, "update": position.update}
            | found.record(self.terms)
            | {"seconds": round(time.monotonic() - self.started, 1)}
            | {"peak_memory_mb": peak_memory_mb(self.fabric.device)}
        )
        for head in found.errors:
            if people := found.by_participant(head):
                each = ", ".join(f"{who} {100 * one.rate:.2f} % of {one.trials}" for who, one in people.items())
                self.display.say(f"  val {self.splits.train.labels.rate} {head} by participant: {each} trials")
        if not found.rates:
            self.display.warn(f"None of the {len(self.splits.val)} val trials could be read: no error rates")
        return found.rates

    def save(self, *places: Path) -> None:
        """Write a checkpoint, once, to one place or several."""
        self.position.seconds = time.monotonic() - self.started
        self.position.running = self.running.state()
        if self.is_main:
            first, *others = places
            save_checkpoint(
                first,
                config=self.config,
                labels=self.splits.train.labels,
                sessions=self.splits.sessions,
                participants=self.splits.participants,
                position=self.position,
                model=self.model,
                optimizer=self.optimizer,
                sentence_hashes=self.hashes,
            )
            with self.folder.writing():
                for place in others:
                    put_also(place, first)
        self.fabric.barrier()
