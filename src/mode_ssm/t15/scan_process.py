"""Read HDF5 files in a process of its own: damaged bytes can make the HDF5 library hang or crash, past any `except`.

One process serves all files, and another one takes its place when a file was its end. It leaves when it is idle.
"""

import atexit
import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, TypeVarTuple

from mode_ssm.index import MalformedError
from mode_ssm.labels import Labels
from mode_ssm.t15 import scan
from mode_ssm.t15.files import COPY_AGAIN, stat_file
from mode_ssm.t15.scan import FileIndex
from mode_ssm.t15.sessions import file_name

LIMIT_S = 30.0  # of processor time for a file (T15's take under 1 s): neither a slow disk nor a busy machine counts
IDLE_S = 20.0
_UNCAUGHT = 1  # the exit status after a Python exception
_TIME_IS_UP = 27  # SIGPROF, which Windows has not

Arguments = TypeVarTuple("Arguments")
Answer = TypeVar("Answer")


class _Question(NamedTuple):
    read: Callable[..., Any]
    arguments: tuple[Any, ...]
    limit_s: float


def apart(read: Callable[[*Arguments], Answer], *arguments: *Arguments, limit_s: float | None = None) -> Answer:
    """Call a function of a module, which reads a file, apart from this process; what it takes and gives is pickled.

    Args:
        limit_s: of processor time; None = LIMIT_S.

    Raises:
        MalformedError: as the function, and where the file makes the HDF5 library crash, or hang (not noticed on
            Windows).
    """
    answer = _scanner(os.getpid()).ask(_Question(read, arguments, LIMIT_S if limit_s is None else limit_s))
    if isinstance(answer, MalformedError):
        raise answer
    found: Answer = answer
    return found


def scan_file(root: Path, session: str, split: str, labels: Labels) -> FileIndex:
    """As scan.scan_file, apart from this process.

    Raises:
        MalformedError: as there, and as `apart`.
    """
    stat_file(root / file_name(session, split))
    return apart(scan.scan_file, root, session, split, labels)


@functools.cache
def _scanner(process_id: int) -> "_Scanner":  # noqa: ARG001 - a fork of this process starts its own
    return _Scanner()


class _Scanner:
    """The side that asks."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        atexit.register(self._stop)

    def ask(self, question: _Question) -> Any:
        with self._turn:
            while True:
                if self._process is not None and self._process.poll() is not None:
                    self._stop()
                self._process = process = self._process or _start()
                try:
                    return _exchange(process, question)
                except (EOFError, BrokenPipeError, pickle.UnpicklingError):  # it is dead
                    self._process = None
                    status = _await(process)
                except BaseException:  # the answer would be taken for that of the next question
                    self._stop()
                    raise
                if status != 0:  # else it was idle, and left at this moment
                    return _malformed(status)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            _await(process)


def _start() -> "subprocess.Popen[bytes]":
    code = f"from {__name__} import serve; serve()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the process that asks
    )


def _exchange(process: "subprocess.Popen[bytes]", question: _Question) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(question, process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)


def _await(process: "subprocess.Popen[bytes]") -> int:
    """The exit status, with the pipes closed."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    return process.wait()


def _malformed(status: int) -> MalformedError:
    if status == _UNCAUGHT:
        raise RuntimeError("The process that reads the data ended with the error above.")
    if status == -_TIME_IS_UP:
        return MalformedError("is a damaged HDF5 file: the HDF5 library does not come to an end with it", COPY_AGAIN)
    name = signal.Signals(-status).name if status < 0 else f"status {status}"
    return MalformedError(f"is a damaged HDF5 file: the HDF5 library crashes on it ({name})", COPY_AGAIN)


def serve() -> None:
    """The side that answers, until nothing is asked for a while; a file that takes too long ends the process."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        idle = threading.Timer(IDLE_S, os._exit, (0,))
        idle.daemon = True
        idle.start()
        try:
            question: _Question = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        idle.cancel()
        _set_limit(question.limit_s)
        answer = _answer(question)
        _set_limit(0)
        pickle.dump(answer, answers)
        answers.flush()


def _answer(question: _Question) -> Any:
    try:
        return question.read(*question.arguments)
    except MalformedError as malformed:
        return malformed
    except MemoryError:
        return MalformedError("is a damaged HDF5 file: there is not memory enough to read it", COPY_AGAIN)


def _set_limit(seconds: float) -> None:
    """End this process, were it within the library, after so much processor time; 0 = never."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)
