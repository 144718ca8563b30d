"""The device that a command computes on, as its setting `device` says."""

import torch

from mode_ssm.config import Device
from mode_ssm.errors import InputError


def find_device(wanted: Device) -> torch.device:
    """A GPU where there is one, unless told.

    Raises:
        InputError: where a GPU is wanted and PyTorch finds none.
    """
    if wanted is Device.cuda and not torch.cuda.is_available():
        raise InputError("device=cuda but PyTorch finds no GPU; set device=cpu or auto.")
    return torch.device("cuda" if wanted is not Device.cpu and torch.cuda.is_available() else "cpu")
