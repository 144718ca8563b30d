"""The electrodes of one session: what each is tuned to, how it has drifted since the first day, which have died."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.simulation.articulation import ARTICULATORS
from mode_ssm.simulation.presets import Electrodes
from mode_ssm.simulation.streams import Stream, random_stream

FloatArray = NDArray[np.float32]

ELECTRODES = 256
ARRAY_ELECTRODES = 64
DEAD_RATE = 0.03  # crossings per frame that noise alone makes
NOISY_RATE = 3.5  # and those of an electrode that picks up a disturbance


@dataclass(frozen=True)
class ArrayDesign:
    """One of the four 64-electrode arrays."""

    name: str
    strength: float  # of its tuning
    density: float  # share of articulators and velocities that an electrode answers to
    lead_frames: int  # of the activity over the movement, in the middle of the array; one less and more at its ends


ARRAYS = (
    ArrayDesign("ventral 6v", strength=1.3, density=0.5, lead_frames=5),
    ArrayDesign("area 4", strength=1.2, density=0.35, lead_frames=3),
    ArrayDesign("55b", strength=0.7, density=0.3, lead_frames=7),
    ArrayDesign("dorsal 6v", strength=0.8, density=0.35, lead_frames=6),
)

_SPREAD_FRAMES = np.tile(np.arange(ARRAY_ELECTRODES) * 3 // ARRAY_ELECTRODES - 1, len(ARRAYS))


class Population(NamedTuple):
    """The state of all electrodes on one day."""

    tuning: FloatArray  # (electrodes, 2 articulators): log rate per unit of position, of velocity
    log_rate: FloatArray  # (electrodes,) of crossings per frame at rest
    lead_frames: NDArray[np.int64]  # (electrodes,)
    shared: FloatArray  # (rank, electrodes) loadings of the shared noise
    alive: NDArray[np.bool_]  # (electrodes,)


def _per_electrode(field: str) -> FloatArray:
    return np.repeat([getattr(array, field) for array in ARRAYS], ARRAY_ELECTRODES).astype(np.float32)


def _drifted(rng: np.random.Generator, days: Sequence[int], drift_days: float) -> FloatArray:
    """Unit-variance weights on the last of `days`: a random walk held at unit variance, 1/e left after drift_days."""
    shape = (ELECTRODES, 2 * len(ARTICULATORS))
    weights = rng.standard_normal(shape)
    for before, after in pairwise(days):
        kept = np.exp(-(after - before) / drift_days)
        weights = kept * weights + np.sqrt(1 - kept**2) * rng.standard_normal(shape)
    return weights.astype(np.float32)


def build_population(electrodes: Electrodes, days: Sequence[int], drift_days: float, seed: int) -> Population:
    """The electrodes on the last of `days`, the recording days up to this session."""
    rng = random_stream(seed, Stream.tuning)
    uniform = rng.random((2, ELECTRODES))
    depth = np.exp(0.5 * rng.standard_normal(ELECTRODES) - 0.125) * _per_electrode("strength")
    log_rate = np.log(electrodes.rate_per_frame) + electrodes.rate_spread * rng.standard_normal(ELECTRODES)
    mask = rng.random((ELECTRODES, 2 * len(ARTICULATORS))) < _per_electrode("density")[:, None]
    shared = rng.standard_normal((electrodes.shared_rank, ELECTRODES)) / np.sqrt(electrodes.shared_rank)
    age = days[-1] - days[0]
    alive = uniform[0] > 1 - (1 - electrodes.dead_share) * 0.5 ** (age / electrodes.half_life_days)
    noisy = uniform[1] < electrodes.noisy_share
    weights = mask * _drifted(rng, days, drift_days) / np.sqrt(6 * _per_electrode("density")[:, None])
    weights *= (electrodes.tuning * depth * alive * ~noisy)[:, None]
    log_rate = np.where(noisy, np.log(NOISY_RATE) + 0.2 * log_rate, log_rate)
    return Population(
        tuning=weights.astype(np.float32),
        log_rate=np.where(alive, log_rate, np.log(DEAD_RATE)).astype(np.float32),
        lead_frames=(_per_electrode("lead_frames") + _SPREAD_FRAMES).astype(np.int64),
        shared=(electrodes.shared_noise * shared * (alive & ~noisy)).astype(np.float32),
        alive=alive,
    )
