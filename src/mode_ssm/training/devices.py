"""Processes and devices, through Lightning Fabric: one CPU, one GPU, or several processes, see `launch`.

Gradients are summed over the processes once per update, which works with heads that a stage does not train and needs
no wrapper around the model.
"""

import platform
import warnings
from itertools import groupby

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mode_ssm.config import TrainingConfig
from mode_ssm.errors import InputError
from mode_ssm.training.launch import Processes, find_place, start_others


def start_fabric(config: TrainingConfig) -> Fabric:
    """Start the processes of this run.

    Raises:
        InputError: when the machine lacks the devices that are asked for, or torchrun or srun started another number.
    """
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("training.accelerator=cuda but PyTorch finds no GPU; set training.accelerator=cpu or auto.")
    accelerator = "cuda" if config.accelerator == "auto" and torch.cuda.is_available() else config.accelerator
    accelerator = "cpu" if accelerator == "auto" else accelerator
    processes = Processes(find_place(config.devices))
    place = processes.place
    if accelerator == "cuda" and place.local_world > torch.cuda.device_count():
        raise InputError(
            f"training.devices={place.local_world} but there are {torch.cuda.device_count()} GPUs; lower it."
        )
    if place.starts_others:
        processes.others.extend(start_others(place))
    fabric = Fabric(
        accelerator=accelerator,
        devices=place.local_world,
        num_nodes=place.machines,
        strategy="ddp" if place.world > 1 else "auto",
        precision="bf16-mixed" if config.precision == "bf16-mixed" else "32-true",
        plugins=[processes],
    )
    if accelerator == "cuda":
        torch.set_float32_matmul_precision("high" if config.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = config.tf32
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="lightning_fabric")
        fabric.launch()
    return fabric


def sum_over_processes(fabric: Fabric, tensors: list[Tensor]) -> None:
    """Sum tensors of one dtype in place over all processes, in one message."""
    if fabric.world_size == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    torch.distributed.all_reduce(flat)
    for tensor, part in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def sum_gradients(fabric: Fabric, parameters: list[nn.Parameter]) -> None:
    """Sum each parameter's gradient over the processes in which it has one, in one message for each dtype.

    What has none in any process, as in a head that a stage does not train, has none afterwards.
    """
    if fabric.world_size == 1:
        return
    learning = sorted((p for p in parameters if p.requires_grad), key=lambda p: str(p.dtype))
    for dtype, group in groupby(learning, key=lambda p: p.dtype):
        of_one_dtype = list(group)
        have = torch.tensor([p.grad is not None for p in of_one_dtype], dtype=dtype, device=fabric.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in of_one_dtype]
        sum_over_processes(fabric, [have, *gradients])
        for parameter, gradient, count in zip(of_one_dtype, gradients, have.tolist(), strict=True):
            parameter.grad = gradient if count else None


def any_process(fabric: Fabric, condition: bool) -> bool:
    """Whether it holds in one of the processes: the same answer in all of them."""
    if fabric.world_size == 1:
        return condition
    votes = torch.tensor([int(condition)], device=fabric.device)
    sum_over_processes(fabric, [votes])
    return int(votes) > 0


def gather_lines(fabric: Fabric, lines: list[str]) -> list[str]:
    """The lines of all processes, by rank."""
    if fabric.world_size == 1:
        return lines
    gathered: list[list[str]] = [[] for _ in range(fabric.world_size)]
    torch.distributed.all_gather_object(gathered, lines)
    return [line for of_process in gathered for line in of_process]


def peak_memory_mb(device: torch.device) -> float | None:
    """The most memory that this process has held so far: of the GPU where it computes there, else of the host.

    None on a CPU under Windows, which does not say.
    """
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    if platform.system() == "Windows":
        return None
    import resource  # Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 2**20 if platform.system() == "Darwin" else peak / 2**10, 1)  # bytes there, kilobytes elsewhere
