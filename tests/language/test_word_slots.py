"""Places of a sentence with their alternatives: n-bests by hand, and windows beside all paths through them."""

from itertools import product

import numpy as np
import pytest

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.labels import T15
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_slots import SentencePlaces
from mode_ssm.language.word_times import WordTime
from mode_ssm.language.word_windows import LM_FACTOR, Rival, WordWindows, word_windows
from tests.language.paths import FULL, USED, posteriors

END = T15.boundary or 0
NEUTRAL = {"temperature": 1.0, "blank_penalty": 0.0, "silence_score": 0.0}


def sentence(text: str, share: float) -> WordHypothesis:
    return WordHypothesis(tuple(text.split()), float(np.log(share)), 0.0, ())


NBEST = [sentence("we go home", 0.5), sentence("we go", 0.3), sentence("he go home", 0.2)]


def test_an_nbest_gives_each_place_its_shares() -> None:
    times = [WordTime(0.1, 0.3), WordTime(0.4, 0.6), WordTime(0.8, 1.2)]
    slots = SentencePlaces(NBEST, [], times).slots(1.0)
    assert [slot.word for slot in slots] == ["we", "go", "home"]
    assert [slot.posterior for slot in slots] == pytest.approx([0.8, 1.0, 0.7])
    assert slots[0].alternatives == (("he", pytest.approx(0.2)),)
    assert slots[2].alternatives == (("", pytest.approx(0.3)),)
    assert [slot.time for slot in slots] == times


def test_a_place_without_a_word_stands_in_the_gap() -> None:
    nbest = [sentence("we home", 0.6), sentence("we go home", 0.4)]
    slots = SentencePlaces(nbest, [], [WordTime(0.1, 0.3), WordTime(0.8, 1.2)]).slots(1.0)
    assert [slot.word for slot in slots] == ["we", "", "home"]
    assert slots[1].time == WordTime(0.3, 0.8)
    assert slots[1].posterior == pytest.approx(0.6)
    assert slots[1].alternatives == (("go", pytest.approx(0.4)),)


def test_a_higher_temperature_is_less_sure() -> None:
    cold, hot = (SentencePlaces(NBEST, [], None).slots(temperature)[0] for temperature in (1.0, 4.0))
    assert cold.posterior > hot.posterior
    assert cold.time is None


def test_a_window_shares_what_the_nbest_gives_to_some_word() -> None:
    windows = [[Rival("we", 0.0), Rival("he", -1.0)], [Rival("go", 0.0)], [Rival("home", 0.0), Rival("hum", -2.0)]]
    slots = SentencePlaces(NBEST, windows, None).slots(1.0)
    shares = np.exp([0.0, -2.0]) / np.exp([0.0, -2.0]).sum() * 0.7
    assert slots[2].posterior == pytest.approx(shares[0])
    assert dict(slots[2].alternatives) == {"": pytest.approx(0.3), "hum": pytest.approx(shares[1])}
    assert all(slot.posterior + sum(share for _, share in slot.alternatives) == pytest.approx(1) for slot in slots)


def test_no_sentence_has_no_places() -> None:
    assert SentencePlaces([], [], None).slots(2.0) == []


def test_windows_reach_from_one_word_to_the_next() -> None:
    labels, frames = (1, 7, END, 7, END), (2, 3, 5, 8, 9)
    assert word_windows(labels, frames, END, 12) == [(0, 8), (6, 12)]


def said_in(path: tuple[int, ...]) -> tuple[int, ...]:
    """Labels of a CTC path; extra boundaries, which are silence, left out."""
    labels = [label for place, label in enumerate(path) if place == 0 or label != path[place - 1]]
    labels = [label for label in labels if label != T15.blank]
    return tuple(lb for place, lb in enumerate(labels) if lb != END or (place and labels[place - 1] != END))


@pytest.mark.parametrize("seed", range(3))
def test_rivals_are_worth_all_their_paths_and_the_words_after(word_model: WordModel, seed: int) -> None:
    settings = WordSearchConfig(lm_weight=0.8, word_score=0.3, merge=Merge.sum, **NEUTRAL, **FULL)
    ctc, tree = posteriors(5, seed), build_tree(word_model)
    (best, *_), *_ = CTCWordSearch(word_model, tree, settings, nbest=1)([ctc])
    if len(best.words) != 1 or best.labels[-1] != END:
        pytest.skip("this draw's best sentence is not one whole word")
    (rivals,) = WordWindows(word_model, tree, settings)(ctc, best)
    likelihood: dict[tuple[int, ...], float] = {}
    for path in product(range(len(USED)), repeat=len(ctc)):
        said, value = said_in(tuple(USED[k] for k in path)), ctc[np.arange(len(ctc)), [USED[k] for k in path]].sum()
        likelihood[said] = float(np.logaddexp(likelihood.get(said, -np.inf), value))
    for rival in rivals:
        number = word_model.words.index(rival.word)
        spelled = [spelling for word, spelling in word_model.spellings if word == number]
        heard = np.logaddexp.reduce([likelihood.get(spelling, -np.inf) for spelling in spelled])
        expected = heard + LM_FACTOR * 0.8 * word_model.sentence_score((number,)) + 0.3
        assert rival.score == pytest.approx(expected, abs=1e-6)
    assert {rival.word for rival in rivals} == set(word_model.words)
