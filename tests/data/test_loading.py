"""Batches come in their order, without bad trials, and the same from any number of worker processes."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import h5py
import pytest
import torch

from mode_ssm.batch import Batch
from mode_ssm.config import BadTrial
from mode_ssm.data import Problem, TrialDataset, read_batches, sequential_batches
from mode_ssm.errors import InputError
from tests.data.conftest import SESSIONS, Opener
from tests.data.files import make_trial, write_session
from tests.pretend_gpu import GPU, PretendGPU

SESSION_INDEX = {SESSIONS[0]: 0, SESSIONS[1]: 1}  # the third is new to the model


def read_all(
    dataset: TrialDataset, batches: Sequence[Sequence[int]], num_workers: int
) -> tuple[list[Batch | None], list[str]]:
    problems: list[Problem] = []
    read = read_batches(
        dataset, batches, session_index=SESSION_INDEX, num_workers=num_workers, on_problem=problems.append
    )
    return list(read), [str(problem) for problem in problems]


def spoil(root: Path, session: str, *trials: str) -> None:
    with h5py.File(root / session / "data_train.hdf5", "a") as file:
        for trial in trials:
            file[trial]["input_features"][3, 2] = float("nan")


def same(left: Batch | None, right: Batch | None) -> bool:
    if left is None or right is None:
        return left is right
    fields: list[tuple[Any, Any]] = list(zip(left, right, strict=True))
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in fields)


def test_batch_holds_its_trials_padded(open_root: Opener) -> None:
    dataset = open_root()
    (batch,), problems = read_all(dataset, [[9, 0]], 0)
    assert problems == []
    assert batch is not None
    assert batch.keys == (dataset.entries[9].key, dataset.entries[0].key)
    assert batch.session_index.tolist() == [-1, 0]
    assert batch.frame_lengths.tolist() == [37, 30]
    assert batch.label_lengths.tolist() == [5, 5]
    assert batch.features.shape == (2, 37, 8)
    assert batch.features[1, 30:].abs().sum() == 0
    assert batch.sentences == ("sentence 21", "sentence 0")


def test_bad_trials_drop_out_and_an_empty_batch_keeps_its_place(root: Path, open_root: Opener) -> None:
    spoil(root, SESSIONS[0], "trial_0000", "trial_0001")
    spoil(root, SESSIONS[2], "trial_0003")
    batches, problems = read_all(open_root(), [[2, 0], [0, 1], [11], [3, 4]], 0)
    assert [None if batch is None else len(batch.keys) for batch in batches] == [1, None, None, 2]
    assert [problem.split(" has ")[0] for problem in problems] == [
        f"{SESSIONS[0]}/data_train.hdf5 trial_0000",
        f"{SESSIONS[0]}/data_train.hdf5 trial_0000",
        f"{SESSIONS[0]}/data_train.hdf5 trial_0001",
        f"{SESSIONS[2]}/data_train.hdf5 trial_0003",
    ]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_change_nothing(root: Path, open_root: Opener, num_workers: int) -> None:
    spoil(root, SESSIONS[1], "trial_0000", "trial_0001")
    dataset = open_root()
    batches = [*sequential_batches(dataset.entries, 2), [4, 5], [4], [7]]
    expected, expected_problems = read_all(dataset, batches, 0)
    assert None in expected
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found, problems = read_all(dataset, batches, num_workers)
    assert all(map(same, found, expected))
    assert len(found) == len(expected)
    assert problems == expected_problems
    assert torch.equal(torch.get_rng_state(), before)


def test_worker_reads_after_this_process_has(open_root: Opener) -> None:
    dataset = open_root()
    expected, _ = read_all(dataset, [[0, 1]], 0)  # leaves a file open here
    found, _ = read_all(dataset, [[0, 1]], 1)
    assert same(found[0], expected[0])


@pytest.mark.parametrize("num_workers", [0, 1])
def test_bad_trial_ends_the_reading_by_choice(root: Path, open_root: Opener, num_workers: int) -> None:
    spoil(root, SESSIONS[0], "trial_0001")
    dataset = open_root(on_bad_trial=BadTrial.error)
    with pytest.raises(InputError) as error:
        read_all(dataset, [[0, 1], [2]], num_workers)
    assert str(error.value).startswith(f"{SESSIONS[0]}/data_train.hdf5 trial_0001 has 1 NaN or infinite")
    assert "\n" not in str(error.value)


class DyingDataset(TrialDataset):
    def read(self, index: int) -> NoReturn:
        os._exit(index)  # as the kernel ends a process that asks for too much memory


def test_death_of_a_worker_is_one_sentence(open_root: Opener) -> None:
    dataset = open_root()
    dying = DyingDataset(dataset.source, dataset.entries, [], BadTrial.skip)
    with pytest.raises(InputError, match=r"ended .*for lack of \(shared\) memory; lower data.num_workers"):
        read_all(dying, [[0], [1]], 1)


def test_no_batches_need_no_workers(open_root: Opener) -> None:
    assert read_all(open_root(), [], 2) == ([], [])


def test_a_gpu_gets_pinned_batches_and_does_not_wait_for_their_copies(open_root: Opener) -> None:
    dataset = open_root()
    (expected,), _ = read_all(dataset, [[9, 0]], 0)
    assert expected is not None
    with PretendGPU() as gpu:
        (batch,) = read_batches(
            dataset, [[9, 0]], session_index=SESSION_INDEX, num_workers=0, on_problem=fail, device=GPU
        )
        assert batch is not None
        assert (gpu.pinned, gpu.not_waited_for) == (5, 0)
        there = batch.to(GPU)
        assert (gpu.pinned, gpu.not_waited_for) == (5, 5)
        assert there.features.device == GPU
        assert same(there.to(torch.device("cpu")), expected)
        assert gpu.not_waited_for == 5  # the way back is waited for


@pytest.mark.parametrize(
    ("asked", "device", "started"),
    [(None, "cpu", None), (0, "cpu", None), (2, "cpu", (2, False)), (None, "cuda", (3, True)), (0, "cuda", None)],
)
def test_processes_read_for_a_gpu_unless_told_otherwise(
    open_root: Opener, monkeypatch: pytest.MonkeyPatch, asked: int | None, device: str, started: tuple[int, bool] | None
) -> None:
    """Three batches need no fourth reader; they ask the loader to pin them."""
    seen: list[tuple[int, bool]] = []

    def loader(source: Any, *, num_workers: int, pin_memory: bool, **_: Any) -> Any:
        seen.append((num_workers, pin_memory))
        return [source[place] for place in range(len(source))]

    monkeypatch.setattr("mode_ssm.data.loading.DataLoader", loader)
    monkeypatch.setattr("mode_ssm.data.loading.os.cpu_count", lambda: 16)
    with PretendGPU():
        read = read_batches(
            open_root(),
            [[0], [1], [2]],
            session_index=SESSION_INDEX,
            num_workers=asked,
            on_problem=fail,
            device=torch.device(device),
        )
        assert len(list(read)) == 3
    assert seen == [started] * (started is not None)


def fail(problem: Problem) -> None:
    pytest.fail(str(problem))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")
def test_reading_holds_no_features(tmp_path: Path, open_root: Opener) -> None:
    for day in range(1, 25):
        path = write_session(tmp_path / "large", f"t15.2023.08.{day:02d}", "train", [make_trial()] * 4)
        with h5py.File(path, "a") as file:
            for trial in file.values():
                del trial["input_features"]
                written = trial.create_dataset("input_features", (1000, 512), "f4", chunks=(8, 512))  # 2 MB when read
                written[::1000] = 1  # one chunk of it is written, the others read as zeros
                trial.attrs["n_time_steps"] = 1000
    dataset = open_root(data_root=str(tmp_path / "large"), channels=512)
    batches = sequential_batches(dataset.entries, 4)
    read = read_batches(dataset, batches * 3, session_index={}, num_workers=0, on_problem=fail)
    resident = [resident_mb() for batch in read]
    assert len(resident) == 72  # 576 MB
    assert max(resident[8:]) - resident[8] < 150  # of the 512 MB read since; the allocator keeps some tens
