"""Channels that go flat or out of range: said once when it begins and once when it is over."""

import numpy as np
import pytest

from mode_ssm.config import WatchConfig
from mode_ssm.live.events import Begin, End, Frames, Notice
from mode_ssm.live.watch import ChannelWatch

SECOND = 50  # frames


def frames(features: np.ndarray) -> list[Frames]:
    return [Frames(n, n * 0.02, row[None]) for n, row in enumerate(features.astype(np.float32))]


def watched(features: np.ndarray, **config: float) -> tuple[list[Notice], dict[str, int]]:
    watch = ChannelWatch(features.shape[1], WatchConfig(**config))
    given = [Begin("day"), *frames(features), End()]
    found = list(watch(given))
    assert [id(event) for event in found if not isinstance(event, Notice)] == list(map(id, given))
    return [event for event in found if isinstance(event, Notice)], dict(watch.counts)


@pytest.fixture
def noise() -> np.ndarray:
    """A minute of four channels."""
    return np.random.default_rng(1).standard_normal((60 * SECOND, 4)).astype(np.float32)


def test_channels_that_change_are_not_spoken_of(noise):
    assert watched(noise) == ([], {})


def test_a_flat_channel_is_said_once_and_again_when_it_changes(noise):
    noise[10 * SECOND : 40 * SECOND, 1:3] = 0.5
    begun, over = watched(noise, flat_seconds=5)[0]
    assert begun == Notice(15 * SECOND - 1 + SECOND, "flat for 5 s or longer: channels 1-2", "flat", (1, 2))
    assert over == Notice(41 * SECOND - 1, "flat no more: channels 1-2", "flat", ())


def test_one_that_is_over_leaves_the_others(noise):
    noise[10 * SECOND :, 0] = 1
    noise[10 * SECOND : 30 * SECOND, 3] = 2
    told, counts = watched(noise)
    assert [(notice.text, notice.channels) for notice in told] == [
        ("flat for 10 s or longer: channels 0, 3", (0, 3)),
        ("flat no more: channel 3", (0,)),
    ]
    assert counts == {"flat": 2}


def test_an_electrode_that_fires_seldom_is_not_flat_again_and_again():
    seldom = np.zeros((1200 * SECOND, 1), np.float32)
    seldom[np.random.default_rng(2).random(len(seldom)) < 1 / (12 * SECOND)] = 1  # every twelve seconds, in the mean
    assert len(watched(seldom)[0]) <= 2


def test_out_of_range_is_half_a_second_of_a_second_and_over_after_one_without(noise):
    noise[10 * SECOND : 10 * SECOND + 24, 0] = 11  # too short
    noise[20 * SECOND : 30 * SECOND, 2] = -11
    noise[30 * SECOND + 3, 2] = 11
    told, counts = watched(noise)
    assert told == [
        Notice(21 * SECOND - 1, "beyond 10 standard deviations: channel 2", "range", (2,)),
        Notice(32 * SECOND - 1, "within their range again: channel 2", "range", ()),
    ]
    assert counts == {"range": 1}


def test_a_scale_that_changes_between_trials_is_no_change_of_a_channel():
    watch = ChannelWatch(1, WatchConfig(flat_seconds=3))
    told = []
    for trial in range(4):
        piece = [Frames(100 * trial + n, 0.0, np.full((1, 1), trial, np.float32)) for n in range(100)]
        told += [event for event in watch([Begin(), *piece, End()]) if isinstance(event, Notice)]
    assert [notice.text for notice in told] == ["flat for 3 s or longer: channel 0"]
