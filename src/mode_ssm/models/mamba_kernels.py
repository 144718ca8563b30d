"""The scan by the CUDA kernels of the mamba-ssm package, an optional back end for the same weights."""

from importlib import import_module
from importlib.util import find_spec

from torch import Tensor

from mode_ssm.errors import InputError
from mode_ssm.models.ssm import split_mixed

_KERNEL_CHUNK_FRAMES = 128  # the kernels want a power of two


def require_mamba_ssm() -> None:
    """Make sure that the package can be imported.

    Raises:
        InputError: when it is not installed.
    """
    if find_spec("mamba_ssm") is None:
        raise InputError(
            "encoder.backend=mamba_ssm needs the package mamba-ssm, which is not installed; on a machine with a CUDA "
            "GPU run `pip install mamba-ssm --no-build-isolation`, or set encoder.backend=torch."
        )


def kernel_scan(
    mixed: Tensor,
    dt: Tensor,
    rates: Tensor,
    skip: Tensor,
    *,
    state_size: int,
    chunk_frames: int,  # noqa: ARG001 (the kernels have their own)
) -> Tensor:
    """Compute `mode_ssm.models.ssm.scan`, with one call of the kernels per direction.

    Raises:
        InputError: when the tensors are not on a CUDA GPU.
    """
    if not mixed.is_cuda:
        raise InputError(
            f"encoder.backend=mamba_ssm runs on a CUDA GPU but the frames are on {mixed.device}; "
            "set training.accelerator=cuda or encoder.backend=torch."
        )
    kernel = import_module("mamba_ssm.ops.triton.ssd_combined").mamba_chunk_scan_combined
    x, b, c = split_mixed(mixed, dt.shape[-1], state_size)
    y = skip.to(x.dtype)[:, None] * x
    for direction in range(dt.shape[2]):
        step = dt[:, :, direction]
        inputs = [x, step, b[:, :, None], c[:, :, None]]
        x_in, step_in, b_in, c_in = (tensor.flip(1) if direction else tensor.contiguous() for tensor in inputs)
        seen: Tensor = kernel(x_in, step_in, rates[direction], b_in, c_in, _KERNEL_CHUNK_FRAMES)
        y = y + (seen.flip(1) - ((b * c).sum(-1, keepdim=True) * step)[..., None] * x if direction else seen)
    return y.to(x.dtype)
