"""Articulation: what the phonemes are, when they come, and how the articulators follow."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import FRAME_MS
from mode_ssm.labels import T15
from mode_ssm.simulation import articulation
from mode_ssm.simulation.articulation import ARTICULATORS, MOVEMENT_MS, RELATIVE_DURATION, TARGETS, movement_response
from mode_ssm.simulation.presets import PRESETS
from mode_ssm.simulation.speech import MIN_PHONEME_FRAMES, Mode, move, time_utterance

SPEECH = PRESETS["t15"].speech
HELLO = tuple(T15.ids("HH AH L OW | W ER L D |"))


def test_a_frame_is_as_long_as_everywhere() -> None:
    assert FRAME_MS == articulation.FRAME_MS


def test_all_phonemes_differ_and_rest_is_zero() -> None:
    flat = TARGETS.reshape(len(T15), -1)
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2) + 9 * np.eye(len(T15))
    assert distance.min() > 0.4
    assert not TARGETS[T15.blank].any()
    assert (RELATIVE_DURATION[1:] > 0.5).all()
    assert np.abs(TARGETS).max() == 1


@pytest.mark.parametrize(
    ("voiced", "voiceless"), [("B", "P"), ("D", "T"), ("G", "K"), ("V", "F"), ("Z", "S"), ("ZH", "SH")]
)
def test_voicing_pairs_are_nearer_to_each_other_than_to_another_place(voiced: str, voiceless: str) -> None:
    flat = TARGETS.reshape(len(T15), -1)
    pair = np.linalg.norm(flat[T15.symbols.index(voiced)] - flat[T15.symbols.index(voiceless)])
    others = [
        np.linalg.norm(flat[T15.symbols.index(voiced)] - flat[T15.symbols.index(v)]) for v in ("AA", "IY", "HH", "NG")
    ]
    assert pair < min(others)


def test_movement_is_that_of_a_critically_damped_mass() -> None:
    """Against the equation of motion x'' = w^2 (1 - x) - 2 w x', integrated in steps of 5 microseconds."""
    response = movement_response(FRAME_MS).cumsum(axis=1)
    k = ARTICULATORS.index("body")
    w, x, v, dt = 1 / MOVEMENT_MS[k], 0.0, 0.0, 0.005
    for frame in range(6):
        for _ in range(round(FRAME_MS / dt)):
            v += dt * (w * w * (1 - x) - 2 * w * v)
            x += dt * v
        assert response[k, frame] == pytest.approx(x, abs=1e-3)


labels = st.lists(st.lists(st.integers(1, T15.boundary - 1), min_size=1, max_size=6), min_size=1, max_size=25)


@given(labels, st.sampled_from(Mode), st.integers(0, 2**32))
def test_the_alignment_says_the_labels_in_order(words: list[list[int]], mode: Mode, seed: int) -> None:
    ids = tuple(label for word in words for label in (*word, T15.boundary))
    utterance = time_utterance(ids, mode, SPEECH, np.random.default_rng(seed))
    assert tuple(utterance.classes[1::2]) == ids
    assert (utterance.frames[1::2] >= MIN_PHONEME_FRAMES).all()
    assert (utterance.frames >= 0).all()
    assert utterance.frames[0] * FRAME_MS >= SPEECH.min_delay_ms - FRAME_MS
    assert len(utterance.alignment) == utterance.total_frames
    spoken = [label for label, _ in groupby(utterance.alignment) if label != T15.blank]
    assert spoken == [label for label, _ in groupby(ids)] or len(spoken) >= len(list(groupby(ids)))


def test_a_trial_ends_in_time_where_silences_can_give_way() -> None:
    long = HELLO * 12
    for seed in range(20):
        assert (
            time_utterance(long, Mode.vocalised, SPEECH, np.random.default_rng(seed)).total_frames <= SPEECH.max_frames
        )


def test_silent_speech_is_faster() -> None:
    def words_per_minute(mode: Mode) -> float:
        timed = [time_utterance(HELLO * 4, mode, SPEECH, np.random.default_rng(seed)) for seed in range(200)]
        spoken = [int(u.frames[1:-1].sum()) for u in timed]
        return 8 / (float(np.mean(spoken)) * FRAME_MS / 60_000)

    assert words_per_minute(Mode.vocalised) == pytest.approx(30, rel=0.15)
    assert words_per_minute(Mode.silent) == pytest.approx(50, rel=0.15)


def test_a_phoneme_is_shaped_by_its_neighbours_and_rest_follows() -> None:
    speech = SPEECH
    centres = []
    for neighbour in ("IY", "AA"):
        ids = tuple(T15.ids(f"{neighbour} D {neighbour} |"))
        utterance = time_utterance(ids, Mode.vocalised, speech, np.random.default_rng(0))
        movement = move(utterance, 0.0, np.random.default_rng(0))
        assert movement.shape == (utterance.total_frames, 2 * len(ARTICULATORS))
        assert np.abs(movement[: utterance.frames[0]]).max() == 0
        assert np.abs(movement[-1]).max() < 1e-3
        frame = int(np.flatnonzero(utterance.alignment == T15.symbols.index("D"))[0])
        centres.append(movement[frame, ARTICULATORS.index("backness")])
    assert centres[1] - centres[0] > 0.5


def test_velocities_add_up_to_positions() -> None:
    utterance = time_utterance(HELLO, Mode.vocalised, SPEECH, np.random.default_rng(1))
    position, velocity = np.split(move(utterance, 0.2, np.random.default_rng(1)), 2, axis=1)
    np.testing.assert_allclose(velocity.cumsum(axis=0) / 2.5, position, atol=1e-4)
