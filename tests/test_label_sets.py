"""Other sets of labels from end to end: the same phonemes in another order of classes, and the letters of AN4."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

import mode_ssm
from mode_ssm.cli import main
from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels
from mode_ssm.recognition.checkpoint import find_checkpoint, read_checkpoint
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.scoring import word_errors
from tests.data.files import FakeTrial, write_session
from tests.small import SESSIONS, small_config, write_data

AN4 = Path(__file__).parents[2] / "shared" / "an4" / "hdf5"
needs_an4 = pytest.mark.skipif(not AN4.is_dir(), reason="the AN4 recordings are not beside the project (../shared/an4)")
# The order of the NEJM language-model server: silence second.
SILENCE_SECOND = Labels(("BLANK", "|", *T15.symbols[1:40]), blank=0, boundary=1)
BLANK_LAST = Labels((*T15.symbols[1:], "BLANK"), blank=40, boundary=39)


def say_labels(root: Path, labels: Labels) -> Path:
    (root / "labels.yaml").write_text(yaml.safe_dump(labels.as_dict()), encoding="utf-8")
    return root


def in_order_of(labels: Labels, source: Path, root: Path) -> Path:
    """The same recordings with their labels in another order of classes."""
    for path in sorted(source.glob("*/*.hdf5")):
        with h5py.File(path) as file:
            trials = [
                FakeTrial(
                    np.array(group["input_features"]),
                    labels.ids(T15.text(group["seq_class_ids"][: group.attrs["seq_len"]])),
                    group.attrs["sentence_label"],
                )
                for group in file.values()
            ]
        write_session(root, path.parent.name, path.stem.removeprefix("data_"), trials)
    return say_labels(root, labels)


def run_command(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 0


def written(run: Path, data: Path, head: str) -> list[dict[str, str]]:
    """The rows that evaluate writes."""
    run_command("evaluate", f"checkpoint={run}", f"data.data_root={data}", f"data.cache_dir={run}", f"decoder={head}")
    with (run / "evaluation" / f"val-{head}" / "hypotheses.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def t15(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("labels") / "t15")


@pytest.mark.parametrize("labels", [SILENCE_SECOND, BLANK_LAST], ids=["silence second", "blank last"])
def test_another_order_of_classes(labels, t15, tmp_path):
    data = in_order_of(labels, t15, tmp_path / "data")
    run = mode_ssm.train(small_config(data, tmp_path / "run"))
    assert read_checkpoint(find_checkpoint(run)).labels == labels
    said = [row["phonemes"] for row in written(run, data, "rnnt")]
    with_t15 = mode_ssm.train(small_config(t15, tmp_path / "t15_run"))
    assert said == [row["phonemes"] for row in written(with_t15, t15, "ctc")]
    decoder = mode_ssm.load(run)
    found = decoder.transcribe(np.random.default_rng(0).standard_normal((90, 8)).astype(np.float32), head="ctc")
    assert decoder.labels == labels
    assert "BLANK" not in found.phonemes
    run_command("report", str(run), f"out={tmp_path / 'page.html'}")


def test_data_with_other_labels_than_the_network_is_an_error(t15, tmp_path):
    run = mode_ssm.train(small_config(t15, tmp_path / "run"))
    data = in_order_of(SILENCE_SECOND, t15, tmp_path / "data")
    with pytest.raises(InputError, match=r"class 1 is AA there and \| here"):
        load_recogniser(str(run)).open(small_config(data, run).data, "val")
    with pytest.raises(InputError, match=r"class 1 is AA there and \| here"):
        mode_ssm.train(small_config(data, run, "training.resume=auto"))


@pytest.fixture(scope="module")
def spelling(tmp_path_factory):
    """A run that has learnt the letters of AN4's sentences in half a minute, not well; the files have phonemes."""
    run = tmp_path_factory.mktemp("letters") / "run"
    words = """experiment=an4 data.labels=letters encoder.width=64 encoder.layers=2 predictor.width=32
        encoder.dropout=0 augmentation.white_noise_sd=0 augmentation.time_masks=0 training.optimizer.lr=6e-3
        training.schedule.warmup_updates=30 training.stages.0.epochs=4 training.stages.1.epochs=0
        training.accelerator=cpu"""
    return mode_ssm.train([*words.split(), f"data.data_root={AN4}", f"data.cache_dir={run}", f"output_dir={run}"])


@needs_an4
def test_letters_made_of_sentences_and_the_words_that_they_spell(spelling, tmp_path, capsys):
    run_command("evaluate", f"checkpoint={spelling}", f"output_dir={tmp_path}", f"data.cache_dir={tmp_path}")
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert "Letter error rate (CER), val, ctc, 97 trials" in printed
    assert f"{found['edits']:,} edits in {found['reference_phonemes']:,} letters" in printed
    assert "word error rate (WER), letters joined" in printed
    assert f"{found['word_edits']} edits in 515 words" in printed
    assert found["per"] < 0.6
    with (tmp_path / "hypotheses.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert all(
        row["words"].split() == row["predicted_phonemes"].replace(" ", "").replace("|", " ").split() for row in rows
    )
    assert found["word_edits"] == sum(word_errors(row["sentence"], row["words"]).edits for row in rows)


@needs_an4
def test_words_by_a_lexicon_of_letters(spelling, tmp_path, capsys):
    data = [f"data.data_root={AN4}", f"data.cache_dir={tmp_path}"]
    run_command("lm", "build", f"out={tmp_path / 'lm'}", "transcripts=true", "data.labels=letters", *data)
    assert "\naugust  a u g u s t\n" in (tmp_path / "lm" / "lexicon.txt").read_text(encoding="utf-8")
    run_command("decode", f"checkpoint={spelling}", f"lm={tmp_path / 'lm'}", f"output_dir={tmp_path}", data[1])
    assert "letter error rate" in capsys.readouterr().out
    said = json.loads((tmp_path / "decode.json").read_text(encoding="utf-8"))
    assert said["wer"] < 0.6  # of the letters alone it is 0.74
    assert said["reference_words"] == 515


@needs_an4
def test_a_rule_goes_with_the_checkpoint_to_other_recordings(spelling, tmp_path):
    assert read_checkpoint(find_checkpoint(spelling)).labels.made_from == "letters"
    features = np.random.default_rng(0).standard_normal((300, 13)).astype(np.float32)
    write_session(tmp_path / "new", "an4.2026.01.31", "val", [FakeTrial(features, (77,), "Hi you")])
    (row,) = written(spelling, tmp_path / "new", "ctc")
    assert row["phonemes"] == "h i | y o u |"
    said = mode_ssm.load(spelling).transcribe(features, session="an4.1991.01.10")
    assert said.words is not None
    assert "".join(said.words) == "".join(said.phonemes).replace("|", "")
    assert "letter error rate" in Path(spelling, "card.md").read_text(encoding="utf-8")
    run_command("report", str(spelling), f"out={tmp_path / 'page.html'}")
    assert "Letter error rate" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_language_model_of_letters_needs_text_alone(tmp_path):
    (tmp_path / "text.txt").write_text("Isn't it well-known?\n")
    run_command("lm", "build", f"out={tmp_path / 'lm'}", f"text={tmp_path / 'text.txt'}", "data.labels=letters")
    found = (tmp_path / "lm" / "lexicon.txt").read_text(encoding="utf-8")
    assert found == "isn't  i s n ' t\nit  i t\nwell-known  w e l l - k n o w n\n"


def letters_of_an4(root: Path) -> Path:
    """One session of AN4 with the letters of its sentences as labels, and `_` after each word."""
    letters = Labels(("BLANK", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'", "_"), blank=0, boundary=28)
    session = sorted(path.name for path in AN4.iterdir())[0]
    for split in ("train", "val"):
        with h5py.File(AN4 / session / f"data_{split}.hdf5") as file:
            trials = []
            for group in file.values():
                sentence = group.attrs["sentence_label"]
                spelled = [letter for word in sentence.upper().split() for letter in (*word, "_")]
                known = [letter for letter in spelled if letter in letters.symbols]
                trials.append(FakeTrial(np.array(group["input_features"]), letters.ids(known), sentence))
        write_session(root, session, split, trials)
    return say_labels(root, letters)


@needs_an4
def test_letters_of_recorded_speech(tmp_path, capsys):
    data = letters_of_an4(tmp_path / "an4")
    words = """experiment=an4 encoder.width=64 encoder.layers=2 predictor.width=32 training.schedule.warmup_updates=10
        training.stages.0.epochs=6 training.stages.1.epochs=0 training.accelerator=cpu preprocessor.stride_frames=4"""
    run = mode_ssm.train([*words.split(), f"data.data_root={data}", f"output_dir={tmp_path / 'run'}"])
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    losses = [record["loss_ctc"] for record in records if record["kind"] == "update"]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    rows = written(run, data, "ctc")
    assert set(" ".join(row["predicted_phonemes"] for row in rows).split()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ'_")
    assert "error rate" in capsys.readouterr().out
    assert set(SESSIONS).isdisjoint(read_checkpoint(find_checkpoint(run)).sessions)
