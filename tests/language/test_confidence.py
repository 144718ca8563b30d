"""Confidences: their errors beside definitions, what is learnt beside what made the data."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.config import WordDecoder, WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.language.confidence import (
    LEAST,
    Confidence,
    auroc,
    calibration_error,
    fit_confidence,
    judge,
    logit,
    read_confidence,
)
from mode_ssm.language.weights import choose_confidence, write_weights

LEARNT = Confidence(2.0, 0.8, -0.1, 500, 0.02, 0.9)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=1, max_size=12))
def test_auroc_is_the_share_of_pairs_in_order(words: list[tuple[float, bool]]) -> None:
    values, right = np.array([value for value, _ in words]), np.array([good for _, good in words])
    pairs = [(a > b) + (a == b) / 2 for a in values[right] for b in values[~right]]
    found = auroc(values, right)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


def test_calibration_error_by_hand() -> None:
    values, right = np.array([0.2, 0.4, 0.9, 0.7]), np.array([False, True, True, True])
    # two bins of two words: |1/2 - 0.3| and |1 - 0.8|
    assert calibration_error(values, right, bins=2) == pytest.approx(0.2)


def test_a_fit_finds_the_line_and_the_temperature_that_made_the_words() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(3.0, 6.0, 20_000)
    right = random.random(20_000) < 1 / (1 + np.exp(-(0.5 * scores / 4.0 * 2 + 0.3)))
    found = fit_confidence(lambda temperature: 1 / (1 + np.exp(-scores / temperature)), right)
    assert found is not None
    assert found.words == 20_000
    assert found.slope / found.temperature == pytest.approx(0.25, abs=0.02)
    assert found.offset == pytest.approx(0.3, abs=0.06)
    assert found.ece < 0.02
    assert found(0.5) == pytest.approx(1 / (1 + np.exp(-found.offset)))
    assert found(0.2) < found(0.6) < found(0.99)


def test_too_few_words_teach_nothing() -> None:
    right = np.arange(100) < 100 - LEAST + 1
    assert fit_confidence(lambda _: np.full(100, 0.5), right) is None


def test_posteriors_of_nothing_and_all_stay_finite() -> None:
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_words_are_judged_by_a_shortest_alignment() -> None:
    judged = judge("He's here, now.", ["he's", "hear", "right", "now"])
    assert [(word.place, word.right) for word in judged] == [(0, True), (1, False), (2, False), (3, True)]
    assert sorted(str(word.said) for word in judged) == ["None", "he's", "here", "now"]


def test_a_confidence_is_used_with_its_own_weights_and_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, lm, own = tmp_path / "weights.json", str(tmp_path), WordSearchConfig(lm_weight=0.7)

    def chosen(settings: WordSearchConfig = own, model: str = lm, file: str | None = str(path)) -> Confidence | None:
        return choose_confidence(file, settings, tmp_path, WordDecoder.ctc, model)

    write_weights(path, own, 0.1, lm, LEARNT)
    assert chosen() == LEARNT
    assert capsys.readouterr().out == ""
    assert chosen(model=str(tmp_path / "other")) is None
    assert chosen(settings=WordSearchConfig()) is None
    assert "is for its own weights and its lm" in capsys.readouterr().out
    assert chosen(file=None) is None
    assert "mode-ssm tune learns how" in capsys.readouterr().out
    kept = json.loads(path.read_text())
    assert kept["confidence"].pop("version") == 2
    path.write_text(json.dumps(kept))  # as before there were versions
    assert chosen() is None
    assert "was learnt on posteriors of another version" in capsys.readouterr().out
    write_weights(path, own, 0.1, lm)
    assert chosen() is None
    assert "holds no confidence" in capsys.readouterr().out
    path.write_text(json.dumps({**json.loads(path.read_text()), "confidence": {"slope": 1}}))
    with pytest.raises(InputError, match=r"does not hold a confidence .*run mode-ssm tune"):
        chosen()


@pytest.mark.parametrize("change", [{"temperature": 0}, {"slope": "1"}, {"offset": True}])
def test_what_is_no_confidence_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="confidence="):
        read_confidence({**LEARNT._asdict(), **change})
    assert read_confidence(LEARNT._asdict()) == LEARNT
