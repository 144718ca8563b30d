"""The electrodes of one session: what each is tuned to, how it has drifted since the first day, which have died."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.simulation.articulation import ARTICULATORS
from mode_ssm.simulation.implant import T15_IMPLANT, Implant
from mode_ssm.simulation.presets import Electrodes
from mode_ssm.simulation.streams import Stream, random_stream

FloatArray = NDArray[np.float32]

DEAD_RATE = 0.03  # crossings per frame that noise alone makes
NOISY_RATE = 3.5  # and those of an electrode that picks up a disturbance


class Population(NamedTuple):
    """The state of all electrodes on one day."""

    tuning: FloatArray  # (electrodes, 2 articulators): log rate per unit of position, of velocity
    log_rate: FloatArray  # (electrodes,) of crossings per frame at rest
    lead_frames: NDArray[np.int64]  # (electrodes,)
    shared: FloatArray  # (rank, electrodes) loadings of the shared noise
    alive: NDArray[np.bool_]  # (electrodes,)


def _drifted(rng: np.random.Generator, electrodes: int, days: Sequence[int], drift_days: float) -> FloatArray:
    """Unit-variance weights on the last of `days`: a random walk held at unit variance, 1/e left after drift_days."""
    shape = (electrodes, 2 * len(ARTICULATORS))
    weights = rng.standard_normal(shape)
    for before, after in pairwise(days):
        kept = np.exp(-(after - before) / drift_days)
        weights = kept * weights + np.sqrt(1 - kept**2) * rng.standard_normal(shape)
    return weights.astype(np.float32)


def build_population(
    electrodes: Electrodes, days: Sequence[int], drift_days: float, seed: int, implant: Implant = T15_IMPLANT
) -> Population:
    """The electrodes on the last of `days`, the recording days up to this session."""
    count = implant.electrodes
    density = implant.per_electrode("density")
    rng = random_stream(seed, Stream.tuning)
    uniform = rng.random((2, count))
    depth = np.exp(0.5 * rng.standard_normal(count) - 0.125) * implant.per_electrode("strength")
    log_rate = np.log(electrodes.rate_per_frame) + electrodes.rate_spread * rng.standard_normal(count)
    mask = rng.random((count, 2 * len(ARTICULATORS))) < density[:, None]
    shared = rng.standard_normal((electrodes.shared_rank, count)) / np.sqrt(electrodes.shared_rank)
    age = days[-1] - days[0]
    alive = uniform[0] > 1 - (1 - electrodes.dead_share) * 0.5 ** (age / electrodes.half_life_days)
    noisy = uniform[1] < electrodes.noisy_share
    weights = mask * _drifted(rng, count, days, drift_days) / np.sqrt(6 * density[:, None])
    weights *= (electrodes.tuning * depth * alive * ~noisy)[:, None]
    log_rate = np.where(noisy, np.log(NOISY_RATE) + 0.2 * log_rate, log_rate)
    return Population(
        tuning=weights.astype(np.float32),
        log_rate=np.where(alive, log_rate, np.log(DEAD_RATE)).astype(np.float32),
        lead_frames=(implant.per_electrode("lead_frames") + implant.spread_frames).astype(np.int64),
        shared=(electrodes.shared_noise * shared * (alive & ~noisy)).astype(np.float32),
        alive=alive,
    )
