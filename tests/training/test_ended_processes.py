"""One process that cannot go on ends all of them: with its sentence, status 2 and no traceback, however they started.

A collective operation that nobody joins waits for 30 minutes; the time limits here only have to be shorter.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.errors import InputError
from mode_ssm.training import devices
from mode_ssm.training.launch import Place, find_place
from tests.data.files import make_trial, write_session
from tests.leftovers import assert_nothing_is_left_of
from tests.small import SESSIONS, small_words, write_data

PLACE = Path(__file__).parents[2]
SRUN = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_NNODES": "1", "SLURM_NODELIST": "localhost"}
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


def run(before: list[str], kind: str, rank: int, words: list[str]) -> tuple[int, str]:
    """The exit status of `train` with an accident, and what it said on stderr; nothing of it is left then."""
    command = [sys.executable, *before, "-m", "tests.training.accident", kind, str(rank), "train", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=PLACE, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _, said = process.communicate(timeout=240)
    assert_nothing_is_left_of(process.pid)
    return process.returncode, said


def sentences(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("mode-ssm: ")]


@pytest.mark.parametrize(
    ("kind", "rank", "more", "sentence"),
    [
        ("killed", 1, (), "Process 1 of 2 (pid "),
        ("dying reader", 1, ("data.num_workers=1",), "A reader process ended (DataLoader worker"),
        ("bug", 1, (), "Process 1 of 2 failed with IndexError, and the others stop with it"),
    ],
)
def test_an_accident_in_one_process_ends_both_with_one_sentence(tmp_path, kind, rank, more, sentence):
    root = write_data(tmp_path / "data")
    words = small_words(root, tmp_path / "run", "training.devices=2", "training.batch_size=2", *more)
    status, said = run([], kind, rank, words)
    assert status == 2, said
    (only,) = sentences(said)
    assert only.startswith(f"mode-ssm: {sentence}")
    assert said.count("Traceback") == (kind == "bug")


def test_a_bad_trial_ends_what_torchrun_started(tmp_path):
    trials = [make_trial(number, 90) for number in range(6)]
    trials[4].features[3, 2] = np.nan
    write_session(tmp_path / "data", SESSIONS[0], "train", trials)
    words = small_words(tmp_path / "data", tmp_path / "run", "training.batch_size=1", "data.on_bad_trial=error")
    status, said = run(TORCHRUN, "none", 0, words)
    assert status == 1, said  # torchrun's own; it tells the processes' status
    assert "exitcode  : 2" in said
    (only,) = sentences(said)
    assert "trial_0004 has 1 NaN or infinite feature values" in only


def test_a_full_disk_ends_what_srun_started(tmp_path):
    words = small_words(write_data(tmp_path / "data"), tmp_path / "run", "training.devices=2", "training.batch_size=2")
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.training.accident",
                "full disk" if rank == 0 else "none",
                "0",
                "train",
                *words,
            ],
            cwd=PLACE,
            env=os.environ
            | SRUN
            | {"OMP_NUM_THREADS": "1", "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
            | {"SLURM_JOB_ID": str(os.getpid())},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [2, 2], said
    (only,) = sentences(said[0])
    assert "cannot be written ([Errno 27] File too large); free disk space there" in only
    assert sentences(said[1]) == []
    assert "Traceback" not in "".join(said)


def torchrun(**changed: str) -> dict[str, str]:
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_PORT": "29500"}
    return {name: text for name, text in (told | {"MASTER_ADDR": "first"} | changed).items() if text}


def srun(**changed: str) -> dict[str, str]:
    return SRUN | {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "123456"} | changed


@pytest.mark.parametrize("variables", [{}, {"SLURM_NTASKS": "1"}, {"SLURM_NTASKS": "3"}, srun(SLURM_NTASKS="1")])
def test_as_many_processes_as_asked_for_are_started_whatever_slurm_has_set(variables):
    assert find_place(1, variables) == Place()
    place = find_place(2, variables)
    assert place == Place(world=2, local_world=2, port=place.port, starts_others=True)


def test_the_others_are_told_their_place_as_torchrun_tells_it():
    place = find_place(3, {})
    assert find_place(3, place.variables(2)) == Place(2, 3, 2, 3, "127.0.0.1", place.port)


def test_torchrun_and_srun_say_which_process_this_is():
    assert find_place(1, torchrun()) == find_place(4, torchrun()) == Place(5, 8, 1, 4, "first", 29500)
    assert find_place(4, torchrun()).machines == 2
    assert find_place(2, srun()) == Place(1, 2, 1, 2, "localhost", 15000 + 3456)
    nodes = {"SLURM_NNODES": "2", "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_STEP_NODELIST": "gpu[07-08,11]"}
    assert find_place(2, srun(**nodes)) == Place(3, 4, 1, 2, "gpu07", 15000 + 3456)


@pytest.mark.parametrize(
    ("asked", "variables", "sentence"),
    [
        (
            3,
            torchrun(),
            r"=3 asks for 3 processes on each machine, but torchrun started 4; leave .* --nproc-per-node=3\.",
        ),
        (1, torchrun(WORLD_SIZE="6"), "torchrun started 6 processes, 4 of them on this machine; start as many on each"),
        (1, torchrun(RANK=""), "variable RANK is not set, but must be a number"),
        (1, torchrun(MASTER_PORT="http"), "variable MASTER_PORT is http, but must be a number"),
        (
            1,
            srun(),
            r"=1 asks for 1 processes on 1 machines, but srun started 2 \(SLURM_NTASKS=2\); set .*devices=2, or",
        ),
        (4, srun(), r"=4 asks for 4 processes on 1 machines, but srun started 2 .* with srun --ntasks-per-node=4"),
        (2, srun(SLURM_NTASKS="two"), "variable SLURM_NTASKS is two, but must be a number"),
    ],
)
def test_another_number_than_asked_for_is_one_sentence(asked, variables, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        find_place(asked, variables)
    assert "\n" not in str(error.value)


def test_an_interactive_session_cannot_be_started_again(monkeypatch):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(InputError, match="an interactive session cannot do; train from a script"):
        next(iter(devices.start_others(find_place(2, {}))))


def test_a_system_that_does_not_tell_its_memory_has_none(monkeypatch):
    assert devices.peak_memory_mb(devices.torch.device("cpu")) > 10
    monkeypatch.setattr(devices.platform, "system", lambda: "Windows")
    assert devices.peak_memory_mb(devices.torch.device("cpu")) is None
