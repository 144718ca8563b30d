"""One run of a race: what its system's epochs cost, its training process, and its scores."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from race_plan import Costs, Race, Run, stage_epochs

from mode_ssm.batch import FRAME_MS
from mode_ssm.commands.decode import decode as decode_words
from mode_ssm.commands.evaluate import Result, decode, summarise
from mode_ssm.config import DecodeConfig, Decoder, EvaluateConfig, TrainConfig, WordDecoder
from mode_ssm.data import epoch_batches
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.recognition.network import Recogniser, load_recogniser
from mode_ssm.scoring import total
from mode_ssm.settings import read_settings
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.splits import open_splits

DIVERGED = "updates in a row were skipped"  # how a training that found no finite loss any more ends


@dataclass(frozen=True)
class Usage:
    """What a process took."""

    cpu_s: float
    wall_s: float
    peak_mb: float  # of resident memory


def train(words: Sequence[str], threads: int, log: Path) -> tuple[Usage, int]:
    """Run `mode-ssm train` in a process of its own, to its end or to that of this one; what it took, and its status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    began = time.monotonic()
    with log.open("a") as lines:
        command = [sys.executable, "-m", "mode_ssm", "train", *words]
        process = subprocess.Popen(command, stdout=lines, stderr=subprocess.STDOUT, env=environment)
        before = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
        try:
            _, status, used = os.wait4(process.pid, 0)
        finally:
            signal.signal(signal.SIGTERM, before)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024), process.returncode


def check(status: int, log: Path) -> None:
    """Go on after a training that ended well.

    Raises:
        SystemExit: 143, after one that was stopped.
        InputError: after one that failed.
    """
    if status in (143, -signal.SIGTERM, -signal.SIGINT):
        raise SystemExit(143)
    if status < 0:
        name = signal.Signals(-status).name
        raise InputError(
            f"A training was ended by {name} (SIGKILL: most likely for lack of memory); {log} has its output."
        )
    if status:
        raise InputError(f"{log.read_text().splitlines()[-1]} ({log} has the whole of it)")


def costs(race: Race, data: str, system: str, out: Path) -> Costs:
    """What the start and an epoch of each stage take: counted, or timed once in short runs and kept."""
    words = race.words(data, system)
    config = read_settings(TrainConfig, words)
    stages = range(len(config.training.stages))
    if race.budget.clock == "updates":
        return Costs(0, (_updates_an_epoch(config),) * len(stages))
    kept = out / data / system / "costs.json"
    if not kept.exists():
        used = []
        for trained in range(len(stages) + 1):  # no stage, the first, the first two, ...
            folder = kept.parent / "costs" / str(trained)
            epochs = [f"training.stages.{i}.epochs={int(i < trained)}" for i in stages]
            more = [*epochs, f"output_dir={folder}"]
            shutil.rmtree(folder, ignore_errors=True)  # of a timing that was stopped
            usage, status = train([*words, *more], race.threads, folder / "train.log")
            check(status, folder / "train.log")
            used.append(usage.cpu_s if race.budget.clock == "cpu" else usage.wall_s)
        each = [after - before for before, after in pairwise(used)]
        if min(each) <= 0:
            raise InputError(f"An epoch of {system} on {data} is too short to be timed; give the budget in updates.")
        replace_text(kept, json.dumps({"start": used[0], "epoch": each}))
    measured = json.loads(kept.read_text())
    return Costs(measured["start"], tuple(measured["epoch"]))


def _updates_an_epoch(config: TrainConfig) -> int:
    training = config.training
    plan = epoch_batches(
        open_splits(config).train.entries,
        batching=training.batching,
        batch_size=training.batch_size,
        sessions_per_batch=training.sessions_per_batch,
        seed=training.seed,
        epoch=0,
    )
    return -(-len(plan) // training.gradient_accumulation_steps)


def finish(race: Race, run: Run, out: Path) -> dict[str, Any]:
    """The result of a run: the one that is there, or after training it from where it stands.

    Raises:
        InputError: when the run was started with other settings, or cannot be trained.
    """
    folder = out / str(run)
    words = race.words(run.data, run.system)
    shape = [stage.epochs for stage in read_settings(TrainConfig, words).training.stages]
    each = costs(race, run.data, run.system, out)
    epochs = stage_epochs(shape, each, race.grid_budget if run.kind and race.grid_budget else race.budget)
    words += [f"training.stages.{index}.epochs={count}" for index, count in enumerate(epochs)]
    words += [f"training.optimizer.lr={run.learning_rate:g}", f"training.seed={run.seed}"]
    attempts = _attempts(folder, words)
    result = folder / "result.json"
    if not result.exists():
        found = _trained(race, folder, words, attempts)
        found |= {"epochs": epochs, "epoch_costs": each.epoch}
        replace_text(result, json.dumps(run._asdict() | found, indent=2) + "\n")
    loaded: dict[str, Any] = json.loads(result.read_text())
    model = None if run.kind else race.language_models.get(run.data)
    heads = loaded.get("heads", {})
    if model and any("wer" not in scores for scores in heads.values()):
        torch.set_num_threads(race.threads)
        for head, scores in heads.items():
            scores |= _words(_last(folder), Decoder(head), model, folder)
        replace_text(result, json.dumps(loaded, indent=2) + "\n")
    return loaded


def _attempts(folder: Path, words: list[str]) -> list[dict[str, float] | None]:
    """What each start of the training took; None for one that was cut off."""
    kept = folder / "attempts.json"
    if not kept.exists():
        return []
    saved = json.loads(kept.read_text())
    if saved["settings"] != words:
        differing = sorted(set(saved["settings"]) ^ set(words))
        raise InputError(f"{folder} was started with other settings ({', '.join(differing)}); give another --out.")
    attempts: list[dict[str, float] | None] = saved["attempts"]
    return attempts


def _trained(race: Race, folder: Path, words: list[str], attempts: list[dict[str, float] | None]) -> dict[str, Any]:
    def keep(attempts: list[dict[str, float] | None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        replace_text(folder / "attempts.json", json.dumps({"settings": words, "attempts": attempts}, indent=2))

    keep([*attempts, None])
    log = folder / "train.log"
    usage, status = train([*words, f"output_dir={folder}", "training.resume=auto"], race.threads, log)
    attempts = [*attempts, asdict(usage)]
    keep(attempts)
    if status == 2 and DIVERGED in log.read_text():
        return {"failed": log.read_text().splitlines()[-1]}
    check(status, log)
    used = {name: _total(attempts, name) for name in ("cpu_s", "wall_s")}
    peak = max(attempt["peak_mb"] for attempt in attempts if attempt)
    torch.set_num_threads(race.threads)
    return used | {"peak_mb": peak} | _scores(race, folder)


def _total(attempts: list[dict[str, float] | None], name: str) -> float | None:
    """None where an attempt was cut off before it could be measured."""
    taken = [attempt[name] for attempt in attempts if attempt]
    return sum(taken) if len(taken) == len(attempts) else None


def _scores(race: Race, folder: Path) -> dict[str, Any]:
    """Of the last weights: PER of each head that was trained, its cost, and the rates on the way."""
    recogniser = _last(folder)
    config = recogniser.checkpoint.config
    stages = config.training.stages
    decoders = [decoder for decoder in Decoder if any(stage.weights.get(decoder.value) for stage in stages)]
    curve = [record for record in read_metrics(folder) if record["kind"] == "validation"]
    keys = ("update", *(f"per_{decoder.value}" for decoder in decoders))
    return {
        "parameters": sum(parameter.numel() for parameter in recogniser.model.parameters()),
        "updates": recogniser.checkpoint.position.update,
        "skipped": recogniser.checkpoint.position.skipped,
        "heads": {decoder.value: _phonemes(recogniser, decoder, race.budget.clock) for decoder in decoders},
        "curve": [{key: record[key] for key in keys} for record in curve],
    }


def _last(folder: Path) -> Recogniser:
    return load_recogniser(str(folder / "checkpoints" / "last.safetensors"))


def _phonemes(recogniser: Recogniser, decoder: Decoder, clock: str) -> dict[str, Any]:
    """Greedy error rates on the val trials of the days that were trained on, and of the others."""
    everything = replace(recogniser.checkpoint.config.data, max_sessions=None)
    config = EvaluateConfig(str(recogniser.checkpoint.path), everything, decoder=decoder)
    now = time.perf_counter if clock == "wall" else time.process_time
    seconds = sum(entry.frames for entry in recogniser.open(config.data, config.split).entries) * FRAME_MS / 1000
    began = now()
    decoded = decode(recogniser, config)
    factor = (now() - began) / seconds
    known = [result for result in decoded.results if _is_known(recogniser, result)]
    new = [result.errors for result in decoded.results if not _is_known(recogniser, result)]
    summary = summarise(decoded._replace(results=known), recogniser, config, None)
    names = ("per", "per_unseen_sentences", "per_seen_sentences", "trials_unseen_sentences", "trials_seen_sentences")
    scores = {name: summary[name] for name in names}
    return scores | {"per_new_days": total(new).rate if new else None, "real_time_factor": factor}


def _is_known(recogniser: Recogniser, result: Result) -> bool:
    return result.key.session in recogniser.session_index


def _words(recogniser: Recogniser, decoder: Decoder, model: Path, folder: Path) -> dict[str, Any]:
    """Word error rates with the default weights of the search."""
    written = folder / "words" / decoder.value
    decode_words(
        DecodeConfig(
            checkpoint=str(recogniser.checkpoint.path),
            lm=str(model),
            data=recogniser.checkpoint.config.data,
            decoder=WordDecoder(decoder.value),
            output_dir=str(written),
        )
    )
    summary = json.loads((written / "decode.json").read_text())
    return {name: summary[name] for name in ("wer", "wer_unseen_sentences", "wer_seen_sentences")}
