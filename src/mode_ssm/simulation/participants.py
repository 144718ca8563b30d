"""Several people who speak the same language: other arrays, electrodes, tunings, yields and numbers of channels."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mode_ssm.config import SimulateConfig
from mode_ssm.errors import InputError
from mode_ssm.simulation.implant import ARRAYS, Implant
from mode_ssm.simulation.presets import Preset
from mode_ssm.simulation.streams import Stream, random_stream

ARRAY_SIZES = (16, 24, 32, 48)  # electrodes
FEWEST_ARRAYS = 2
DEAD, NOISY = (0.02, 0.25), (0.01, 0.06)  # shares of the electrodes, least and most
TUNING_SPREAD = 0.15  # log-normal


def participant(preset: Preset, config: SimulateConfig, number: int) -> tuple[Preset, SimulateConfig]:
    """Participant p<number>, counted from 1, with a data root of their own below `out`: what they say of the same
    corpora, how and with what electrodes, depends on the seed and the number alone.
    """
    rng = random_stream(config.seed, Stream.participant, number)
    arrays = rng.permutation(len(ARRAYS))[: rng.integers(FEWEST_ARRAYS, len(ARRAYS) + 1)]
    implant = Implant(tuple(ARRAYS[place] for place in sorted(arrays)), int(rng.choice(ARRAY_SIZES)))
    electrodes = replace(
        preset.electrodes,
        tuning=float(preset.electrodes.tuning * np.exp(TUNING_SPREAD * rng.standard_normal())),
        dead_share=float(rng.uniform(*DEAD)),
        noisy_share=float(rng.uniform(*NOISY)),
    )
    name, seed = f"p{number}", int(rng.integers(2**31))
    own = replace(config, out=str(Path(config.out) / name), seed=seed, participants=1)
    return replace(preset, participant=name, implant=implant, electrodes=electrodes), own


def check_roots(config: SimulateConfig) -> None:
    """Raises: InputError, where the folder holds anything but data roots of participants."""
    out = Path(config.out).expanduser()
    if out.is_dir() and not all(re.fullmatch(r"p\d+", path.name) for path in out.iterdir()):
        raise InputError(f"{out} holds something that is no root of a participant; set out to a new or empty folder.")
