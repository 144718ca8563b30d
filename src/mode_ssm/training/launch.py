"""Which processes a run has and which of them this one is: told by torchrun, told by srun, or started here.

It is said to Fabric outright. Left to itself it reads SLURM's variables wherever they are set, in a batch script of one
task for example, and then comes up with another number of processes than was asked for.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

from mode_ssm.errors import InputError


class Place(NamedTuple):
    """One process among those of a run."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1  # on this machine
    address: str = "127.0.0.1"  # of rank 0
    port: int = 0
    starts_others: bool = False

    @property
    def machines(self) -> int:
        return self.world // self.local_world

    def variables(self, rank: int) -> dict[str, str]:
        """What another process of this machine is told, in the words of torchrun."""
        return {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(self.world),
            "LOCAL_WORLD_SIZE": str(self.local_world),
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
        }


def find_place(devices: int, environment: Mapping[str, str] = os.environ) -> Place:
    """The place of this process; devices: training.devices, the processes on each machine.

    Raises:
        InputError: where torchrun or srun started another number of processes than is asked for, or doesn't say which
            of them this one is.
    """
    if "LOCAL_WORLD_SIZE" in environment:
        return _from_torchrun(devices, environment)
    if "SLURM_STEP_ID" in environment and _number(environment, "SLURM_NTASKS", 1) > 1:
        return _from_srun(devices, environment)
    if devices == 1:
        return Place()
    return Place(world=devices, local_world=devices, port=_free_port(), starts_others=True)


def _from_torchrun(devices: int, environment: Mapping[str, str]) -> Place:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    rank, world, local_rank, local_world = (_number(environment, name) for name in names)
    if devices not in (1, local_world):  # 1: it was left to torchrun
        raise InputError(
            f"training.devices={devices} asks for {devices} processes on each machine, but torchrun started "
            f"{local_world}; leave training.devices out, or start with --nproc-per-node={devices}."
        )
    if local_world < 1 or world % local_world:
        raise InputError(
            f"torchrun started {world} processes, {local_world} of them on this machine; start as many on each machine."
        )
    address, port = environment.get("MASTER_ADDR", "127.0.0.1"), _number(environment, "MASTER_PORT")
    return Place(rank, world, local_rank, local_world, address, port)


def _from_srun(devices: int, environment: Mapping[str, str]) -> Place:
    names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
    rank, world, local_rank = (_number(environment, name) for name in names)
    machines = _number(environment, "SLURM_NNODES", 1)
    if world != devices * machines:
        raise InputError(
            f"training.devices={devices} asks for {devices * machines} processes on {machines} machines, but srun "
            f"started {world} (SLURM_NTASKS={world}); set training.devices={max(world // machines, 1)}, or start with "
            f"srun --ntasks-per-node={devices}, or without srun: training.devices starts processes itself."
        )
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_NODELIST", "127.0.0.1"))
    address = environment.get("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
    port = _number(environment, "MASTER_PORT", 15000 + _number(environment, "SLURM_JOB_ID", 0) % 10000)
    return Place(rank, world, local_rank, devices, address, port)


def _number(environment: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    text = environment.get(name)
    if text is None and otherwise is not None:
        return otherwise
    if text is None or not text.isdecimal():
        raise InputError(
            f"The environment variable {name} is {text or 'not set'}, but must be a number, since others say that this "
            "is one of several processes (LOCAL_WORLD_SIZE or SLURM_NTASKS); start with torchrun, srun or neither."
        )
    return int(text)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def start_others(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """Start this program again for each other process of this machine.

    Raises:
        InputError: in an interactive session, which cannot be started again.
    """
    if hasattr(sys, "ps1") or not sys.orig_argv[1:]:
        raise InputError(
            f"training.devices={place.world} starts this program once more for each process, which an interactive "
            "session cannot do; train from a script or with mode-ssm train."
        )
    for rank in range(1, place.local_world):
        command = [sys.executable, *sys.orig_argv[1:]]
        yield subprocess.Popen(command, env=os.environ | place.variables(rank))


class Processes(ClusterEnvironment):
    """A place, as Fabric asks for it; `others` are the processes that this one started."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.others: list[subprocess.Popen[bytes]] = []

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self.place.address

    @property
    def main_port(self) -> int:
        return self.place.port

    @staticmethod
    def detect() -> bool:
        return False  # it is never guessed

    def world_size(self) -> int:
        return self.place.world

    def set_world_size(self, size: int) -> None:
        assert size == self.place.world

    def global_rank(self) -> int:
        return self.place.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self.place.rank

    def local_rank(self) -> int:
        return self.place.local_rank

    def node_rank(self) -> int:
        return self.place.rank // self.place.local_world
