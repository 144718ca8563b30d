"""Heard phonemes to words: alignments beside enumeration, and what is learnt."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.language.confusion import (
    ConfusionModel,
    learn_confusions,
    read_confusions,
    slot_features,
    trust_features,
    write_confusions,
)
from mode_ssm.language.confusion_edits import EditModel, Pair, align_pair, learn_edits
from mode_ssm.language.confusion_network import NOTHING, ScoredString, confusion_network

LABELS = Labels(("-", "a", "b", "c", "|"), blank=0, boundary=4)
STRINGS = st.lists(
    st.tuples(st.floats(-9, 0), st.lists(st.integers(1, 3), max_size=5).map(tuple)), min_size=1, max_size=5
)


@given(STRINGS)
@settings(max_examples=60, deadline=None)
def test_a_network_holds_every_string_and_no_order(strings: list[tuple[float, tuple[int, ...]]]) -> None:
    nbest = [ScoredString(score, labels) for labels, score in {labels: score for score, labels in strings}.items()]
    network = confusion_network(nbest, 4, temperature=2.0)
    assert network.shares.sum(axis=1) == pytest.approx(np.ones(len(network.shares)))
    heard = [np.flatnonzero(row).tolist() for row in network.shares]
    if len(heard) < 7:
        paths = {tuple(label for label in path if label != NOTHING) for path in product(*heard)}
        assert {string.labels for string in nbest} <= paths
    again = confusion_network(nbest[::-1], 4, temperature=2.0)
    assert again.shares == pytest.approx(network.shares)


def all_alignments(slots: int, said: int) -> Iterator[list[tuple[int | None, int | None]]]:
    """Every way to fill slots with phonemes: (slot, phoneme), (slot, None) or (None, phoneme), in order."""
    if slots == said == 0:
        yield []
        return
    if slots:
        yield from ([*rest, (slots - 1, None)] for rest in all_alignments(slots - 1, said))
    if said:
        yield from ([*rest, (None, said - 1)] for rest in all_alignments(slots, said - 1))
    if slots and said:
        yield from ([*rest, (slots - 1, said - 1)] for rest in all_alignments(slots - 1, said - 1))


def test_alignments_are_those_of_enumeration() -> None:
    random = np.random.default_rng(0)
    model = EditModel(random.random((4, 4)), random.random(4), random.random(4))
    network = confusion_network([ScoredString(0.0, (1, 2, 3)), ScoredString(-1.0, (2, 2))], 4, 1.0)
    said = (3, 1)
    found = align_pair(Pair(said, network), model)
    expected = np.zeros((len(network.shares), 2))
    total = 0.0
    for alignment in all_alignments(len(network.shares), 2):
        weight = 1.0
        for slot, place in alignment:
            if slot is None:
                weight *= model.lost[said[place or 0]]
            else:
                weight *= network.shares[slot] @ (model.added if place is None else model.heard[said[place]])
        total += weight
        for slot, place in alignment:
            if slot is not None and place is not None:
                expected[slot, place] += weight
    assert found.said == pytest.approx(expected / total)
    assert found.added == pytest.approx(1 - found.said.sum(axis=1))
    assert found.lost == pytest.approx(1 - found.said.sum(axis=0))


def labelled(count: int) -> list[Pair]:
    """b is heard as c three times of four, a is lost one time of five."""
    random = np.random.default_rng(1)
    pairs = []
    for _ in range(count):
        said = random.integers(1, 4, 12)
        heard = [3 if label == 2 and random.random() < 0.75 else int(label) for label in said]
        kept = [h for h, label in zip(heard, said, strict=True) if not (label == 1 and random.random() < 0.2)]
        pairs.append(Pair(said.tolist(), confusion_network([ScoredString(0.0, tuple(kept))], 5, 1.0)))
    return pairs


def test_what_is_confused_and_lost_is_learnt() -> None:
    edits = learn_edits(labelled(300), 5)
    assert edits.heard[2, 3] == pytest.approx(0.75, abs=0.05)
    assert edits.lost[1] == pytest.approx(0.2, abs=0.04)
    assert edits.lost[3] < 0.03
    assert edits.heard.sum(axis=1) + edits.lost == pytest.approx(np.ones(5))


def test_posteriors_say_how_often_what_is_heard_was_said() -> None:
    model = learn_confusions(labelled(300), 5)
    network = confusion_network([ScoredString(0.0, (3,))], 5, 1.0)
    scores = model.score(network, prior_weight=0.0)
    assert np.exp(scores.said[0, 2]) == pytest.approx(0.75 / 1.75, abs=0.06)  # b and c are said alike often
    assert np.exp(scores.said[0]).sum() == pytest.approx(1.0)
    assert np.exp(model.log_lost[1]) == pytest.approx(0.2, abs=0.04)


def test_without_lines_nothing_is_learnt() -> None:
    with pytest.raises(InputError, match="no labelled line"):
        learn_confusions([], 5)


def test_confusions_are_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    sizes = [(17, 5), 4, 4, 4, 5, 5]
    model = ConfusionModel(*(random.random(size).round(5) for size in sizes))
    write_confusions(tmp_path / "kept.json", model, LABELS, {})
    kept = read_confusions(tmp_path / "kept.json", LABELS)
    assert all((a == b).all() for a, b in zip(kept, model, strict=True))
    with pytest.raises(InputError, match="confusions of other labels"):
        read_confusions(tmp_path / "kept.json", Labels(("-", "a", "b", "|"), boundary=3))
    (tmp_path / "kept.json").write_text("{}")
    with pytest.raises(InputError, match="holds no confusions"):
        read_confusions(tmp_path / "kept.json", LABELS)


def test_features_are_as_many_as_said() -> None:
    network = confusion_network([ScoredString(0.0, (1, 2))], 5, 1.0)
    assert slot_features(network).shape == (2, 17)


def test_trust_sees_the_slots_around_and_the_whole_line() -> None:
    strings = [ScoredString(-1.0, (1, 2, 3, 1)), ScoredString(-3.0, (1, 3, 3, 1))]
    network = confusion_network(strings, 5, 1.0)
    assert network.disputed.tolist() == [0, 1, 0, 0]
    assert network.score == -1.0
    expected = [[1, 0, 0.25, -0.25], [0, 0, 0.25, -0.25], [1, 0, 0.25, -0.25], [0, 1, 0.25, -0.25]]
    assert trust_features(network).tolist() == expected


def test_lines_that_a_decoder_is_sure_of_are_trusted_more() -> None:
    """b is heard as c half of the time in lines of low scores, never in those of high ones."""
    random = np.random.default_rng(4)
    pairs = []
    for number in range(300):
        sure = number % 2 == 0
        said = random.integers(1, 4, 12)
        heard = [3 if label == 2 and not sure and random.random() < 0.5 else int(label) for label in said]
        string = ScoredString(-1.0 if sure else -24.0, tuple(heard))
        pairs.append(Pair(said.tolist(), confusion_network([string], 5, 1.0)))
    model = learn_confusions(pairs, 5)

    def said_as_heard(score: float) -> float:
        network = confusion_network([ScoredString(score, (3,) * 12)], 5, 1.0)
        return float(np.exp(model.score(network, prior_weight=0.0).said[5, 3]))

    assert said_as_heard(-1.0) > said_as_heard(-24.0) + 0.1
    assert said_as_heard(-24.0) == pytest.approx(1 / 1.5, abs=0.1)
