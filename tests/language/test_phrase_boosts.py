"""Boosts of hot phrases: whatever a search gains on its way, a whole sentence has what its phrases are worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.language.phrase_boosts import PhraseBoosts

WORDS = 5
SENTENCE = st.lists(st.integers(0, WORDS - 1), max_size=12)
PHRASES = st.dictionaries(
    st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=4).map(tuple),
    st.floats(-3, 5).map(lambda boost: round(boost, 3)),
    min_size=1,
    max_size=8,
)


def occurrences(sentence: list[int], phrases: dict[tuple[int, ...], float]) -> float:
    """Counted one by one."""
    return sum(
        boost
        for phrase, boost in phrases.items()
        for start in range(len(sentence))
        if tuple(sentence[start : start + len(phrase)]) == phrase
    )


@given(PHRASES, SENTENCE)
def test_a_sentence_gains_the_boost_of_each_phrase_in_it(
    phrases: dict[tuple[int, ...], float], said: list[int]
) -> None:
    boosts = PhraseBoosts(phrases, WORDS)
    state, gains = np.zeros(1, np.int64), []
    for word in said:
        state, gained = boosts.score(state, np.array([word]))
        gains.append(float(gained[0]))
        assert gains[-1] <= boosts.most + 1e-9
    assert sum(gains) + float(boosts.finish(state)[0]) == pytest.approx(occurrences(said, phrases), abs=1e-9)


@given(PHRASES)
def test_what_a_first_word_gains(phrases: dict[tuple[int, ...], float]) -> None:
    boosts = PhraseBoosts(phrases, WORDS)
    words = np.arange(WORDS)
    np.testing.assert_allclose(boosts.first(), boosts.score(np.zeros(WORDS, np.int64), words)[1])


def test_a_phrase_gains_with_each_word_and_gives_back_where_it_breaks_off() -> None:
    boosts = PhraseBoosts({(0, 1, 2): 6.0, (1, 3): 1.0}, WORDS)
    state, steps = np.zeros(1, np.int64), []
    for word in (0, 1, 3, 0, 1, 2):
        state, gained = boosts.score(state, np.array([word]))
        steps.append(float(gained[0]))
    assert steps == pytest.approx([2, 2, -4 + 1, 2, 2, 2])
    assert float(boosts.finish(state)[0]) == 0
    half, _ = boosts.score(np.zeros(1, np.int64), np.array([0]))
    assert float(boosts.finish(half)[0]) == -2
