"""From movements to what a recording system stores: threshold crossings and spike-band power of electrodes.

Both are drawn by looking up the quantile of a random 14- or 16-bit number, a few hundred frames at a time, so that what
is worked on stays in the processor's cache.
"""

from functools import lru_cache
from itertools import pairwise
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from mode_ssm.simulation.implant import T15_IMPLANT
from mode_ssm.simulation.population import Population
from mode_ssm.simulation.presets import Electrodes

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.floating]

CHANNELS = T15_IMPLANT.channels
CLIP = 10.0  # upper bound of a z-scored feature
CHUNK_FRAMES = 256

_RATE_LEVELS = 192
_COUNT_BITS = 14
_LOG_LOW, _LOG_HIGH = np.log(0.01), np.log(25.0)  # crossings per frame that the table covers
_STEP = (_LOG_HIGH - _LOG_LOW) / (_RATE_LEVELS - 1)
_NOISE_KERNEL = np.exp(-np.arange(40) / 6.0).astype(np.float32)  # shared noise decays over 120 ms
_NOISE_KERNEL /= np.sqrt((_NOISE_KERNEL**2).sum())


def _gamma_cdf(shape: DoubleArray, x: DoubleArray) -> DoubleArray:
    """P(gamma(shape) <= x) by the series of the lower incomplete gamma function (Abramowitz & Stegun 6.5.29)."""
    log_first = shape * np.log(x) - x - np.vectorize(lgamma)(shape + 1)
    term = np.exp(log_first)
    total = term.copy()
    for k in range(1, 400):
        term = term * x / (shape + k)
        total += term
    return np.asarray(np.minimum(total, 1.0))


@lru_cache(maxsize=2)
def count_table(regularity: float) -> NDArray[np.uint8]:
    """Quantiles of the number of spikes in a frame, (rate levels, 2 ** 14), rates evenly spaced on a log scale.

    Gamma-distributed intervals of shape `regularity`: P(N >= n) = P(gamma(n shape) <= rate shape), the count model of
    Winkelmann (1995). Shape 1 is Poisson; above 1 a spike makes the next one late, as a refractory period does; below 1
    spikes come in bursts.
    """
    rates = np.exp(_LOG_LOW + _STEP * np.arange(_RATE_LEVELS))
    n = np.arange(1, 100)
    below = 1 - _gamma_cdf(regularity * n, regularity * rates[:, None])  # P(N < n)
    edges = np.rint(below * 2**_COUNT_BITS)
    table = np.zeros((_RATE_LEVELS, 2**_COUNT_BITS), dtype=np.uint8)
    for row, edge in zip(table, edges, strict=True):
        row[:] = np.searchsorted(edge, np.arange(2**_COUNT_BITS), side="right")
    return table


@lru_cache(maxsize=2)
def gamma_table(shape: float) -> FloatArray:
    """2 ** 16 quantiles of a gamma variable with standard deviation 1."""
    x = np.geomspace(1e-8, shape + 20 * np.sqrt(shape) + 20, 20_000)
    middle = (np.arange(2**16) + 0.5) / 2**16
    return np.asarray(np.interp(middle, _gamma_cdf(np.array([shape]), x), x) / np.sqrt(shape), dtype=np.float32)


def log_rates(movement: FloatArray, population: Population, gain: float, rng: np.random.Generator) -> FloatArray:
    """(T, electrodes) log of the expected crossings per frame, from (T, 2 articulators)."""
    rates = _shared_noise(len(movement), population, rng)
    leads = population.lead_frames
    ahead = np.pad(movement, ((0, int(leads.max())), (0, 0)))
    starts = [0, *(np.flatnonzero(np.diff(leads)) + 1), len(leads)]
    for start, end in pairwise(starts):
        lead = leads[start]
        rates[:, start:end] += ahead[lead : lead + len(movement)] @ (np.float32(gain) * population.tuning[start:end].T)
    return rates


def _shared_noise(frames: int, population: Population, rng: np.random.Generator) -> FloatArray:
    white = rng.standard_normal((len(population.shared), frames + len(_NOISE_KERNEL) - 1), dtype=np.float32)
    smooth = np.stack([np.convolve(row, _NOISE_KERNEL, mode="valid") for row in white], axis=1)
    return np.asarray(smooth @ population.shared + population.log_rate, dtype=np.float32)


def record_features(
    log_rate: FloatArray,
    population: Population,
    electrodes: Electrodes,
    regularity: float,
    rng: np.random.Generator,
    arrays: int = len(T15_IMPLANT.arrays),
) -> FloatArray:
    """(T, C) crossings and power before z-scoring, from (T, electrodes) log rates."""
    count = log_rate.shape[1]
    features = np.empty((len(log_rate), 2 * count), dtype=np.float32)
    for start in range(0, len(log_rate), CHUNK_FRAMES):
        part = log_rate[start : start + CHUNK_FRAMES]
        rows = features[start : start + CHUNK_FRAMES]
        rows[:, :count] = draw_counts(part, regularity, rng)
        rows[:, count:] = draw_power(rows[:, :count], part - population.log_rate, population, electrodes, rng, arrays)
    return features


def draw_counts(log_rate: FloatArray, regularity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Threshold crossings with the given expectation."""
    level = log_rate * np.float32(1 / _STEP)
    level += np.float32(0.5 - _LOG_LOW / _STEP)
    index = np.clip(level, 0, _RATE_LEVELS - 1, out=level).astype(np.int32)
    index <<= _COUNT_BITS
    index |= _random_bits(log_rate.shape, rng) >> (16 - _COUNT_BITS)
    return count_table(regularity).take(index)


def draw_power(
    counts: FloatArray,
    log_gain: FloatArray,
    population: Population,
    electrodes: Electrodes,
    rng: np.random.Generator,
    arrays: int = len(T15_IMPLANT.arrays),
) -> FloatArray:
    """Spike-band power in units of one spike's energy.

    The sum of what the spikes carry and of the activity below threshold, which is tuned too (by the square root of the
    gain over rest); times noise that all electrodes of an array share.
    """
    power = np.exp(np.float32(0.5) * log_gain)
    power *= electrodes.hash_sd * np.exp(0.5 * population.log_rate)
    power *= gamma_table(electrodes.hash_shape).take(_random_bits(counts.shape, rng))
    power += counts
    common = rng.standard_normal((len(counts), arrays, 1), dtype=np.float32) * np.float32(electrodes.power_noise)
    by_array = power.reshape(len(counts), arrays, -1)
    by_array *= 1 + common
    return np.asarray(power, dtype=np.float32)


def _random_bits(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint16]:
    return np.frombuffer(rng.bytes(2 * shape[0] * shape[1]), dtype=np.uint16).reshape(shape)


class BlockScale:
    """Z-scores each channel over all frames of a block and clips at 10; a channel that never moves becomes 0.

    Trials are added one by one, and when all are there, each is scaled.
    """

    def __init__(self, channels: int = CHANNELS) -> None:
        self._frames = 0
        self._sum = np.zeros(channels)
        self._square = np.zeros(channels)

    def add(self, features: FloatArray) -> None:
        self._frames += len(features)
        self._sum += np.ones(len(features), dtype=np.float32) @ features
        self._square += np.einsum("tc,tc->c", features, features)

    def scale(self, features: FloatArray) -> None:
        """In place."""
        mean = self._sum / self._frames
        sd = np.sqrt(np.maximum(self._square / self._frames - mean**2, 0))
        features -= mean.astype(np.float32)
        features *= np.where(sd > 1e-3, 1 / np.maximum(sd, 1e-3), 0.0).astype(np.float32)
        np.minimum(features, np.float32(CLIP), out=features)
