"""Files from the command's own function: the data set's schema, the truth, the same bytes always, and refusals."""

import csv
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.simulation import simulate
from mode_ssm.simulation.folder import BLOCK_LIST, MARK
from mode_ssm.simulation.plan import plan_sessions
from mode_ssm.simulation.session import SessionRecorder
from tests.leftovers import assert_nothing_is_left_of

ROWS = [
    ("t15.2023.08.11", "train", 1, 0, "HH AH L OW | Y UW |", "Hello you."),
    ("t15.2023.08.11", "train", 1, 1, "AY | AE M |", "I am."),
    ("t15.2023.08.11", "train", 3, 0, "N OW |", "No."),
    ("t15.2023.08.13", "train", 2, 0, "Y EH S |", "Yes."),
    ("t15.2023.08.13", "val", 4, 0, "W IY | AA R |", "We are."),
    ("t15.2023.08.13", "val", 4, 1, "G UH D |", "Good!"),
]


def _digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Simulated(NamedTuple):
    root: Path
    config: SimulateConfig


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated")
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("session", "split", "block", "trial", "phonemes", "sentence"))
        writer.writerows(ROWS)
    config = SimulateConfig(out=str(folder / "data"), preset="demo", labels=str(folder / "labels.csv"), workers=1)
    simulate(config)
    return Simulated(folder / "data", config)


def test_the_folder_has_the_layout_of_the_data_set(simulated: Simulated) -> None:
    assert sorted(_digests(simulated.root)) == [
        MARK,
        "t15.2023.08.11/data_train.hdf5",
        "t15.2023.08.11/truth.hdf5",
        "t15.2023.08.13/data_test.hdf5",
        "t15.2023.08.13/data_train.hdf5",
        "t15.2023.08.13/data_val.hdf5",
        "t15.2023.08.13/truth.hdf5",
    ]


def test_a_reader_of_the_public_baseline_gets_what_it_asks_for(simulated: Simulated) -> None:
    """The keys and attributes that the baseline's loader takes from every group, and what it does with them."""
    seen = []
    for path in sorted(simulated.root.glob("*/data_*.hdf5")):
        with h5py.File(path, "r") as file:
            for i, key in enumerate(file.keys()):
                assert key == f"trial_{i:04d}"
                group = file[key]
                features = group["input_features"][:]
                assert features.dtype == np.float32
                assert features.shape == (group.attrs["n_time_steps"], 512)
                year, month, day = group.attrs["session"].split(".")[1:]
                assert f"t15.{year}.{month}.{day}" == path.parent.name
                labels = group["seq_class_ids"][:] if "seq_class_ids" in group else None
                length = group.attrs.get("seq_len")
                codes = group["transcription"][:] if "transcription" in group else None
                sentence = group.attrs["sentence_label"][:] if "sentence_label" in group.attrs else None
                place = (group.attrs["block_num"], group.attrs["trial_num"])
                seen.append((path.parent.name, path.stem[5:], *map(int, place), sentence))
                assert (labels is None) == (length is None) == (codes is None) == (path.stem == "data_test")
                if labels is not None:
                    assert labels.dtype == codes.dtype == np.int32
                    assert labels.shape == codes.shape == (500,)
                    assert not labels[length:].any()
                    assert labels[:length].all()
                    assert "".join(map(chr, codes[: codes.argmin()])) == sentence
    assert [row for row in seen if row[1] != "test"] == sorted((*row[:4], row[5]) for row in ROWS)
    assert [row[2:] for row in seen if row[1] == "test"] == [(4, 0, None), (4, 1, None)]


def test_the_kinds_of_everything_are_those_of_the_data_set(simulated: Simulated) -> None:
    with h5py.File(simulated.root / "t15.2023.08.13" / "data_val.hdf5", "r") as file:
        group = file["trial_0001"]
        assert set(group) == {"input_features", "seq_class_ids", "transcription"}
        kinds = {name: type(value) for name, value in group.attrs.items()}
        whole, text = np.int64, str
        assert kinds == {
            "n_time_steps": whole,
            "seq_len": whole,
            "block_num": whole,
            "trial_num": whole,
            "session": text,
            "sentence_label": text,
        }
        assert all(group[name].compression is None for name in group)
        assert list(group["seq_class_ids"][: group.attrs["seq_len"]]) == T15.ids("G UH D |")
    with h5py.File(simulated.root / "t15.2023.08.13" / "data_test.hdf5", "r") as file:
        assert set(file["trial_0000"]) == {"input_features"}
        assert set(file["trial_0000"].attrs) == {"n_time_steps", "session", "block_num", "trial_num"}


def test_the_truth_aligns_every_frame(simulated: Simulated) -> None:
    for session in simulated.root.glob("t15.*"):
        with h5py.File(session / "truth.hdf5", "r") as truth:
            assert truth["population/tuning"].shape == (256, len(truth["population"].attrs["columns"]))
            for path in session.glob("data_*.hdf5"):
                split = path.stem[5:]
                with h5py.File(path, "r") as data:
                    assert set(truth[split]) == set(data)
                    for name, group in truth[split].items():
                        alignment = group["alignment"][:]
                        assert len(alignment) == data[name].attrs["n_time_steps"]
                        assert group.attrs["mode"] in ("vocalised", "silent")
                        source = group if split == "test" else data[name]
                        labels = source["seq_class_ids"][: source.attrs["seq_len"]]
                        spoken = [label for label, _ in groupby(alignment) if label != T15.blank]
                        assert spoken == [label for label, _ in groupby(labels)]


def test_blocks_are_z_scored_over_all_their_trials(simulated: Simulated) -> None:
    blocks: dict[tuple[str, int], list[np.ndarray]] = {}
    for path in simulated.root.glob("*/data_*.hdf5"):
        with h5py.File(path, "r") as file:
            for group in file.values():
                blocks.setdefault((path.parent.name, group.attrs["block_num"]), []).append(group["input_features"][:])
    assert len(blocks) == 4
    for trials in blocks.values():
        features = np.concatenate(trials)
        assert features.max() <= 10
        unclipped = (features < 10).all(axis=0) & (features != 0).any(axis=0)
        np.testing.assert_allclose(features[:, unclipped].mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(features[:, unclipped].std(axis=0), 1, atol=1e-3)


def test_what_is_written_is_what_the_recorder_gives(simulated: Simulated) -> None:
    preset, sessions = plan_sessions(simulated.config)
    recorder = SessionRecorder(sessions[1], [session.day for session in sessions], preset, simulated.config)
    for block in recorder.blocks():
        numbers: Counter[str] = Counter()
        for recorded in recorder.record(block):
            split = recorded.trial.split
            with h5py.File(simulated.root / sessions[1].name / f"data_{split}.hdf5", "r") as file:
                written = file[f"trial_{numbers[split]:04d}/input_features"][:]
            numbers[split] += 1
            np.testing.assert_array_equal(written, recorded.features)


def test_any_number_of_workers_writes_the_same_bytes(simulated: Simulated, tmp_path: Path) -> None:
    config = SimulateConfig(**{**vars(simulated.config), "out": str(tmp_path / "again"), "workers": 2})
    simulate(config)
    assert _digests(tmp_path / "again") == _digests(simulated.root)


def test_an_interrupted_run_is_completed(
    simulated: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "interrupted"
    shutil.copytree(simulated.root, root)
    complete = root / "t15.2023.08.11" / "data_train.hdf5"
    written = complete.stat().st_mtime_ns
    (root / "t15.2023.08.13" / "truth.hdf5").rename(root / "t15.2023.08.13" / "truth.hdf5.part")
    (root / "t15.2023.08.13" / "data_val.hdf5").write_bytes(b"half of it")
    simulate(SimulateConfig(**{**vars(simulated.config), "out": str(root)}))
    assert "5 trials of 1 sessions (1 are complete already)" in capsys.readouterr().err
    assert _digests(root) == _digests(simulated.root)
    assert complete.stat().st_mtime_ns == written
    simulate(SimulateConfig(**{**vars(simulated.config), "out": str(root)}))
    assert "is complete: 2 sessions" in capsys.readouterr().err


def test_another_seed_changes_all_features(simulated: Simulated, tmp_path: Path) -> None:
    root = tmp_path / "other"
    simulate(SimulateConfig(**{**vars(simulated.config), "out": str(root), "seed": 1, "max_sessions": 1}))
    same, other = _digests(simulated.root), _digests(root)
    assert all(same[name] != other[name] for name in other)


def test_our_own_sentences_come_with_a_list_of_blocks(tmp_path: Path) -> None:
    simulate(SimulateConfig(out=str(tmp_path), preset="demo", max_sessions=1, workers=1))
    with open(tmp_path / BLOCK_LIST, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["Date"], row["Block number"], row["Number of sentences"], row["Split"]) for row in rows] == [
        ("2023-08-11", "1", "40", "Train"),
        ("2023-08-11", "2", "40", "Train"),
        ("2023-08-11", "3", "16", "Val/Test"),
    ]
    assert json.loads((tmp_path / MARK).read_text())["settings"]["preset"] == "demo"
    with h5py.File(tmp_path / "t15.2023.08.11" / "data_train.hdf5", "r") as file:
        frames = [group.attrs["n_time_steps"] for group in file.values()]
        room = [(group.attrs["n_time_steps"] - 14) // 4 + 1 - 2 * group.attrs["seq_len"] for group in file.values()]
    assert len(frames) == 80
    assert 150 < np.mean(frames) < 350
    assert min(room) > 0  # encoder frames enough for every label and a blank between


def test_a_folder_of_other_things_is_refused(simulated: Simulated, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something that is no simulation; set out to a new or empty folder"):
        simulate(SimulateConfig(out=str(tmp_path), preset="demo"))
    with pytest.raises(InputError, match=r"thesis.txt is a file"):
        simulate(SimulateConfig(out=str(tmp_path / "thesis.txt"), preset="demo"))
    with pytest.raises(InputError, match=r"holds another simulation \(its settings are in simulation.json\)"):
        simulate(SimulateConfig(**{**vars(simulated.config), "seed": 1}))
    assert sorted(os.listdir(tmp_path)) == ["thesis.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_run_that_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    root = tmp_path / "data"
    command = [sys.executable, "-m", "mode_ssm", "simulate", f"out={root}", "preset=small", "workers=2"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not list(root.rglob("*.part")):
        time.sleep(0.02)
    process.send_signal(number)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == (143 if number == signal.SIGTERM else -9), complaints
    assert "Traceback" not in complaints
    assert_nothing_is_left_of(process.pid)


def test_it_also_runs_outside_the_main_thread_and_names_a_dead_worker(tmp_path: Path) -> None:
    config = SimulateConfig(out=str(tmp_path / "data"), preset="demo", max_sessions=1, workers=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(simulate, config)
        while not running.done() and not list(tmp_path.rglob("*.part")):
            time.sleep(0.02)
        (worker,) = multiprocessing.active_children()
        worker.kill()
        with pytest.raises(InputError, match="A simulating process ended, .* lower workers and run it again"):
            running.result(timeout=60)
        pool.submit(simulate, config).result(timeout=120)
    assert (tmp_path / "data" / "t15.2023.08.11" / "truth.hdf5").exists()


def test_a_file_that_cannot_grow_is_named(tmp_path: Path) -> None:
    words = f"simulate out={tmp_path / 'data'} preset=demo max_sessions=1"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    code = f"{limit}; from mode_ssm.cli import main; main('{words}'.split())"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "make room and run the same command again." in done.stderr
    assert "Traceback" not in done.stderr


def test_too_little_disk_is_found_out_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(InputError, match=r"The data take 0.1\d GB but .* has 0.01 GB free; free some or set max_sess"):
        simulate(SimulateConfig(out=str(tmp_path / "new" / "data"), preset="demo"))
    assert not (tmp_path / "new").exists()


def test_what_is_announced_is_what_is_taken(
    simulated: Simulated, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    simulate(SimulateConfig(out=str(tmp_path / "d"), preset="demo", max_sessions=1, workers=1))
    announced = float(capfd.readouterr().err.split(" GB in ")[0].split()[-1])
    taken = sum(path.stat().st_size for path in (tmp_path / "d").rglob("*") if path.is_file()) / 1e9
    assert announced == pytest.approx(taken, abs=0.006)
    assert simulated.root.exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "large"}, "There is no preset 'large'"),
        ({"max_sessions": 0}, "max_sessions is 0; set it to 1 or more"),
        ({"workers": -1}, "workers is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"drift_days": 0.0}, "drift_days is 0.0; set it to a positive number"),
        ({"drift_days": float("nan")}, "drift_days is nan"),
        ({"spike_regularity": 0.0}, "spike_regularity is 0.0; set it between"),
        ({"lexicon": "absent.dict"}, "absent.dict cannot be read"),
        ({"labels": "absent.csv"}, "absent.csv cannot be read"),
        ({"out": f"{__file__}/data"}, "test_simulate.py/data cannot be written to (Not a directory)"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    defaults = {"out": str(tmp_path / "data"), "preset": "demo"}
    with pytest.raises(InputError, match=".") as caught:
        simulate(SimulateConfig(**{**defaults, **settings}))  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_an_import_does_not_load_torch() -> None:
    """Every worker process pays for what the package imports."""
    code = "import sys, mode_ssm.simulation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
