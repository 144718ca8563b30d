"""A conversion that is ended goes on to the same bytes, whenever that was; and the memory that it takes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data.converted import CONVERTED
from tests.data.converting import SESSIONS, config_of, convert, digests, write_letters
from tests.formats import test_npz

KILLED = """
import os, signal, sys
import h5py
from mode_ssm import cli, files
from mode_ssm.commands import convert

def counted(function):
    def call(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call

for calls in range(1000):
    child = os.fork()
    if not child:
        left = calls
        for owner, name in ((os, "replace"), (files.Path, "replace"), (files.Path, "write_text"), (files.Path, "mkdir"),
                            (h5py.Group, "create_dataset"), (h5py.File, "close")):
            setattr(owner, name, counted(getattr(owner, name)))
        cli.main(sys.argv[1:])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
    if status != -signal.SIGKILL:
        break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_at_each_of_its_writes_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """The first process before the first thing that reaches the disk, the next before the second, and so on."""
    data = write_letters(tmp_path / "source")
    convert(config_of(data, tmp_path / "whole"))
    words = ["convert", f"from=npz:{data.data_root}", f"out={tmp_path / 'out'}"]
    ended = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True)
    *killed, last = ended.stdout.split()
    assert (last, {*killed}) == ("0", {str(-signal.SIGKILL)}), ended.stderr
    assert len(killed) >= 10
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_from_outside_while_a_file_grows(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((200 * 300, 128), dtype=np.float32)
    test_npz.write(tmp_path / "source" / f"{SESSIONS[0]}.npz", features=values, offsets=np.arange(0, 60_001, 300))
    data, out = DataConfig(data_root=str(tmp_path / "source"), source="npz"), tmp_path / "out"
    words = [sys.executable, "-m", "mode_ssm", "convert", f"from=npz:{data.data_root}", f"out={out}"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    part = out / SESSIONS[0] / "data_train.hdf5.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 1_000_000):
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not json.loads((out / CONVERTED).read_text(encoding="utf-8"))["complete"]
    convert(config_of(data, out))
    convert(config_of(data, tmp_path / "whole"))
    assert digests(out) == digests(tmp_path / "whole")


MEMORY = """
import resource, sys
from mode_ssm.cli import main
from mode_ssm.commands import convert
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    main(sys.argv[1:])
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in another unit elsewhere")
def test_memory_holds_a_trial_at_a_time(tmp_path: Path) -> None:
    """184 MB of trials, no two of one length, are converted in 25 MB beside what is imported."""
    offsets = np.cumsum([0, *np.random.default_rng(0).integers(250, 650, 400)])
    values = np.zeros((offsets[-1], 256), np.float32)
    test_npz.write(tmp_path / "source" / f"{SESSIONS[0]}.npz", features=values, offsets=offsets)
    words = ["convert", f"npz:{tmp_path / 'source'}", f"out={tmp_path / 'out'}"]
    ended = subprocess.run([sys.executable, "-c", MEMORY, *words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 25_000
