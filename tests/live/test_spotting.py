"""A phrase in posteriors made by hand: the search beside an enumeration of all paths, and when it is over."""

import re
from itertools import product

import numpy as np
import pytest

from mode_ssm.labels import Labels
from mode_ssm.live.spotting import LAST_PHONEMES, LAST_UNHEARD, SETTLE_FRAMES, UNHEARD, PhraseSpotter

LABELS = Labels(("_", "A", "B", "|"), blank=0, boundary=3)
WITHOUT = Labels(("_", "A", "B"), blank=0)
REST = len(LABELS)


def posteriors(text: str, sure: float = 0.97) -> np.ndarray:
    """(s, V): a frame a symbol."""
    rows = np.full((len(text), len(LABELS)), (1 - sure) / 3)
    rows[np.arange(len(text)), [LABELS.symbols.index(symbol) for symbol in text]] = sure
    return np.log(rows).astype(np.float32)


def heard(spotter: PhraseSpotter, frames: np.ndarray) -> list[int]:
    return [place for place, frame in enumerate(frames) if spotter.hear(frame)]


def by_enumeration(log_probs: np.ndarray, spelling: tuple[int, ...], labels: Labels) -> float:
    """The best score of any sequence of states, a frame each, that ends with the last frame."""
    rest, silent = len(labels), [labels.blank] + ([labels.boundary] if labels.boundary is not None else [])
    extended = np.concatenate([log_probs, np.logaddexp.reduce(log_probs[:, silent], axis=1)[:, None]], axis=1)
    costs = extended - extended.max(axis=1, keepdims=True)
    spoken = [*spelling] if labels.boundary is None else [*spelling, labels.boundary]
    pattern = ""
    for before, label in zip([None, *spoken], spoken, strict=False):
        between = "" if before is None else f"{rest}+" if before == label else f"{rest}*"
        pattern += f"{between}{label}+"
    fits = re.compile(f"{pattern}{rest}*")
    best = -np.inf
    for length in range(1, len(costs) + 1):
        window = costs[len(costs) - length :]
        for states in product(sorted({*spoken, rest}), repeat=length):
            values = window[np.arange(length), states]
            if fits.fullmatch("".join(map(str, states))) and _heard(states, values, spelling, rest):
                best = max(best, float(values.sum()))
    return best / len(spelling)


def _heard(states: tuple[int, ...], values: np.ndarray, spelling: tuple[int, ...], rest: int) -> bool:
    """Whether each phoneme was, by how many came before it; two that are equal have a rest between them."""
    said = 0
    for place, (state, value) in enumerate(zip(states, values, strict=True)):
        said += state != rest and (place == 0 or states[place - 1] != state)
        least = LAST_UNHEARD if said > len(spelling) - LAST_PHONEMES else UNHEARD
        if state != rest and value < -least:
            return False
    return True


@pytest.mark.parametrize("spelling", [(1, 2), (1, 1), (2, 1, 2)])
@pytest.mark.parametrize("labels", [LABELS, WITHOUT])
def test_the_best_path_is_that_of_all_paths(spelling: tuple[int, ...], labels: Labels) -> None:
    rng = np.random.default_rng(len(spelling))
    logits = 3 * rng.standard_normal((7, len(labels)))
    log_probs = (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)
    spotter = PhraseSpotter([spelling], labels, 1.0, 99)
    for end in range(1, len(log_probs) + 1):
        spotter.hear(log_probs[end - 1])
        assert spotter.scores.max() == pytest.approx(by_enumeration(log_probs[:end], spelling, labels), rel=1e-5)


def test_of_several_spellings_the_best_one_counts() -> None:
    frames = posteriors("_B_A|___")
    for spellings in ([(1, 2, 1), (2, 1)], [(2, 1), (1, 2, 1)]):
        spotter = PhraseSpotter(spellings, LABELS, 0.1, 99)
        assert heard(spotter, frames)[0] == 4 + SETTLE_FRAMES


def test_a_phrase_is_over_when_its_last_word_is_and_begins_where_it_likes() -> None:
    spotter = PhraseSpotter([(1, 2)], LABELS, 0.3, 99)
    assert heard(spotter, posteriors("BB|_AA_|__A||_")) == []
    assert heard(spotter, posteriors("BBA_ABB_|__A"))[0] == 8 + SETTLE_FRAMES


def test_a_phoneme_that_was_hardly_heard_costs_and_one_that_was_not_heard_ends_it() -> None:
    frames = posteriors("AB_BABAB|____", sure=0.999)  # A is e^8 times less likely than the blank
    for threshold, found in ((0.9, False), (1.1, True)):
        assert bool(heard(PhraseSpotter([(1, 2, 1, 2, 1, 2, 1, 2)], LABELS, threshold, 99), frames)) is found
    unheard = posteriors("AB_BABAB|____", sure=0.9999)
    assert not heard(PhraseSpotter([(1, 2, 1, 2, 1, 2, 1, 2)], LABELS, 9.0, 99), unheard)


def test_a_last_word_that_is_yet_to_come_does_not_open() -> None:
    so_far = posteriors("ABABABABAB|___", sure=0.999)
    assert not heard(PhraseSpotter([(1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2)], LABELS, 9.0, 99), so_far)


def test_what_was_said_long_ago_is_forgotten_and_so_is_what_forget_names() -> None:
    slow = posteriors("A" + "_" * 20 + "B|___")
    assert heard(PhraseSpotter([(1, 2)], LABELS, 0.3, 30), slow)
    assert not heard(PhraseSpotter([(1, 2)], LABELS, 0.3, 20), slow)
    spotter = PhraseSpotter([(1, 2)], LABELS, 0.3, 99)
    heard(spotter, posteriors("A_"))
    spotter.forget()
    assert not heard(spotter, posteriors("B|____"))


def test_a_phrase_at_the_end_of_a_trial_was_said_before_it_is_over() -> None:
    spotter = PhraseSpotter([(1, 2)], LABELS, 0.3, 99)
    assert not heard(spotter, posteriors("AB|"))
    assert spotter.said
