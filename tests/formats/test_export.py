"""Recordings to NWB and back: nothing changes, nothing is half-written, and what is there stays."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mode_ssm.cli import main
from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from mode_ssm.data.dataset import read_trial
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import SPLITS
from mode_ssm.labels import T15
from tests.data.files import FakeTrial, make_trial, write_session
from tests.formats.conftest import exits, run

pytest.importorskip("pynwb")

REAL = Path(__file__).parents[3] / "shared" / "t15_trial" / "data_train.hdf5"
SESSIONS = ("t15.2023.08.11", "t15.2023.08.13")


def write_root(root: Path) -> Path:
    """Two sessions, of which one has val and test trials too, some without labels."""
    for place, session in enumerate(SESSIONS):
        trials = [make_trial(10 * place + n, 40 + n, labels=1 + n) for n in range(4)]
        write_session(root, session, "train", trials)
    write_session(root, SESSIONS[0], "val", [make_trial(n, 50) for n in (30, 31)])
    write_session(root, SESSIONS[0], "test", [FakeTrial(make_trial(n, 45).features, None, block=9) for n in (40, 41)])
    return root


def everything(root: Path, source: str) -> dict[tuple[str, str, int, int], tuple[object, ...]]:
    """What is known of each trial, by who it is; features as bytes."""
    opened, found = open_source(DataConfig(data_root=str(root), source=source)), {}
    for split in SPLITS:
        index = opened.index(split, opened.sessions)
        assert index.problems == []
        for entry in split_entries(opened, index, split):
            trial, key = read_trial(opened, entry), entry.key
            labels = None if trial.labels is None else trial.labels.tolist()
            features = (trial.features.shape, trial.features.numpy().tobytes())
            found[key.session, split, key.block, key.number] = (key.group, labels, trial.sentence, *features)
    return found


def test_everything_comes_back_bit_for_bit(tmp_path, capsys):
    root, out = write_root(tmp_path / "root"), tmp_path / "a" / "nwb"
    run("export", str(root), f"out={out}")
    assert f"Written: 12 of 12 trials, 2 of 2 sessions, in {out}" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["labels.yaml", *(f"{s}.nwb" for s in SESSIONS)]
    assert [path.name for path in out.parent.iterdir()] == ["nwb"]
    before, after = everything(root, "t15"), everything(out, "nwb")
    assert before == after
    assert len(before) == 12
    assert open_source(DataConfig(data_root=str(out), source="nwb")).labels == T15


@pytest.mark.skipif(not REAL.is_file(), reason="the real T15 trial is not beside the project (../shared/t15_trial)")
def test_the_real_trial_comes_back_bit_for_bit(tmp_path):
    folder = tmp_path / "root" / "t15.2023.08.11"
    folder.mkdir(parents=True)
    (folder / "data_train.hdf5").write_bytes(REAL.read_bytes())
    run("export", str(folder.parent), f"out={tmp_path / 'nwb'}")
    before, after = everything(folder.parent, "t15"), everything(tmp_path / "nwb", "nwb")
    assert before == after
    ((_, labels, sentence, shape, _),) = after.values()
    assert (len(labels), sentence, shape) == (14, "Bring it closer.", (321, 512))


def test_other_labels_and_sources_come_back(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "labels.yaml").write_text('symbols: [_, a, "ø", "|"]\nboundary: "|"\n', encoding="utf-8")
    np.savez(
        root / "p1.2026.01.31.npz",
        features=np.arange(80.0).reshape(20, 4),
        offsets=[0, 12, 20],
        labels=[1, 3, 2],
        label_offsets=[0, 2, 3],
    )
    run("export", str(root), "data.source=npz", "data.channels=0:3", f"out={tmp_path / 'nwb'}")
    found = open_source(DataConfig(data_root=str(tmp_path / "nwb"), source="nwb"))
    assert found.labels.symbols == ("_", "a", "ø", "|")
    whole = everything(tmp_path / "nwb", "nwb")
    assert [value[1:4] for value in whole.values()] == [
        ([1, 3], None, (12, 3)),
        ([2], None, (8, 3)),
    ]


@pytest.mark.parametrize("sentence", [" Two  spaces. ", "Ünï ☃ 'quotes' \"and\" a\nline", "123", "50 %"])
def test_sentences_come_back_letter_by_letter(tmp_path, sentence):
    trials = [FakeTrial(make_trial(n).features, sentence=said) for n, said in enumerate((sentence, "."))]
    write_session(tmp_path / "root", SESSIONS[0], "train", [FakeTrial(t.features, sentence="x") for t in trials])
    with h5py.File(tmp_path / "root" / SESSIONS[0] / "data_train.hdf5", "a") as file:
        for place, trial in enumerate(trials):
            file[f"trial_{place:04d}"].attrs["sentence_label"] = trial.sentence
            del file[f"trial_{place:04d}"]["transcription"]
    run("export", str(tmp_path / "root"), f"out={tmp_path / 'nwb'}")
    after = everything(tmp_path / "nwb", "nwb")
    assert everything(tmp_path / "root", "t15") == after
    assert [value[2] for value in after.values()] == [sentence, "."]


def test_a_date_that_is_none_is_told(tmp_path, capsys):
    write_session(tmp_path / "root", "t15.2023.13.40", "train", [make_trial(0)])
    run("export", str(tmp_path / "root"), f"out={tmp_path / 'nwb'}", status=2)
    assert "The session t15.2023.13.40 has a date that is none" in capsys.readouterr().err


def test_bad_trials_are_named_counted_and_left_out(tmp_path, capsys):
    root = tmp_path / "root"
    broken = make_trial(3)
    broken.features[7, 2] = np.nan
    trials = [make_trial(0), make_trial(1), broken, make_trial(4, channels=6), FakeTrial(labels=(77,))]
    write_session(root, SESSIONS[0], "train", trials)
    run("export", str(root), f"out={tmp_path / 'nwb'}")
    printed = capsys.readouterr()
    assert "Written: 2 of 5 trials, 1 of 1 sessions" in printed.out
    said = " ".join(printed.err.split())
    assert "trial_0002 has 1 NaN or infinite feature values" in said
    assert "trial_0003 has 6 feature channels, and most of its session 8" in said
    assert "trial_0004 has 77 as label 0" in said
    run("export", str(root), f"out={tmp_path / 'strict'}", "data.on_bad_trial=error", status=2)
    assert not (tmp_path / "strict").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_cannot_be_read_is_counted(tmp_path, capsys):
    root = write_root(tmp_path / "root")
    (root / SESSIONS[1] / "data_train.hdf5").write_bytes(b"no recording")
    run("export", str(root), f"out={tmp_path / 'nwb'}")
    assert "Written: 8 of 8 trials, 1 of 2 sessions" in (printed := capsys.readouterr().out)
    assert "; 1 files could not be read" in printed


def test_what_is_there_stays(tmp_path, capsys):
    root, out = write_root(tmp_path / "root"), tmp_path / "out"
    out.write_text("mine")
    run("export", str(root), f"out={out}", status=2)
    out.unlink()
    out.mkdir()
    (out / "t15.2023.08.11.nwb").write_text("mine")
    run("export", str(root), f"out={out}", status=2)
    assert "out holds something already; give a new or empty folder as out." in capsys.readouterr().err
    assert (out / "t15.2023.08.11.nwb").read_text() == "mine"
    (out / "t15.2023.08.11.nwb").unlink()
    run("export", str(root), f"out={out}")


def test_nothing_is_half_written(tmp_path, monkeypatch, capsys):
    root, written = write_root(tmp_path / "root"), []

    def full(path: Path, *rest: object) -> None:
        written.append(path)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        path.write_text("whole")

    monkeypatch.setattr("mode_ssm.commands.nwb_export.write_session", full)
    run("export", str(root), f"out={tmp_path / 'out'}", status=2)
    assert "out cannot be written (No space left on device); give another out=FOLDER." in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_root_without_a_sound_trial_is_one_sentence(tmp_path, capsys):
    write_session(tmp_path / "root", SESSIONS[0], "train", [FakeTrial(labels=(77,))])
    with exits(2):
        main(["export", str(tmp_path / "root"), f"out={tmp_path / 'out'}"])
    assert "has no trial that can be written; the first problem: t15.2023.08.11" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_inspector_of_the_format_has_no_more_than_suggestions(tmp_path):
    nwbinspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")
    run("export", str(write_root(tmp_path / "root")), f"out={tmp_path / 'nwb'}")
    for path in (tmp_path / "nwb").glob("*.nwb"):
        found = [*nwbinspector.inspect_nwbfile(nwbfile_path=path)]
        assert [each for each in found if each.importance.name != "BEST_PRACTICE_SUGGESTION"] == []
