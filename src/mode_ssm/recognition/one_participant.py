"""A checkpoint of several participants as one of a single one: what a stream or a caller of Python reads is of one."""

from dataclasses import replace

from torch import Tensor

from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import Checkpoint

MAPS, REFERENCE = "preprocessor.participants.maps.", "preprocessor.reference"


def of_participant(checkpoint: Checkpoint, participant: str | None) -> Checkpoint:
    """The same network with the map of one participant; None = the only one. One without such maps stays as it is.

    Raises:
        InputError: for one whom the network does not know, or where it knows several and none is named.
    """
    known = checkpoint.participants
    if not known and participant is None:
        return checkpoint
    who = next(iter(known)) if participant is None and len(known) == 1 else participant
    if who is None or who not in known:
        what = f"has no map of a participant {who}" if who else "has a map for each participant"
        remedy = f"give participant={' or '.join(known)}" if known else "leave participant out"
        raise InputError(f"{checkpoint.path} {what}; {remedy}.")
    place, channels = [*known].index(who), known[who]
    model: dict[str, Tensor] = {}
    for name, tensor in checkpoint.model.items():
        if name == REFERENCE:
            tensor = tensor[place : place + 1, :, :channels]
        if name.startswith(MAPS):
            of, _, rest = name.removeprefix(MAPS).partition(".")
            if int(of) == place:
                model[f"{MAPS}0.{rest}"] = tensor
        else:
            model[name] = tensor
    return replace(checkpoint, model=model, participants={who: channels})
