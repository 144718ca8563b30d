"""`python -m tests.training.accident KIND RANK COMMAND ...`: a command in which one process meets with an accident."""

import os
import resource
import signal
import sys
from typing import Any, NoReturn

from mode_ssm.cli import main
from mode_ssm.data import loading
from mode_ssm.training import update

LATER = 3  # the update in which it happens, counted from 1


class DyingBatches(loading._Batches):
    def __getitem__(self, place: int) -> NoReturn:
        os._exit(3)  # as the kernel ends a process that asks for too much memory


def in_update(happen: Any) -> None:
    real, calls = update.clip_gradients, 0

    def clip_gradients(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == LATER:
            happen()
        return real(*arguments)

    update.clip_gradients = clip_gradients


def arrange(kind: str) -> None:
    match kind:
        case "killed":
            in_update(lambda: os.kill(os.getpid(), signal.SIGKILL))
        case "full disk":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            in_update(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        case "dying reader":
            loading._Batches = DyingBatches
        case "bug":
            in_update(lambda: [][0])


if __name__ == "__main__":
    kind, rank, *words = sys.argv[1:]
    if os.environ.get("RANK", "0") == rank:
        arrange(kind)
    main(words)
