"""Beginning with the weights of another run: whatever fits, its sessions by name, and new ones at their mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import PARTS, Checkpoint, find_checkpoint, read_checkpoint

SESSION, PARTICIPANT = "preprocessor.session.", "preprocessor.participants.maps."
OF_LABELS = ("ctc_head.", "predictor.", "joiner.")  # parts that know the classes
SHOWN = 4


@dataclass(frozen=True)
class Inherited:
    """What a model has from a checkpoint, and what it has not."""

    checkpoint: Checkpoint
    taken: tuple[str, ...]  # names of tensors
    begun_anew: tuple[str, ...]  # of the model, with why
    left: tuple[str, ...]  # of the checkpoint
    new_sessions: tuple[str, ...]
    new_participants: tuple[str, ...] = ()  # whose maps begin anew

    @property
    def heads(self) -> list[str]:
        """Those that were trained there and are whole here."""
        whole = [head for head in self.checkpoint.heads if not self._lacks(PARTS[head])]
        return [head.value for head in whole]

    def _lacks(self, parts: tuple[str, ...]) -> bool:
        names = tuple(f"{part}." for part in parts)
        return any(name.startswith(names) for name in self.begun_anew)

    def sentences(self) -> list[str]:
        of = len(self.taken) + len(self.begun_anew)
        said = [f"Starting with {len(self.taken)} of {of} tensors of {self.checkpoint.path}"]
        if self.new_sessions:
            new, count = ", ".join(self.new_sessions), len(self.checkpoint.sessions)
            said.append(f"New sessions, which begin with the mean session layer of its {count}: {new}")
        if self.new_participants:
            known = ", ".join(self.checkpoint.participants)
            said.append(f"New participants, beside {known}, whose maps begin anew: {', '.join(self.new_participants)}")
        if self.begun_anew:
            said.append(f"These begin anew: {_some(self.begun_anew)}. config=RUN takes the settings of a run.")
        if self.left:
            said.append(f"These have no place here: {_some(self.left)}")
        return said


def inherit(model: ModeSSM, sessions: tuple[str, ...], run: str) -> Inherited:
    """Put the weights of a run into a model, where name, shape and (in the heads) the labels are the same.

    Args:
        sessions: of the model, by session index.
        run: a run folder (its best checkpoint) or a checkpoint file.

    Raises:
        InputError: when there is no readable checkpoint, or nothing of it fits.
    """
    checkpoint = read_checkpoint(find_checkpoint(Path(run)))
    own = model.state_dict()
    of_body = {name: tensor for name, tensor in checkpoint.model.items() if not name.startswith(PARTICIPANT)}
    given = of_body | _session_tensors(checkpoint, sessions) | _participant_tensors(checkpoint, model)
    faults = {name: _fault(name, tensor, given, checkpoint.labels == model.labels) for name, tensor in own.items()}
    taken = tuple(name for name, fault in faults.items() if not fault)
    if not taken:
        raise InputError(f"init={run}: no tensor of {checkpoint.path} fits this network; add config={run}.")
    model.load_state_dict({name: given[name] for name in taken}, strict=False)
    new_maps = {
        f"{PARTICIPANT}{place}.": who
        for place, who in enumerate(model.participants)
        if checkpoint.participants and faults[f"{PARTICIPANT}{place}.weight"]
    }
    begun = [name for name, fault in faults.items() if fault and not name.startswith(tuple(new_maps))]
    anew = tuple(f"{name} ({faults[name]})" for name in begun)
    left = tuple(name for name in given if name not in own)
    has_layer = any(name.startswith(SESSION) for name in taken)
    new = tuple(session for session in sessions if session not in checkpoint.sessions) if has_layer else ()
    return Inherited(checkpoint, taken, anew, left, new, tuple(new_maps.values()))


def _fault(name: str, tensor: Tensor, given: Mapping[str, Tensor], same_labels: bool) -> str:
    """Why a tensor of the model cannot be had from another; empty where it can."""
    if name not in given:
        return "not there"
    if given[name].shape != tensor.shape:
        there, here = ("x".join(map(str, t.shape)) for t in (given[name], tensor))
        return f"{there} there, {here} here"
    return "of other labels" if name.startswith(OF_LABELS) and not same_labels else ""


def _session_tensors(checkpoint: Checkpoint, sessions: tuple[str, ...]) -> dict[str, Tensor]:
    """The session layer for other sessions: a known one's own map, and the mean of all maps for a new one."""
    layer = {name: tensor for name, tensor in checkpoint.model.items() if name.startswith(SESSION)}
    means = {name: tensor.mean(0) for name, tensor in layer.items()}
    if f"{SESSION}up" in layer:
        means |= _mean_factors(layer[f"{SESSION}down"], layer[f"{SESSION}up"])
    place = {session: index for index, session in enumerate(checkpoint.sessions)}

    def of(name: str, session: str) -> Tensor:
        return layer[name][place[session]] if session in place else means[name]

    return {name: torch.stack([of(name, session) for session in sessions]) for name in layer}


def _participant_tensors(checkpoint: Checkpoint, model: ModeSSM) -> dict[str, Tensor]:
    """The maps of the participants whom both know, under the names that they have here."""
    there = {who: place for place, who in enumerate(checkpoint.participants)}
    known = [(here, there[who]) for here, who in enumerate(model.participants) if who in there]
    return {
        f"{PARTICIPANT}{here}.{part}": checkpoint.model[f"{PARTICIPANT}{of}.{part}"]
        for here, of in known
        for part in ("weight", "bias")
    }


def _mean_factors(down: Tensor, up: Tensor) -> dict[str, Tensor]:
    """The product of rank r nearest to the mean of the sessions' products (Eckart and Young 1936).

    Args:
        down: (N, C, r)
        up: (N, r, C)

    The columns of the new `down` have a norm of 1, as at the start of a training, so that `up` learns where it is 0.
    """
    mean = torch.bmm(down.double(), up.double()).mean(0)
    left, sizes, right = torch.linalg.svd(mean, full_matrices=False)
    rank = down.shape[2]
    found = {"down": left[:, :rank], "up": sizes[:rank, None] * right[:rank]}
    return {f"{SESSION}{name}": tensor.to(down.dtype) for name, tensor in found.items()}


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
