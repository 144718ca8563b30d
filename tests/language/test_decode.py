"""Words from files to files: decode, on small recordings and networks as they were initialised."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mode_ssm.commands.corpora import Corpora
from mode_ssm.commands.decode import decode
from mode_ssm.commands.score import read_columns, score
from mode_ssm.commands.word_results import summarise
from mode_ssm.config import DataConfig, DecodeConfig, WordDecoder, WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.search import Found
from mode_ssm.scoring import sentence_hash
from tests.data.files import make_trial, write_session
from tests.language.conftest import SESSION, trial
from tests.leftovers import assert_nothing_is_left_of


def hypotheses(*texts: str) -> list[WordHypothesis]:
    return [WordHypothesis(tuple(text.split()), -float(place), 0.0, (1, 40)) for place, text in enumerate(texts)]


def test_rates_by_hand() -> None:
    results = [
        Found(trial(0, "Ah, bee!"), hypotheses("ah bee")),
        Found(trial(1, "ah ab bee", block=2), hypotheses("ah bee", "ah ab awe bee", "awe ab bee")),
        Found(trial(2, "bee", session="t15.2023.08.18"), []),
    ]
    corpora = Corpora({("2023.08.13", 1): "50-Word", ("2023.08.13", 2): "Random"})
    summary = summarise(results, [sentence_hash("ah bee")], corpora, ["ah", "ab", "awe"])
    assert summary["wer"] == pytest.approx(2 / 6)
    assert summary["oracle_wer"] == pytest.approx(2 / 6)
    assert (summary["substitutions"], summary["deletions"], summary["insertions"]) == (0, 2, 0)
    assert summary["wer_interval"] == pytest.approx([0.0, 1.0])  # the same right trial, or the same lost one, thrice
    assert summary["wer_by_session_trials"] == {SESSION: 2, "t15.2023.08.18": 1}
    assert summary["oov_rate"] == pytest.approx(3 / 6)
    assert summary["oov_words"] == {"bee": 3}
    assert summary["per"] == pytest.approx((2 + 2 + 4) / 12)
    assert summary["wer_seen_sentences"] == 0.0
    assert summary["wer_unseen_sentences"] == pytest.approx(2 / 4)
    assert summary["wer_by_session"] == {SESSION: pytest.approx(1 / 5), "t15.2023.08.18": 1.0}
    assert summary["wer_by_corpus"] == {"50-Word": 0.0, "Random": pytest.approx(1 / 3), "not listed": 1.0}
    better = replace(results[1].trial, sentence="awe ab bee")
    assert summarise([Found(better, results[1].hypotheses)], [], None, [])["oracle_wer"] == 0.0


def test_without_labels_there_is_only_a_count() -> None:
    assert summarise([Found(trial(0, None), [])], [], None, []) == {
        "trials": 1,
        "trials_labelled": 0,
        "left_out": {},
    }


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
    printed = capsys.readouterr().out
    assert f"{100 * summary['wer']:.2f}" in printed
    assert f"{summary['word_edits']} edits in {summary['reference_words']} words: " in printed
    scored = score(out / "hypotheses.csv", reference="sentence", hypothesis="words", unit="word")
    assert scored["error_rate"] == pytest.approx(summary["wer"])
    assert scored["error_rate_interval"] == pytest.approx(summary["wer_interval"])
    for kind in ("substitutions", "deletions", "insertions"):
        assert scored[kind] == summary[kind]
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
    detailed = read_columns(out / "hypotheses.csv", "words", "starts", "ends", "posteriors")
    for entry, (words, starts, ends, posteriors) in zip(nbest, detailed, strict=True):
        own = [slot for slot in entry["network"] if slot["word"]]
        assert [slot["word"] for slot in own] == words.split()
        assert [slot["start"] for slot in own] == pytest.approx([float(text) for text in starts.split()], abs=0.006)
        assert [slot["end"] for slot in own] == pytest.approx([float(text) for text in ends.split()], abs=0.006)
        assert [slot["posterior"] for slot in own] == pytest.approx([float(t) for t in posteriors.split()], abs=6e-4)
        for slot in entry["network"]:
            others = [share for _, share in slot["alternatives"]]
            assert others == sorted(others, reverse=True)
            assert len(others) <= 5
            assert slot["posterior"] + sum(others) <= 1.001
            assert slot["start"] <= slot["end"]
            assert "confidence" not in slot
    assert summary["confidence"] is None


def test_trials_that_cannot_be_decoded_are_named(
    decode_config: DecodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(decode_config.data.data_root, root)
    with h5py.File(next(root.glob("*/data_val.hdf5")), "a") as file:
        file["trial_0000"].attrs["seq_len"] = 501
    decode(replace(decode_config, data=replace(decode_config.data, data_root=str(root))))
    printed = capsys.readouterr()
    assert "trial_0000 has seq_len=501" in printed.err
    assert "1 of 6 trials could not be decoded and count as deletions: 1 unreadable." in printed.out


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
from mode_ssm.language.model import load_word_model
from mode_ssm.language.pool import CTCWordPool
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
