"""All processes of a run end when one of them does: with its sentence where it has one, and never in a hang.

A process that waits for the others in a collective operation cannot be told anything there. So each has a thread that
listens to rank 0, and rank 0's listens to all. A connection that closes without a word is a process that was killed.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from types import TracebackType
from typing import Any

from lightning_fabric import Fabric

from mode_ssm.errors import InputError
from mode_ssm.training.launch import Processes

INPUT_WAS_WRONG = 2  # the exit status, as of every command
NEWS_S = 5.0  # so long a process waits to hear why another has left it
LOST_S = 30  # so long a machine may be silent on the network: TCP asks after 10 s, then each 5 s


def together(fabric: Fabric) -> AbstractContextManager[object]:
    """Within it, an error or the end of one process ends them all, at once; of a machine, within LOST_S."""
    if fabric.world_size == 1:
        return nullcontext()
    environment = getattr(fabric.strategy, "cluster_environment", None)
    assert isinstance(environment, Processes)
    return _Watch(fabric, environment)


class _Watch:
    def __init__(self, fabric: Fabric, processes: Processes) -> None:
        self._place, self._others = processes.place, processes.others
        self._pids = {self._place.rank: os.getpid()}
        self._lock, self._over = threading.Lock(), False
        self._peers: dict[int, Connection[Any, Any]] = {}
        self._connect(fabric)
        threading.Thread(target=self._listen, name="other processes", daemon=True).start()

    def _connect(self, fabric: Fabric) -> None:
        place, key = self._place, fabric.broadcast(secrets.token_bytes(32))
        if place.rank == 0:
            here = "127.0.0.1" if place.machines == 1 else ""
            with Listener((here, 0), backlog=place.world, authkey=key) as listener:
                fabric.broadcast(listener.address[1])
                for _ in range(place.world - 1):
                    peer = listener.accept()
                    rank, self._pids[rank] = json.loads(peer.recv_bytes())
                    self._peers[rank] = peer
        else:
            port = fabric.broadcast(0)
            address = "127.0.0.1" if place.machines == 1 else place.address
            self._peers[0] = Client((address, port), authkey=key)
            self._peers[0].send_bytes(json.dumps([place.rank, os.getpid()]).encode())
        if place.machines > 1:
            for peer in self._peers.values():
                _ask_whether_alive(peer)

    def _listen(self) -> None:
        done: set[int] = set()  # their connections stay open, else they would miss that this process is done
        while peers := {rank: peer for rank, peer in self._peers.items() if rank not in done}:
            ready = wait(peers.values())
            for rank in [rank for rank, peer in peers.items() if peer in ready]:
                try:
                    sentence = json.loads(peers[rank].recv_bytes())
                except (EOFError, OSError):
                    sentence = self._lost(rank)
                if sentence is None:
                    done.add(rank)
                else:
                    self._end(sentence, told_by=rank)

    def _lost(self, rank: int) -> str:
        pid = f" (pid {self._pids[rank]})" if rank in self._pids else ""
        return (
            f"Process {rank} of {self._place.world}{pid} was killed or lost, for lack of memory perhaps, and the "
            "others stop with it; go on from the last checkpoint with training.resume=auto."
        )

    def _end(self, sentence: str, told_by: int) -> None:
        """End this process, from the thread that listens; rank 0 tells the others first, and says why."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._place.rank == 0:
                self._tell(sentence)
            if self._place.rank == 0 or (sentence == self._lost(told_by) and self._place.rank == 1):
                print(f"mode-ssm: {' '.join(sentence.split())}", file=sys.stderr)
            if sys.stdout.isatty():
                print("\x1b[?25h", end="")  # the cursor, which a progress bar hides
            sys.stdout.flush()
            sys.stderr.flush()
            self._wait_for_others(NEWS_S)
            os._exit(INPUT_WAS_WRONG)

    def _tell(self, sentence: str | None) -> None:
        for peer in list(self._peers.values()):
            with suppress(OSError):
                peer.send_bytes(json.dumps(sentence).encode())

    def _wait_for_others(self, seconds: float) -> None:
        """Those that this process started; what has not ended by then is killed."""
        deadline = time.monotonic() + seconds
        for other in self._others:
            try:
                other.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                other.kill()

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None or isinstance(error, SystemExit | KeyboardInterrupt):
            self._leave(None)
        elif isinstance(error, InputError):
            self._leave(str(error))
        else:
            time.sleep(NEWS_S)  # a collective operation breaks where another process has ended: then that is the news
            if self._place.rank:
                traceback.print_exception(error)
            self._leave(
                f"Process {self._place.rank} of {self._place.world} failed with {type(error).__name__}, and the others "
                "stop with it; what it printed says where."
            )

    def _leave(self, sentence: str | None) -> None:
        """Tell the others; a process that has failed is then ended by rank 0's answer, which says why, once."""
        with self._lock:
            self._over = self._place.rank == 0
            self._tell(sentence)
        if self._place.rank == 0:
            self._wait_for_others(LOST_S if sentence is None else NEWS_S)
        elif sentence is not None:
            time.sleep(NEWS_S)


def _ask_whether_alive(peer: "Connection[Any, Any]") -> None:
    with socket.socket(fileno=os.dup(peer.fileno())) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
