"""One file per checkpoint: tensors and a JSON header in safetensors, so that loading runs no code.

A checkpoint is written beside its place and renamed, so a reader sees the old file or the new one and nothing between.
It holds weights, optimizer moments, the position in the training, the labels and the resolved settings. Random numbers
need no state: each update seeds its generator from (seed, update, process).

A header says the version of its form. One of an older version is brought to the newest by MIGRATIONS, a step a version.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mode_ssm.config import Decoder as Head
from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.files import replacing
from mode_ssm.labels import T15, Labels
from mode_ssm.scoring import sentence_hash
from mode_ssm.settings import dump_settings, settings_from_file

PARTS = {Head.ctc: ("ctc_head",), Head.rnnt: ("predictor", "joiner")}  # of a network, by the head that they are of
FORMAT = "mode-ssm checkpoint "  # and the version
VERSION = 2


@dataclass
class Position:
    """Where a training stands; everything is counted from 0."""

    stage: int = 0
    epoch: int = 0  # of the stage
    batch: int = 0  # of the epoch: the next one that each process reads, of as many as it has for `processes`
    update: int = 0  # over all stages, skipped ones included
    stage_start: int = 0  # the update at which the stage began
    skipped: int = 0
    skipped_in_a_row: int = 0
    best: list[float] = field(default_factory=list)  # stage and PER of the best validation so far
    seconds: float = 0.0  # training time so far
    running: dict[str, Any] = field(default_factory=dict)  # statistics that the next update depends on, see training
    speaking: dict[str, int] = field(default_factory=dict)  # alarms that are going off, see Monitor
    processes: int = 1
    rates: dict[str, float] = field(default_factory=dict)  # PER by head in the last validation
    earlier: list[list[int]] = field(default_factory=list)  # of the epoch: [processes, batches each] before
    inherited: list[str] = field(default_factory=list)  # heads that the run which this one began with had trained

    @property
    def first(self) -> int:
        """The batch of the epoch at which `processes` took over."""
        return sum(number * count for number, count in self.earlier) // self.processes

    def among(self, processes: int) -> "Position":
        """The same place in the epoch for another number of processes, which share what is left of its batches."""
        if processes == self.processes:
            return self
        here = self.batch - self.first
        earlier = [*self.earlier, [self.processes, here]] if here else self.earlier
        moved = replace(self, processes=processes, earlier=earlier)
        return replace(moved, batch=moved.first)


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    config: TrainConfig
    labels: Labels
    sessions: tuple[str, ...]  # by session index
    position: Position
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    sentence_hashes: Tensor  # (N,) int64, of the training sentences
    participants: Mapping[str, int] = field(
        default_factory=dict
    )  # with maps of their own, in their order, and C of each

    @property
    def channels(self) -> int | Mapping[str, int]:
        """C of what the network reads, or of each participant's recordings."""
        return self.participants or self.config.preprocessor.num_channels

    @property
    def heads(self) -> tuple[Head, ...]:
        """Those that are trained: by the stages up to its own, as far as their parts learn, or by a run before."""
        stages, learn = self.config.training.stages[: self.position.stage + 1], self.config.training.learn
        weighed = {name for stage in stages if stage.epochs for name, weight in stage.weights.items() if weight > 0}
        learnt = [head for head in Head if learn is None or {*PARTS[head]} & {*learn}]
        return tuple(
            head for head in Head if (head in learnt and head.value in weighed) or head.value in self.position.inherited
        )


def save_checkpoint(
    path: Path,
    *,
    config: TrainConfig,
    labels: Labels,
    sessions: tuple[str, ...],
    position: Position,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    sentence_hashes: Tensor,
    participants: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Write a checkpoint.

    Raises:
        InputError: when the file cannot be written, on a full disk say; an older checkpoint stays as it was.
    """
    tensors = {f"model.{name}": t.detach().contiguous().cpu().clone() for name, t in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": t.detach().cpu().contiguous() for name, t in moments.items()}
    tensors["sentence_hashes"] = sentence_hashes
    header = {
        "format": f"{FORMAT}{VERSION}",
        "config": dump_settings(config),
        "labels": json.dumps(labels.as_dict()),
        "sessions": json.dumps(sessions),
        "position": json.dumps(asdict(position)),
    }
    if participants:
        header["participants"] = json.dumps(dict(participants))
    try:
        with replacing(path) as beside:
            save_file(tensors, beside, metadata=header)
            with beside.open("rb") as written:
                os.fsync(written.fileno())
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"The checkpoint {path} could not be written ({error}); free disk space or set output_dir elsewhere, "
            "then continue with training.resume=auto."
        ) from None


def read_checkpoint(path: Path, *, with_optimizer: bool = False) -> Checkpoint:
    """Read a checkpoint to CPU tensors.

    Raises:
        InputError: when the file is missing, is no safetensors file, is cut short or was not written by this program.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
            wanted = [key for key in file.keys() if with_optimizer or not key.startswith("optimizer.")]  # noqa: SIM118
            tensors = {key: file.get_tensor(key) for key in wanted}
    except FileNotFoundError:
        raise InputError(f"There is no checkpoint {path}; give a run folder that `mode-ssm train` wrote.") from None
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a readable checkpoint ({error}); use another one of the run. (Resuming takes "
            "best.safetensors where there is no last.safetensors.)"
        ) from None
    try:
        header = _migrated(header, path)
        return Checkpoint(
            path=path,
            config=settings_from_file(TrainConfig, header["config"], str(path)),
            labels=Labels.from_dict(json.loads(header["labels"]), str(path)),
            sessions=tuple(json.loads(header["sessions"])),
            position=_position(json.loads(header["position"]), path),
            model=_part(tensors, "model."),
            optimizer=_part(tensors, "optimizer."),
            sentence_hashes=tensors["sentence_hashes"],
            participants={str(who): int(c) for who, c in json.loads(header.get("participants", "{}")).items()},
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"The header of {path} is damaged ({error!r}); use another checkpoint of the run.") from None


def _migrated(header: dict[str, str], path: Path) -> dict[str, str]:
    """The header in the form of VERSION.

    Raises:
        InputError: where it is no checkpoint's, or one of a later version than this program knows.
    """
    form = header.get("format", "")
    if not form.startswith(FORMAT) or not re.fullmatch(r"[1-9]\d{0,8}", form.removeprefix(FORMAT), re.ASCII):
        raise InputError(f"{path} is a safetensors file but not a checkpoint of MODE-SSM; give a run folder.")
    version = int(form.removeprefix(FORMAT))
    if version > VERSION:
        raise InputError(
            f"{path} was written by a later MODE-SSM (its form is {version}, this one reads up to {VERSION}); "
            "update the program."
        )
    for step in MIGRATIONS[version - 1 :]:
        header = step(header)
    return header


def _with_labels_and_terms(header: dict[str, str]) -> dict[str, str]:
    """From 1 to 2: labels are written, which were T15's; what the transducer has learnt stands under its name."""
    position = json.loads(header["position"])
    scales = position.pop("steering", {})
    norms = scales.pop("grad_norms", [])
    position["running"] = {"grad_norms": norms, "terms": {"rnnt": scales} if scales else {}}
    return header | {"labels": json.dumps(T15.as_dict()), "position": json.dumps(position)}


MIGRATIONS: tuple[Callable[[dict[str, str]], dict[str, str]], ...] = (_with_labels_and_terms,)  # from 1 to 2, ...


def _position(values: dict[str, Any], path: Path) -> Position:
    """Where a run stands; an epoch that several processes began in the batches' own order is read from its start."""
    unknown = sorted(values.keys() - {f.name for f in fields(Position)})
    if unknown:
        raise InputError(
            f"{path} has a position with {', '.join(unknown)}, which this MODE-SSM does not know; use the version of "
            "MODE-SSM that wrote it, or a later one."
        )
    dealt_in_order = "earlier" not in values and values.get("processes", 1) > 1
    return Position(**(values | {"batch": 0} if dealt_in_order else values))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def load_optimizer(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    """Put saved moments back, by the parameters' order."""
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in moments.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def find_checkpoint(run: Path) -> Path:
    """The file that `checkpoint=RUN` means: a file itself, else a run folder's best, else its last.

    Raises:
        InputError: when there is none.
    """
    if run.is_file():
        return run
    for name in ("best", "last"):
        candidate = run / "checkpoints" / f"{name}.safetensors"
        if candidate.is_file():
            return candidate
    what = "has no checkpoints/best.safetensors" if run.is_dir() else "does not exist"
    raise InputError(f"{run} {what}; give checkpoint=RUN, a folder that `mode-ssm train` wrote.")


def sentence_hashes(sentences: Iterable[str | None]) -> Tensor:
    """(N,) int64, sorted, each once."""
    return torch.tensor(sorted({sentence_hash(s) for s in sentences if s is not None}), dtype=torch.int64)
