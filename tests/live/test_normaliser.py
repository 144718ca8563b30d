"""Raw frames that come live are scaled as the data of training are."""

from pathlib import Path

import numpy as np
import torch

import mode_ssm
from mode_ssm.live.events import Begin, End, Event, Frames, Notice
from mode_ssm.live.normaliser import RunningNormaliser
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.running_scale import Scale
from tests.data.files import write_session
from tests.data.test_normalised import CHANNELS, opened, raw_trial
from tests.live.conftest import CAUSAL
from tests.small import small_config

DAYS = ("t15.2023.08.11", "t15.2023.08.13")


def events(days):
    number = 0
    for day, trials in days:
        for trial in trials:
            yield Begin(day)
            for piece in np.array_split(trial.features, 5):
                yield Frames(number, number / 50, piece)
                number += len(piece)
            yield End()


def heard(normalised) -> list[np.ndarray]:
    """The features of each trial."""
    trials: list[list[np.ndarray]] = []
    for event in normalised:
        if isinstance(event, Begin):
            trials.append([])
        elif isinstance(event, Frames):
            trials[-1].append(event.features)
    return [np.concatenate(pieces) for pieces in trials]


def test_two_days_are_scaled_as_their_recordings_are(tmp_path: Path) -> None:
    days = [(day, [raw_trial(50 * n + k, block=1, level=4 + n) for k in range(24)]) for n, day in enumerate(DAYS)]
    for day, trials in days:
        write_session(tmp_path, day, "train", trials)
    recorded = opened(tmp_path, "train")
    first = np.concatenate([trial.features for trial in days[0][1][:20]]).astype(np.float64)
    reference = Scale(first.mean(0), first.var(0))
    found = heard(RunningNormaliser(events(days), reference))
    for n, features in enumerate(found):
        np.testing.assert_allclose(features, recorded[n].features.numpy(), atol=1e-4)


def test_frames_that_do_not_fit_are_left_to_who_repairs_and_do_not_count() -> None:
    trial = raw_trial(0, block=1)
    damaged = trial.features.copy()
    damaged[3, 2] = np.nan
    reference = Scale(np.full(CHANNELS, 5.0), np.full(CHANNELS, 9.0))
    odd = [Begin(None), Frames(0, 0.0, damaged), Frames(40, 0.8, np.ones((1, 3), np.float32)), End(), Begin(None)]
    told = list(RunningNormaliser([*odd, Frames(41, 0.82, trial.features)], reference))
    np.testing.assert_array_equal(np.isnan(told[1].features).any(axis=1), np.arange(len(damaged)) == 3)
    assert told[2].features.shape == (1, 3)
    sound = np.delete(damaged, 3, axis=0).astype(np.float64)
    mean = 0.1 * sound.mean(0) + 0.9 * 5
    sd = np.sqrt(0.1 * sound.var(0) + 0.9 * 9)
    np.testing.assert_allclose(told[5].features, (trial.features - mean) / sd, atol=1e-4)


def test_a_network_keeps_the_reference_of_its_next_day(tmp_path: Path) -> None:
    for n, day in enumerate(DAYS):
        write_session(tmp_path / "data", day, "train", [raw_trial(50 * n + k, block=1, level=4 + n) for k in range(22)])
    run = mode_ssm.train(
        small_config(tmp_path / "data", tmp_path / "run", "preprocessor.normalisation=running", *CAUSAL)
    )
    network = load_recogniser(str(run)).model
    last = np.concatenate([raw_trial(50 + k, block=1, level=5).features for k in range(2, 22)]).astype(np.float64)
    expected = torch.from_numpy(np.stack([last.mean(0), last.var(0)]))
    torch.testing.assert_close(network.preprocessor.reference, expected, atol=1e-6, rtol=1e-6)


def test_a_notice_within_a_trial_ends_none() -> None:
    reference = Scale(np.full(CHANNELS, 5.0), np.full(CHANNELS, 9.0))
    told = list(events([(DAYS[0], [raw_trial(0, block=1), raw_trial(1, block=1)])]))
    noticed: list[Event] = []
    for event in told:
        noticed += [event, Notice(0, "late")] if isinstance(event, Frames) else [event]
    for plain, beside in zip(
        heard(RunningNormaliser(told, reference)), heard(RunningNormaliser(noticed, reference)), strict=True
    ):
        np.testing.assert_array_equal(plain, beside)
