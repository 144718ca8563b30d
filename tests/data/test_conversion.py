"""mode-ssm convert: what is written equals what its source reads, whenever it was ended; and what is refused."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.cli import main
from mode_ssm.config import BadTrial, ConvertConfig, DataConfig
from mode_ssm.data import open_source
from mode_ssm.data.conversion import Conversion
from mode_ssm.data.converted import CONVERTED
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import SOURCES, SPLITS
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError
from tests.formats import an4_archive, test_npz

SESSIONS = ("m1.2016.03.25", "m1.2016.03.26")


def write_npz(root: Path) -> DataConfig:
    for seed, session in enumerate(SESSIONS):
        test_npz.write(root / f"{session}.npz", **test_npz.arrays(seed))
    test_npz.write(root / SESSIONS[0] / "test.npz", features=np.ones((90, 8)), offsets=[0, 40, 90])
    return DataConfig(data_root=str(root), source="npz")


def write_nwb(root: Path) -> DataConfig:
    pytest.importorskip("pynwb", reason="pynwb is not installed")
    from tests.formats import test_nwb

    root.mkdir()
    test_nwb.write(root)
    return DataConfig(data_root=str(root), source="nwb", nwb_series="binned")


def write_t12(root: Path) -> DataConfig:
    pytest.importorskip("scipy", reason="scipy is not installed")
    from tests.formats import test_t12

    for folder, split in (("train", "train"), ("test", "val"), ("competitionHoldOut", "test")):
        test_t12.write(root, folder, **({"sentenceText": None} if split == "test" else {}))
    return test_t12.config_of(root)


def write_t12_unspelt(root: Path) -> DataConfig:
    return replace(write_t12(root), dictionary=None)


def write_an4(root: Path) -> DataConfig:
    pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank (mode-ssm[an4]) is not installed")
    archive = an4_archive.write_archive(root / "an4_sphere.tar.gz", an4_archive.contents({"a": 7, "b": 8}, ".sph"))
    return DataConfig(data_root=str(archive), source="an4")


def write_letters(root: Path) -> DataConfig:
    config = write_npz(root)
    (root / "labels.yaml").write_text(
        "symbols: [a, _, é, b, '|', 'no', y]\nblank: _\nboundary: '|'\n", encoding="utf-8"
    )
    for seed, session in enumerate(SESSIONS):
        made = test_npz.arrays(seed)
        made["labels"] = np.array([(0, 2, 3, 4, 5, 6)[label % 6] for label in made["labels"]])
        made["sentences"] = np.array(["Ça va?", "", "x" * 700, " ", "ok"])
        test_npz.write(root / f"{session}.npz", **made)
    return config


WRITERS: dict[str, Callable[[Path], DataConfig]] = {
    "npz": write_npz,
    "npz of other labels": write_letters,
    "nwb": write_nwb,
    "t12": write_t12,
    "t12 without a dictionary": write_t12_unspelt,
    "an4": write_an4,
}


def config_of(data: DataConfig, out: Path, **changed: Any) -> ConvertConfig:
    given = {"dictionary": data.dictionary, "nwb_series": data.nwb_series} | changed
    return ConvertConfig(from_=f"{data.source}:{data.data_root}", out=str(out), **given)


def convert(config: ConvertConfig) -> Conversion:
    conversion = Conversion(config)
    conversion.run(lambda *_: None)
    return conversion


def trials(config: DataConfig, cache: Path) -> dict[str, Any]:
    """All that can be read of each trial that is sound."""
    source, found = open_source(replace(config, cache_dir=str(cache))), {}
    for split in SPLITS:
        for entry in split_entries(source, source.index(split, source.sessions), split):
            try:
                features = source.read_features(entry.key, entry.record)
            except MalformedError:
                continue
            labels = source.read_labels(entry.key, entry.record)
            name = f"{entry.key.session}/{split}/{entry.key.group}"
            found[name] = (entry.key, entry.record, features.tolist(), labels if labels is None else labels.tolist())
    return found | {"labels": source.labels}


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_each_format_has_a_writer() -> None:
    assert {*WRITERS} >= {*SOURCES} - {"t15"}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_converted_reads_as_its_source(tmp_path: Path, name: str) -> None:
    data, out = WRITERS[name](tmp_path / "source"), tmp_path / "out"
    convert(config_of(data, out))
    read = trials(DataConfig(data_root=str(out)), tmp_path / "cache")
    expected = trials(data, tmp_path / "cache")
    assert len(expected) > 3
    assert {*read} == {*expected}
    for trial, value in expected.items():
        assert read[trial] == value, trial
    assert (out / "labels.yaml").exists() is (name == "npz of other labels")


def test_the_journal_says_what_stands_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_npz(tmp_path / "source"), tmp_path / "out"
    made = test_npz.arrays(1)
    made["features"][2, 3] = np.nan
    made["labels"][3] = 77
    test_npz.write(tmp_path / "source" / f"{SESSIONS[1]}.npz", **made, rest=np.ones(2))
    (tmp_path / "source" / "m1.2016.03.27.npz").write_bytes(b"no")
    (tmp_path / "source" / "other.npz").write_bytes(b"no")
    with pytest.raises(SystemExit) as stopped:
        main(["convert", f"from=npz:{data.data_root}", f"out={out}"])
    assert stopped.value.code == 0
    told = " ".join(capsys.readouterr().err.split())
    nan = f"{SESSIONS[1]}.npz (train) trial_0000 has 1 NaN or infinite feature values, the first at frame 2, channel 3."
    label = f"{SESSIONS[1]}.npz (val) trial_0000 has 77 as label 0, needed are labels of 1 to 40 (AA to |)."
    broken = "m1.2016.03.27.npz is a file in place of an .npz that cannot be read"
    odd = f"{SESSIONS[1]}.npz holds rest."
    unread = "other.npz looks like recordings and is not read."
    for sentence in (nan, label, broken, odd, unread, "3 problems:", "2 notes:"):
        assert sentence in told
    lost = "left out: 1 NaN or infinite features, 1 unreadable, 1 whole files (see converted.json)."
    assert f"{out} is complete: 10 of 12 trials, in 5 files; {lost}" in told
    journal = json.loads((out / CONVERTED).read_text(encoding="utf-8"))
    assert (journal["complete"], journal["trials"]) == (True, 10)
    assert journal["left_out"] == {"NaN or infinite features": 1, "unreadable": 1, "whole files": 1}
    assert [each["file"] for each in journal["not_read"]] == ["other.npz"]
    source = journal["source"]
    assert (source["format"], source["data_root"]) == ("npz", str(tmp_path / "source"))
    assert {*source["files"]} == {
        path.relative_to(data.data_root).as_posix() for path in Path(data.data_root).rglob("*.npz")
    }
    written = {name: part["sha256"] for name, part in journal["files"].items() if part["sha256"]}
    assert written == {name: digest for name, digest in digests(out).items() if name != CONVERTED}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(SystemExit):
        main(["convert", f"npz:{data.data_root}", f"out={out}"])
    assert " ".join(capsys.readouterr().err.split()).endswith(f"{out} is complete: 10 of 12 trials, in 5 files; {lost}")
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_what_is_gone_is_written_again(tmp_path: Path) -> None:
    data, out = write_npz(tmp_path / "source"), tmp_path / "out"
    convert(config_of(data, out))
    whole = digests(out)
    (out / SESSIONS[0] / "data_val.hdf5").unlink()
    convert(config_of(data, out))
    assert digests(out) == whole


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


def refusal(config: ConvertConfig) -> str:
    with pytest.raises(InputError) as refused:
        convert(config)
    return str(refused.value)


def test_what_names_no_source(tmp_path: Path) -> None:
    known = " or ".join(name for name in SOURCES if name != "t15")
    for given in ("xyz:a", "npz", "npz:", "a/b"):
        assert refusal(ConvertConfig(given, str(tmp_path / "out"))) == (
            f"from={given} is no NAME:PATH of a format that is known; NAME is {known}."
        )
    assert refusal(ConvertConfig("t15:a", "out")) == f"from=t15:a is in the T15 layout already; choose {known}."
    absent = f"npz:{tmp_path / 'no'}"
    assert refusal(ConvertConfig(absent, str(tmp_path / "out"))).startswith(
        f"from={absent}: data.data_root={tmp_path / 'no'} does not exist;"
    )
    write_npz(tmp_path / "source")
    unread = refusal(ConvertConfig(f"npz:{tmp_path / 'source'}", str(tmp_path / "out"), dictionary="a.txt"))
    assert "data.dictionary is set and data.source=npz does not read it; t12 does." in unread
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_place_for_it(tmp_path: Path) -> None:
    data = write_npz(tmp_path / "source")
    (tmp_path / "file").write_text("")
    assert refusal(config_of(data, tmp_path / "file")) == (
        f"{tmp_path / 'file'} is a file; set out to a new or empty folder."
    )
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    assert refusal(config_of(data, tmp_path / "full")) == (
        f"{tmp_path / 'full'} holds something that is no conversion; set out to a new or empty folder."
    )
    for inside in (tmp_path / "source", tmp_path / "source" / "new"):
        assert refusal(config_of(data, inside)) == (
            f"out={inside} lies in the folder that is converted, {data.data_root}; set out to a folder elsewhere."
        )
    for broken in ("{", "[]", '{"source": {}}', '{"source": 1, "files": 2}'):
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken" / CONVERTED).write_text(broken)
        assert refusal(config_of(data, tmp_path / "broken")) == (
            f"{tmp_path / 'broken' / CONVERTED} is not as convert writes it; set out to another folder, or remove this "
            "one and convert again."
        )


def test_a_folder_of_another_conversion(tmp_path: Path) -> None:
    data, other, out = write_npz(tmp_path / "source"), write_npz(tmp_path / "other"), tmp_path / "out"
    convert(config_of(data, out))
    anew = "set out to another folder, or remove this one and convert again."
    here, there = (f"npz:{config.data_root}" for config in (data, other))
    assert refusal(config_of(other, out)) == f"{out} holds the conversion of {here}, not of {there}; {anew}"
    assert refusal(config_of(data, out, max_sessions=1)) == (
        f"{out} holds the conversion of {here} with another max_sessions; {anew}"
    )
    changes: dict[str, Callable[[Path], object]] = {
        f"{SESSIONS[0]}.npz is another one": lambda root: test_npz.write(
            root / f"{SESSIONS[0]}.npz", **test_npz.arrays(5)
        ),
        f"{SESSIONS[0]}.npz is gone": lambda root: (root / f"{SESSIONS[0]}.npz").unlink(),
        "a.npz is new": lambda root: (root / "a.npz").write_bytes(b""),
    }
    for what, change in changes.items():
        change(tmp_path / "source")
        said = refusal(config_of(data, out))
        assert said == f"{here} has changed since its conversion to {out} began ({what}); {anew}"
    (tmp_path / "source" / "labels.yaml").write_text("symbols: [_, a]")
    assert refusal(config_of(data, out)).startswith(f"{out} holds the conversion of {here} with another labels;")


def test_a_source_that_changes_meanwhile(tmp_path: Path) -> None:
    data, out = write_npz(tmp_path / "source"), tmp_path / "out"
    conversion = Conversion(config_of(data, out))
    path = tmp_path / "source" / f"{SESSIONS[1]}.npz"
    with pytest.raises(InputError, match=rf"has changed while it was read \({path.name} is another one\); convert to"):
        conversion.run(lambda *_: os.utime(path, (1, 1)))
    assert not json.loads((out / CONVERTED).read_text(encoding="utf-8"))["files"]


def test_a_bad_trial_stops_it_where_that_is_asked(tmp_path: Path) -> None:
    data = write_npz(tmp_path / "source")
    test_npz.write(
        tmp_path / "source" / f"{SESSIONS[0]}.npz", **test_npz.arrays(sentences=np.array(["a\ud800", *"bcde"]))
    )
    name = f"{SESSIONS[0]}.npz (train) trial_0000"
    said = refusal(config_of(data, tmp_path / "out", on_bad_trial=BadTrial.error))
    assert said == (
        f"{name} has a sentence with a NUL or half a character, which HDF5 cannot hold. Write the sentence again, or "
        "remove the trial. (on_bad_trial=skip leaves bad trials out.)"
    )
    assert len(convert(config_of(data, tmp_path / "skipped")).converted.left_out) == 1
    for session in SESSIONS:
        (tmp_path / "source" / f"{session}.npz").write_bytes(b"no")
    (tmp_path / "source" / SESSIONS[0] / "test.npz").unlink()
    assert refusal(config_of(data, tmp_path / "none")).startswith(
        f"Nothing of npz:{data.data_root} can be converted; the first of 2 problems: {SESSIONS[0]}.npz is a file in"
    )


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
