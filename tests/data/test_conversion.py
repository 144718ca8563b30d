"""mode-ssm convert: what is written equals what its source reads; what is told of it, and what is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.cli import main
from mode_ssm.config import BadTrial, ConvertConfig, DataConfig
from mode_ssm.data.conversion import Conversion
from mode_ssm.data.converted import CONVERTED
from mode_ssm.data.source import SOURCES
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from tests.data.converting import SESSIONS, WRITERS, config_of, convert, digests, trials, write_npz
from tests.formats import test_npz

ODD = json.dumps({"source": {"format": "", "data_root": "", "settings": {}, "labels": {}, "files": []}, "files": {}})


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
    assert (out / "labels.yaml").exists() is (expected["labels"] != T15)


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
    unread = refusal(ConvertConfig(f"npz:{tmp_path / 'source'}", str(tmp_path / "out"), nwb_series="a"))
    assert "data.nwb_series is set and data.source=npz does not read it; nwb does." in unread
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
    for broken in ("{", "[]", '{"source": {}}', '{"source": 1, "files": 2}', ODD):
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
