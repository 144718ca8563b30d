"""A tonal language from end to end: initials, finals and tones from recordings, and words by a lexicon over them."""

import json
from pathlib import Path

import pytest

import mode_ssm
from mode_ssm.batch import TrialKey
from mode_ssm.cli import main
from mode_ssm.config import DataConfig
from mode_ssm.data import open_source
from tests.tonal import CHANNELS, LABELS, write_tonal

SETTINGS = f"""
data.source=npz preprocessor.num_channels={CHANNELS} preprocessor.patch_frames=4 preprocessor.stride_frames=2
encoder.width=32 encoder.layers=2 encoder.state_size=8 encoder.head_width=8 predictor.width=16 training.batch_size=8
training.optimizer.lr=1e-2 training.schedule.warmup_updates=10 training.stages.0.epochs=6 training.stages.1.epochs=0
training.accelerator=cpu
""".split()


def run_command(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = write_tonal(tmp_path_factory.mktemp("tonal") / "data")
    return root, mode_ssm.train([*SETTINGS, f"data.data_root={root}", f"output_dir={root.parent / 'run'}"])


def test_a_lexicon_makes_the_labels_of_the_files_from_their_sentences(tmp_path: Path) -> None:
    root = write_tonal(tmp_path / "data", train=5, val=1)
    said = tmp_path / "said.yaml"
    said.write_text(LABELS + "from: dictionary\n", encoding="utf-8")
    own = open_source(DataConfig(data_root=str(root), source="npz"))
    made = open_source(
        DataConfig(data_root=str(root), source="npz", labels=str(said), dictionary=str(root / "lexicon.txt"))
    )
    assert made.labels == own.labels
    (session,) = own.sessions
    indexed = own.index("train", own.sessions)
    assert made.index("train", own.sessions) == indexed
    for record in indexed.records[session]:
        key = TrialKey(session, "train", record.group, record.block, record.number)
        labels = made.read_labels(key, record)
        assert labels is not None
        assert labels.tolist() == own.read_labels(key, record).tolist()  # type: ignore[union-attr]


def test_initials_finals_and_tones_are_told_apart(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command("evaluate", f"checkpoint={trained[1]}", f"output_dir={tmp_path}")
    assert "Label error rate" in capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert found["trials"] == 24
    assert found["per"] < 0.1


def test_words_that_a_tone_tells_apart(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, run = trained
    said = f"data.source=npz data.data_root={root} transcripts=true"
    run_command("lm", "build", f"out={tmp_path / 'lm'}", f"lexicon={root / 'lexicon.txt'}", *said.split())
    run_command("decode", f"checkpoint={run}", f"lm={tmp_path / 'lm'}", f"output_dir={tmp_path / 'words'}")
    assert "label error rate" in capsys.readouterr().out
    found = json.loads((tmp_path / "words" / "decode.json").read_text(encoding="utf-8"))
    assert found["trials_labelled"] == 24
    assert found["oov_rate"] == 0
    assert found["wer"] < 0.1
