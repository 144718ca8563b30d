"""Processes and devices, through Lightning Fabric: one CPU, one GPU, or several processes started by torchrun or here.

Gradients are summed over the processes once per update, which works with heads that a stage does not train and needs
no wrapper around the model.
"""

import os
import platform
import resource
import warnings

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mode_ssm.config import TrainingConfig
from mode_ssm.errors import InputError
from mode_ssm.losses.objective import UpdateSize


def start_fabric(config: TrainingConfig) -> Fabric:
    """Start the processes of this run.

    Raises:
        InputError: when the machine lacks the devices that are asked for.
    """
    if config.accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("training.accelerator=cuda but PyTorch finds no GPU; set training.accelerator=cpu or auto.")
    accelerator = "cuda" if config.accelerator == "auto" and torch.cuda.is_available() else config.accelerator
    accelerator = "cpu" if accelerator == "auto" else accelerator
    devices, nodes = config.devices, 1
    if "LOCAL_WORLD_SIZE" in os.environ:  # started by torchrun
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if accelerator == "cuda" and devices > torch.cuda.device_count():
        raise InputError(f"training.devices={devices} but there are {torch.cuda.device_count()} GPUs; lower it.")
    strategy = "ddp" if devices * nodes > 1 else "auto"
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision="bf16-mixed" if config.precision == "bf16-mixed" else "32-true",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="lightning_fabric")
        fabric.launch()
    return fabric


def sum_over_processes(fabric: Fabric, tensors: list[Tensor]) -> None:
    """Sum tensors of one dtype in place over all processes, in one message."""
    if fabric.world_size == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    summed = fabric.all_reduce(flat, reduce_op="sum")
    assert isinstance(summed, Tensor)
    for tensor, part in zip(tensors, torch.split(summed, [t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def sum_gradients(fabric: Fabric, parameters: list[nn.Parameter]) -> None:
    """Sum each parameter's gradient over the processes in which it has one."""
    if fabric.world_size == 1:
        return
    have = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int64, device=fabric.device)
    sum_over_processes(fabric, [have])
    shared = [p for p, count in zip(parameters, have.tolist(), strict=True) if count]
    for parameter in shared:
        if parameter.grad is None:  # this process had no batch
            parameter.grad = torch.zeros_like(parameter)
    sum_over_processes(fabric, [p.grad for p in shared if p.grad is not None])


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


def sum_sizes(fabric: Fabric, size: UpdateSize) -> UpdateSize:
    """The counts of an update over all processes."""
    counts = [torch.tensor([*size], dtype=torch.int64, device=fabric.device)]
    sum_over_processes(fabric, counts)
    return UpdateSize(*counts[0].tolist())


def peak_memory_mb(device: torch.device) -> float:
    """The most memory that this process has held so far: of the GPU where it computes there, else of the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10  # bytes there, kilobytes elsewhere
