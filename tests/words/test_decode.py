"""Words from files to files: decode, tune and submit, on small recordings and networks as they were initialised."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from mode_ssm.batch import TrialKey
from mode_ssm.config import DataConfig, DecodeConfig, SubmitConfig, TuneConfig, WordDecoder, WordSearchConfig
from mode_ssm.corpora import Corpora
from mode_ssm.errors import InputError
from mode_ssm.score_command import read_columns, score
from mode_ssm.scoring import ErrorRate
from mode_ssm.training.splits import sentence_hash
from mode_ssm.words.decode import decode
from mode_ssm.words.hypothesis import WordHypothesis
from mode_ssm.words.model import WordModel
from mode_ssm.words.pool import CTCWordPool
from mode_ssm.words.posteriors import SpokenTrial
from mode_ssm.words.report import summarise
from mode_ssm.words.search import Found
from mode_ssm.words.submission import check_submission, submit
from mode_ssm.words.tune import search_weights, spread, starts, study_name, tune
from mode_ssm.words.weights import choose_weights, read_weights, write_weights
from tests.data.files import make_trial, write_session
from tests.leftovers import assert_nothing_is_left_of

SESSION = "t15.2023.08.13"


def trial(number: int, sentence: str | None = "ah bee", session: str = SESSION, block: int = 1) -> SpokenTrial:
    key = TrialKey(session, "val", f"trial_{number:04d}", block, number)
    return SpokenTrial(key, sentence, [1, 40, 7, 40], np.zeros((1, 41), np.float32), torch.zeros(1, 0))


def hypotheses(*texts: str) -> list[WordHypothesis]:
    return [WordHypothesis(tuple(text.split()), -float(place), 0.0, (1, 40)) for place, text in enumerate(texts)]


def test_rates_by_hand() -> None:
    results = [
        Found(trial(0, "Ah, bee!"), hypotheses("ah bee")),
        Found(trial(1, "ah ab bee", block=2), hypotheses("ah bee", "ah ab awe bee", "awe ab bee")),
        Found(trial(2, "bee", session="t15.2023.08.18"), []),
    ]
    corpora = Corpora({("2023.08.13", 1): "50-Word", ("2023.08.13", 2): "Random"})
    summary = summarise(results, [sentence_hash("ah bee")], corpora)
    assert summary["wer"] == pytest.approx(2 / 6)
    assert summary["oracle_wer"] == pytest.approx(2 / 6)
    assert summary["per"] == pytest.approx((2 + 2 + 4) / 12)
    assert summary["wer_seen_sentences"] == 0.0
    assert summary["wer_unseen_sentences"] == pytest.approx(2 / 4)
    assert summary["wer_by_session"] == {SESSION: pytest.approx(1 / 5), "t15.2023.08.18": 1.0}
    assert summary["wer_by_corpus"] == {"50-Word": 0.0, "Random": pytest.approx(1 / 3), "not listed": 1.0}
    better = replace(results[1].trial, sentence="awe ab bee")
    assert summarise([Found(better, results[1].hypotheses)], [], None)["oracle_wer"] == 0.0


def test_without_labels_there_is_only_a_count() -> None:
    assert summarise([Found(trial(0, None), [])], [], None) == {"trials": 1, "trials_labelled": 0}


@pytest.fixture
def decode_config(spoken_root: Path, run_folder: Path, lm_folder: Path, tmp_path: Path) -> DecodeConfig:
    return DecodeConfig(
        checkpoint=str(run_folder),
        lm=str(lm_folder),
        data=DataConfig(data_root=str(spoken_root), cache_dir=str(tmp_path / "index")),
        nbest=3,
        output_dir=str(tmp_path / "out"),
    )


@pytest.mark.parametrize("decoder", list(WordDecoder))
def test_a_split_that_cannot_be_read_is_not_decoded(
    decode_config: DecodeConfig, decoder: WordDecoder, tmp_path: Path
) -> None:
    silent = make_trial(1, 90)
    silent.features[:] = np.nan
    write_session(tmp_path / "data", SESSION, "val", [silent])
    data = DataConfig(data_root=str(tmp_path / "data"), cache_dir=str(tmp_path / "index"))
    with pytest.raises(InputError, match="None of the 1 val trials could be decoded; mode-ssm inspect"):
        decode(replace(decode_config, decoder=decoder, data=data))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("decoder", list(WordDecoder))
def test_decode_writes_what_it_prints(
    decode_config: DecodeConfig, decoder: WordDecoder, word_model: WordModel, capsys: pytest.CaptureFixture[str]
) -> None:
    decode(replace(decode_config, decoder=decoder))
    out = Path(decode_config.output_dir or "")
    summary = json.loads((out / "decode.json").read_text())
    assert (summary["trials"], summary["decoder"]) == (6, decoder.value)
    assert f"{100 * summary['wer']:.2f}" in capsys.readouterr().out
    scored = score(out / "hypotheses.csv", reference="sentence", hypothesis="words", unit="word")
    assert scored["error_rate"] == pytest.approx(summary["wer"])
    scored = score(out / "hypotheses.csv", reference="phonemes", hypothesis="predicted_phonemes", unit="phoneme")
    assert scored["error_rate"] == pytest.approx(summary["per"])
    nbest = [json.loads(line) for line in (out / "nbest.jsonl").read_text().splitlines()]
    rows = read_columns(out / "hypotheses.csv", "session", "block", "trial", "words")
    assert [entry["nbest"][0]["words"] for entry in nbest] == [words for *_, words in rows]
    assert any(len(entry["nbest"]) == 3 for entry in nbest)
    for entry in nbest:
        assert all(set(found["words"].split()) <= set(word_model.words) for found in entry["nbest"])
        scores = [found["score"] for found in entry["nbest"]]
        assert scores == sorted(scores, reverse=True)
    order = [(session, int(block), int(number)) for session, block, number, _ in rows]
    assert order == sorted(order)


def test_trials_that_cannot_be_decoded_are_named(
    decode_config: DecodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(decode_config.data.data_root, root)
    with h5py.File(next(root.glob("*/data_val.hdf5")), "a") as file:
        file["trial_0000"].attrs["seq_len"] = 0
    decode(replace(decode_config, data=replace(decode_config.data, data_root=str(root))))
    assert "trial_0000 has seq_len=0" in capsys.readouterr().err


def test_an_ensemble_of_one_network_twice_decodes_as_the_network(decode_config: DecodeConfig) -> None:
    texts = []
    for decoder, more in ((WordDecoder.joint, None), (WordDecoder.joint, decode_config.checkpoint)):
        decode(replace(decode_config, decoder=decoder, ensemble=more))
        texts.append((Path(decode_config.output_dir or "") / "hypotheses.csv").read_text())
    assert texts[0] == texts[1]


def test_worker_processes_find_the_same(word_model: WordModel, lm_folder: Path) -> None:
    random = np.random.default_rng(0)
    trials = [np.log(random.dirichlet(np.ones(41), size=9)).astype(np.float32) for _ in range(6)]
    with CTCWordPool(word_model, str(lm_folder), 0) as here, CTCWordPool(word_model, str(lm_folder), 2) as there:
        for settings in (WordSearchConfig(), WordSearchConfig(lm_weight=0.2, word_score=2.0)):
            assert here.search(trials, settings, 4) == there.search(trials, settings, 4)


class Deadly:
    """Ends the process that unpickles it, as the kernel ends one that asks for too much memory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def test_death_of_a_worker_is_one_sentence(word_model: WordModel, lm_folder: Path) -> None:
    deadly: Any = [Deadly()]
    with (
        CTCWordPool(word_model, str(lm_folder), 1) as pool,
        pytest.raises(InputError, match="lack of memory .* lower decode_workers"),
    ):
        pool.search(deadly, WordSearchConfig(), 4)


def test_no_decoding_process_outlives_a_run_that_is_killed(lm_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "decode.py").write_text(f"""
import time
import numpy as np
from mode_ssm.config import WordSearchConfig
from mode_ssm.words.model import load_word_model
from mode_ssm.words.pool import CTCWordPool
if __name__ == "__main__":
    with CTCWordPool(load_word_model({str(lm_folder)!r}), {str(lm_folder)!r}, 2) as pool:
        pool.search([np.zeros((5, 41), np.float32)] * 9, WordSearchConfig(), 1)
        print("searched", flush=True)
        time.sleep(600)
""")
    command = [sys.executable, str(tmp_path / "decode.py")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "searched\n"
    process.kill()
    process.communicate(timeout=60)
    assert_nothing_is_left_of(process.pid)


def test_workers_are_for_ctc(decode_config: DecodeConfig) -> None:
    with pytest.raises(InputError, match="decode_workers is for decoder=ctc"):
        decode(replace(decode_config, decoder=WordDecoder.rnnt, decode_workers=2))


def test_tuning_finds_the_lowest_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the optional package optuna is not installed")
    seen: list[WordSearchConfig] = []

    def objective(settings: WordSearchConfig) -> ErrorRate:
        seen.append(settings)
        return ErrorRate(substitutions=round(1000 * abs(settings.lm_weight - 1.5)), reference_length=1000)

    config = TuneConfig(tries=6, decoder=WordDecoder.ctc)
    first = search_weights(objective, config, [config.search], tmp_path / "tune.db", "study")
    assert len(seen) == first.tries == 6
    assert seen[0] == config.search
    again = search_weights(objective, config, [config.search], tmp_path / "tune.db", "study")
    assert len(seen) == 6
    assert again == first
    longer = search_weights(objective, replace(config, tries=12), [config.search], tmp_path / "tune.db", "study")
    assert len(seen) == longer.tries == 12
    assert longer.wer <= first.wer
    assert longer.wer == pytest.approx(min(abs(s.lm_weight - 1.5) for s in seen), abs=1e-3)
    assert objective(longer.settings).rate == pytest.approx(longer.wer)


def test_a_start_that_was_interrupted_is_tried_when_tuning_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the optional package optuna is not installed")
    config = TuneConfig(tries=3, decoder=WordDecoder.ctc)
    starting = [config.search, WordSearchConfig(lm_weight=1.25), WordSearchConfig(lm_weight=1.25)]

    def interrupted(settings: WordSearchConfig) -> ErrorRate:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_weights(interrupted, config, starting, tmp_path / "tune.db", "study")
    seen: list[float] = []

    def objective(settings: WordSearchConfig) -> ErrorRate:
        seen.append(settings.lm_weight)
        return ErrorRate(substitutions=len(seen), reference_length=10)

    search_weights(objective, config, starting, tmp_path / "tune.db", "study")
    assert sorted(seen[:2]) == [config.search.lm_weight, 1.25]
    assert seen.count(1.25) == 1


@pytest.mark.parametrize("decoder", [WordDecoder.ctc, WordDecoder.joint])
def test_tune_keeps_weights_that_decode_uses(
    decode_config: DecodeConfig, decoder: WordDecoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", reason="the optional package optuna is not installed")
    run = tmp_path / "run" / "checkpoints"
    run.mkdir(parents=True)
    (run / "best.safetensors").symlink_to(Path(decode_config.checkpoint) / "checkpoints" / "best.safetensors")
    asked = {"checkpoint": str(run.parent), "lm": decode_config.lm, "data": decode_config.data, "decoder": decoder}
    tune(TuneConfig(**asked, tries=3))
    assert "weights=tuned" in capsys.readouterr().out
    decode(replace(decode_config, **asked, weights="tuned", nbest=1))
    summary = json.loads((Path(decode_config.output_dir or "") / "decode.json").read_text())
    kept = json.loads((run.parent / "decoding" / f"weights-{decoder.value}.json").read_text())
    assert summary["search"] == kept["search"]
    assert summary["wer"] == pytest.approx(kept["wer"])


def test_joint_starts_from_what_was_tuned_for_the_transducer(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "best.safetensors"
    config, tuned = TuneConfig(decoder=WordDecoder.joint), WordSearchConfig(lm_weight=0.3)
    assert starts(config, checkpoint) == [config.search]
    write_weights(tmp_path / "run" / "decoding" / "weights-rnnt.json", tuned, 0.1, "lm")
    alone, together = replace(tuned, ctc_weight=0.0), replace(tuned, ctc_weight=config.search.ctc_weight)
    assert starts(config, checkpoint) == [config.search, alone, together]
    assert starts(replace(config, decoder=WordDecoder.ctc), checkpoint) == [config.search]


def test_a_study_is_of_one_search_one_language_model_and_one_data_root(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("one")
    config = TuneConfig(lm=str(tmp_path))
    name = study_name(config, 5, 9)
    assert study_name(replace(config, search=WordSearchConfig(lm_weight=1.9), tries=99), 5, 9) == name
    others = [
        replace(config, search=WordSearchConfig(ctc_beam_size=7)),
        replace(config, data=DataConfig(data_root="elsewhere")),
        replace(config, data=DataConfig(max_sessions=1)),
    ]
    assert len({name, *(study_name(other, 5, 9) for other in others)}) == 4
    (tmp_path / "lm.arpa").write_text("another")
    assert study_name(config, 5, 9) != name


def test_tune_needs_sentences(decode_config: DecodeConfig) -> None:
    asked = {"checkpoint": decode_config.checkpoint, "lm": decode_config.lm, "data": decode_config.data}
    with pytest.raises(InputError, match="split=test has no sentences"):
        tune(TuneConfig(**asked, split="test"))


def test_trials_are_spread_evenly() -> None:
    trials = [trial(number) for number in range(10)]
    assert [t.key.number for t in spread(trials, 4)] == [0, 2, 5, 7]
    assert spread(trials, None) == spread(trials, 10) == spread(trials, 99) == trials


def test_weights_are_kept_and_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "best.safetensors"
    given, tuned = WordSearchConfig(lm_weight=0.1), WordSearchConfig(lm_weight=1.5, rnnt_beam_size=3)
    assert choose_weights(None, given, checkpoint, WordDecoder.rnnt, "lm") == given
    with pytest.raises(InputError, match=r"There are no weights at .*weights-rnnt\.json; run mode-ssm tune"):
        choose_weights("tuned", given, checkpoint, WordDecoder.rnnt, "lm")
    write_weights(tmp_path / "run" / "decoding" / "weights-rnnt.json", tuned, 0.1, "lm")
    assert choose_weights("tuned", WordSearchConfig(), checkpoint, WordDecoder.rnnt, "lm") == tuned
    assert choose_weights("tuned", given, checkpoint, WordDecoder.rnnt, "lm") == replace(tuned, lm_weight=0.1)
    other = tmp_path / "run" / "decoding" / "weights-rnnt.json"
    assert choose_weights(str(other), WordSearchConfig(), checkpoint, WordDecoder.ctc, "lm") == tuned
    assert capsys.readouterr().out == ""
    assert choose_weights("tuned", given, checkpoint, WordDecoder.rnnt, "larger") == replace(tuned, lm_weight=0.1)
    assert re.search(r"weights-rnnt\.json were tuned for lm=.*lm; for lm=larger, ", capsys.readouterr().out)


BAD = ("3", '{"beam": 3}', '{"lm_weight": "1"}', '{"rnnt_beam_size": 2.5}', '{"lm_weight": true}')


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"search": {}}', '{"lm": "lm"}', *(f'{{"lm": "lm", "search": {search}}}' for search in BAD)],
)
def test_bad_weights_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "weights.json").write_text(content)
    with pytest.raises(InputError, match=r"weights\.json .*run mode-ssm tune"):
        read_weights(tmp_path / "weights.json")


def test_a_decoded_test_split_becomes_a_valid_submission(
    decode_config: DecodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decode(replace(decode_config, split="test"))
    out = tmp_path / "submission.csv"
    hypotheses = str(Path(decode_config.output_dir or "") / "hypotheses.csv")
    asked = SubmitConfig(data=decode_config.data, hypotheses=hypotheses, out=str(out), empty_text="the")
    assert submit(asked) == 0
    decoded = read_columns(hypotheses, "words")
    assert read_columns(out, "id", "text") == [(str(place), text or "the") for place, (text,) in enumerate(decoded)]
    assert submit(SubmitConfig(data=decode_config.data, check=str(out))) == 0
    assert "a valid submission" in capsys.readouterr().out


KEYS = [TrialKey(SESSION, "test", f"trial_{n:04d}", 1, n) for n in range(4)]


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ("0,a\n1,b\n2,c\n3,d\n", []),
        ("0,a\n1,b\n3,d\n", ["Id 2: missing; it is t15.2023.08.13/test/trial_0002."]),
        ("0,a\n1,b\n1,b\n2,c\n3,d\n", ["Row 4, id 1: doubled"]),
        ("0,a\n2,c\n1,b\n3,d\n", ["Row 4, id 1: out of order, after id 2"]),
        ("0,a\n1, \n2,c\n3,\n", ["Row 3, id 1: empty", "Row 5, id 3: empty"]),
        (
            "0,A b\n1,b 2\n2,c  d\n3,it's well-known\n",
            ["Row 2, id 0: 'A b' would", "Row 3, id 1: 'b 2'", "Row 4, id 2"],
        ),
        ("0,a\n1,b\n2,c\n3,d\n4,e\nx,f\n", ["Row 6, id 4: not an id", "Row 7, id x: not an id"]),
    ],
)
def test_each_fault_of_a_submission_is_named(tmp_path: Path, rows: str, problems: list[str]) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,text\n" + rows)
    found = check_submission(path, KEYS)
    assert len(found) == len(problems)
    for got, expected in zip(found, problems, strict=True):
        assert got.startswith(expected)


def test_a_faulty_submission_exits_with_one_and_names_the_first_twenty(
    decode_config: DecodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,text\n" + "".join(f"{n},\n" for n in range(30)))
    assert submit(SubmitConfig(data=decode_config.data, check=str(path))) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[-2:] == ["... and 10 more.", f"{path}: 30 problems."]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("drop", "lacks .*decode the whole split"),
        ("double", "twice"),
        ("empty", "no words for .*set empty_text"),
        ("foreign", "which is not in this split"),
    ],
)
def test_hypotheses_that_give_no_submission_are_named(
    decode_config: DecodeConfig, tmp_path: Path, change: str, sentence: str
) -> None:
    rows = [f"{SESSION},{2 - number % 2},{number},ah" for number in range(6)]
    if change == "drop":
        rows.pop()
    elif change == "empty":
        rows[2] = rows[2].removesuffix("ah")
    else:
        rows.append(rows[0] if change == "double" else f"{SESSION},9,9,ah")
    path = tmp_path / "hypotheses.csv"
    path.write_text("\n".join(["session,block,trial,words", *rows]) + "\n")
    with pytest.raises(InputError, match=sentence):
        submit(SubmitConfig(data=decode_config.data, hypotheses=str(path), out=str(tmp_path / "out.csv")))


def test_submit_says_what_it_needs(decode_config: DecodeConfig) -> None:
    with pytest.raises(InputError, match="Give hypotheses=FILE .* or check=FILE"):
        submit(SubmitConfig(data=decode_config.data))
    with pytest.raises(InputError, match="check=FILE only checks; give it alone"):
        submit(SubmitConfig(data=decode_config.data, check="a.csv", out="b.csv"))
