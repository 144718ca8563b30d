"""`posteriors` writes what `decode posteriors=FILE` reads: the same words as from the checkpoint, by the commands."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.cli import main
from mode_ssm.errors import InputError
from mode_ssm.labels import NEJM, T15
from mode_ssm.language.posterior_files import read_posteriors


def run(*words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    assert ended.value.code == 0


@pytest.mark.parametrize("split", ["val", "test"])
def test_words_are_those_of_the_checkpoint(
    spoken_root: Path, run_folder: Path, lm_folder: Path, tmp_path: Path, split: str
) -> None:
    data = (f"data.data_root={spoken_root}", f"data.cache_dir={tmp_path / 'index'}", f"split={split}")
    file = tmp_path / "made" / "all.npz"
    run("posteriors", run_folder, *data, f"out={file}")
    same = (f"lm={lm_folder}", "nbest=3", "search.lm_weight=0.5")
    run("decode", run_folder, *data, *same, "decoder=ctc", f"output_dir={tmp_path / 'direct'}")
    run("decode", f"posteriors={file}", *same, f"output_dir={tmp_path / 'later'}")
    for name in ("hypotheses.csv", "nbest.jsonl"):
        assert (tmp_path / "later" / name).read_text() == (tmp_path / "direct" / name).read_text()
    later, direct = (json.loads((tmp_path / name / "decode.json").read_text()) for name in ("later", "direct"))
    for key in set(direct) - {"checkpoint", "ensemble", "data_root", "split", "rescore"}:
        assert later[key] == direct[key]
    with np.load(file) as held:
        assert tuple(held["symbols"]) == T15.symbols
        name = held["trial_ids"][0]
        assert name.split("/")[1] == split
        assert np.exp(held[f"log_probs/{name}"]).sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def other_file(path: Path, order: list[int]) -> Path:
    random = np.random.default_rng(0)
    trials = {f"t{n}": np.log(random.dirichlet(np.full(41, 0.3) + 1e-3, 30) + 1e-9) for n in range(3)}
    normal = {name: a - np.logaddexp.reduce(a, axis=1, keepdims=True) for name, a in trials.items()}
    np.savez(path, **{name: array[:, order].astype(np.float32) for name, array in normal.items()})  # type: ignore[arg-type]
    return path


def test_the_order_of_another_decoders_classes_is_told(lm_folder: Path, tmp_path: Path) -> None:
    names = [T15.symbols.index(symbol) for symbol in NEJM.symbols]
    assert names == [0, 40, *range(1, 40)]
    (tmp_path / "own.yaml").write_text(
        json.dumps({"symbols": [T15.symbols[n] for n in reversed(range(41))], "blank": "BLANK", "boundary": "|"})
    )
    rows = {}
    for labels, order in (("t15", list(range(41))), ("nejm", names), ("own.yaml", list(reversed(range(41))))):
        file, out = other_file(tmp_path / "other.npz", order), tmp_path / f"out-{labels}"
        told = str(tmp_path / labels) if labels.endswith("yaml") else labels
        run("decode", f"posteriors={file}", f"labels={told}", f"lm={lm_folder}", f"output_dir={out}")
        with (out / "hypotheses.csv").open() as text:
            rows[labels] = list(csv.DictReader(text))
    assert [row["id"] for row in rows["t15"]] == ["t0", "t1", "t2"]
    assert all(row["words"] for row in rows["t15"])
    assert rows["nejm"] == rows["own.yaml"] == rows["t15"]


def test_files_that_hold_something_else(lm_folder: Path, tmp_path: Path) -> None:
    other = other_file(tmp_path / "other.npz", list(range(41)))
    np.savez(tmp_path / "logits.npz", t0=np.ones((4, 41), np.float32))
    np.savez(tmp_path / "narrow.npz", t0=np.zeros((4, 1), np.float32))
    np.savez(tmp_path / "part.npz", trial_ids=np.array(["a/val/b"]))
    np.savez(tmp_path / "empty.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("no array")
    cases = [
        (other, None, "does not say the order of its classes; give labels="),
        (tmp_path / "logits.npz", "t15", "t0 holds no log-probabilities"),
        (tmp_path / "narrow.npz", "t15", r"t0 is float32 of shape \(4, 1\); it needs floats of \(frames, 41\)"),
        (tmp_path / "part.npz", None, "lacks"),
        (tmp_path / "empty.npz", "nejm", "holds no trial"),
        (tmp_path / "one.npy", "t15", "is no .npz of posteriors"),
        (tmp_path / "text.npz", "t15", "is no .npz of posteriors"),
        (tmp_path / "absent.npz", "t15", "cannot be read"),
        (other, str(tmp_path / "absent.yaml"), "absent.yaml cannot be read"),
    ]
    for path, labels, message in cases:
        with pytest.raises(InputError, match=message):
            read_posteriors(path, labels)


def test_settings_that_would_be_ignored_are_refused(
    lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [f"posteriors={other_file(tmp_path / 'other.npz', list(range(41)))}", "labels=t15", f"lm={lm_folder}"]
    out = f"output_dir={tmp_path / 'out'}"
    cases = {
        "give output_dir": given,
        "does not go with checkpoint, decoder;": [*given, out, "checkpoint=run", "decoder=rnnt"],
        "weights=tuned are kept beside a checkpoint": [*given, out, "weights=tuned"],
        "labels for posteriors=FILE": [f"lm={lm_folder}", "checkpoint=run", "labels=t15"],
    }
    for message, words in cases.items():
        with pytest.raises(SystemExit) as ended:
            main(["decode", *words])
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
