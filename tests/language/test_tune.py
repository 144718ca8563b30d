"""mode-ssm tune: the search for weights, and the file that keeps them for decode."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mode_ssm.commands.decode import decode
from mode_ssm.commands.tune import search_weights, starts, study_name, tune
from mode_ssm.config import DataConfig, DecodeConfig, TuneConfig, WordDecoder, WordSearchConfig
from mode_ssm.data import spread
from mode_ssm.errors import InputError
from mode_ssm.language.weights import choose_weights, read_weights, write_weights
from mode_ssm.scoring import ErrorRate
from tests.language.conftest import trial


def test_tuning_finds_the_lowest_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the optional package optuna is not installed")
    seen: list[WordSearchConfig] = []

    def objective(settings: WordSearchConfig) -> ErrorRate:
        seen.append(settings)
        return ErrorRate(substitutions=round(1000 * abs(settings.lm_weight - 1.5)), reference_length=1000)

    config = TuneConfig(checkpoint="run", lm="lm", tries=6, decoder=WordDecoder.ctc)
    first = search_weights(objective, config, WordDecoder.ctc, [config.search], tmp_path / "tune.db", "study")
    assert len(seen) == first.tries == 6
    assert seen[0] == config.search
    again = search_weights(objective, config, WordDecoder.ctc, [config.search], tmp_path / "tune.db", "study")
    assert len(seen) == 6
    assert again == first
    longer = search_weights(
        objective, replace(config, tries=12), WordDecoder.ctc, [config.search], tmp_path / "tune.db", "study"
    )
    assert len(seen) == longer.tries == 12
    assert longer.wer <= first.wer
    assert longer.wer == pytest.approx(min(abs(s.lm_weight - 1.5) for s in seen), abs=1e-3)
    assert objective(longer.settings).rate == pytest.approx(longer.wer)


def test_a_start_that_was_interrupted_is_tried_when_tuning_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="the optional package optuna is not installed")
    config = TuneConfig(checkpoint="run", lm="lm", tries=3, decoder=WordDecoder.ctc)
    starting = [config.search, WordSearchConfig(lm_weight=1.25), WordSearchConfig(lm_weight=1.25)]

    def interrupted(settings: WordSearchConfig) -> ErrorRate:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_weights(interrupted, config, WordDecoder.ctc, starting, tmp_path / "tune.db", "study")
    seen: list[float] = []

    def objective(settings: WordSearchConfig) -> ErrorRate:
        seen.append(settings.lm_weight)
        return ErrorRate(substitutions=len(seen), reference_length=10)

    search_weights(objective, config, WordDecoder.ctc, starting, tmp_path / "tune.db", "study")
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
    assert summary["search"] == {**kept["search"], "words": None, "hotwords": None}
    assert summary["wer"] == pytest.approx(kept["wer"])


def test_joint_starts_from_what_was_tuned_for_the_transducer(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run" / "checkpoints" / "best.safetensors"
    config, tuned = TuneConfig(checkpoint="run", lm="lm", decoder=WordDecoder.joint), WordSearchConfig(lm_weight=0.3)
    assert starts(config, WordDecoder.joint, checkpoint) == [config.search]
    write_weights(tmp_path / "run" / "decoding" / "weights-rnnt.json", tuned, 0.1, "lm")
    alone, together = replace(tuned, ctc_weight=0.0), replace(tuned, ctc_weight=config.search.ctc_weight)
    assert starts(config, WordDecoder.joint, checkpoint) == [config.search, alone, together]
    assert starts(config, WordDecoder.ctc, checkpoint) == [config.search]


def test_a_study_is_of_one_search_one_language_model_and_one_data_root(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("one")
    config = TuneConfig(checkpoint="run", lm=str(tmp_path))
    name = study_name(config, WordDecoder.ctc, 5, 9)
    assert study_name(replace(config, search=WordSearchConfig(lm_weight=1.9), tries=99), WordDecoder.ctc, 5, 9) == name
    others = [
        replace(config, search=WordSearchConfig(ctc_beam_size=7)),
        replace(config, data=DataConfig(data_root="elsewhere")),
        replace(config, data=DataConfig(max_sessions=1)),
    ]
    assert len({name, *(study_name(other, WordDecoder.ctc, 5, 9) for other in others)}) == 4
    (tmp_path / "lm.arpa").write_text("another")
    assert study_name(config, WordDecoder.ctc, 5, 9) != name


def test_tune_needs_sentences(decode_config: DecodeConfig) -> None:
    asked = {"checkpoint": decode_config.checkpoint, "lm": decode_config.lm, "data": decode_config.data}
    with pytest.raises(InputError, match="split=test has no labels to compare with"):
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


BAD = ("3", '{"beam": 3}', '{"lm_weight": "1"}', '{"rnnt_beam_size": 2.5}', '{"lm_weight": true}', '{"merge": "most"}')


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"search": {}}', '{"lm": "lm"}', *(f'{{"lm": "lm", "search": {search}}}' for search in BAD)],
)
def test_bad_weights_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "weights.json").write_text(content)
    with pytest.raises(InputError, match=r"weights\.json .*run mode-ssm tune"):
        read_weights(tmp_path / "weights.json")
