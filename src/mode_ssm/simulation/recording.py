"""From movements to what a recording system stores: threshold crossings and spike-band power of 256 electrodes."""

from functools import lru_cache
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from mode_ssm.simulation.population import ARRAY_ELECTRODES, ARRAYS, ELECTRODES, Population
from mode_ssm.simulation.presets import Electrodes

FloatArray = NDArray[np.float32]
FloatArray64 = NDArray[np.floating]

CHANNELS = 2 * ELECTRODES
CLIP = 10.0  # upper bound of a z-scored feature

_LEVELS = 192
_BITS = 14
_LOG_LOW, _LOG_HIGH = np.log(0.01), np.log(25.0)  # crossings per frame that the table covers
_STEP = (_LOG_HIGH - _LOG_LOW) / (_LEVELS - 1)
_NOISE_KERNEL = np.exp(-np.arange(40) / 6.0).astype(np.float32)  # shared noise decays over 120 ms
_NOISE_KERNEL /= np.sqrt((_NOISE_KERNEL**2).sum())


@lru_cache(maxsize=1)
def count_table(regularity: float) -> NDArray[np.uint8]:
    """Quantiles of the number of spikes in a frame, (rate levels, 2 ** 14), rates evenly spaced on a log scale.

    Gamma-distributed intervals of shape `regularity`: P(N >= n) = P(gamma(n shape) <= rate shape), the count model of
    Winkelmann (1995). Shape 1 is Poisson; above 1 a spike makes the next one late, as a refractory period does; below 1
    spikes come in bursts.
    """
    rates = np.exp(_LOG_LOW + _STEP * np.arange(_LEVELS))
    n = np.arange(1, 100)
    below = 1 - _gamma_cdf(regularity * n, regularity * rates[:, None])  # P(N < n)
    edges = np.rint(below * 2**_BITS).astype(np.int64)
    table = np.zeros((_LEVELS, 2**_BITS), dtype=np.uint8)
    for row, edge in zip(table, edges, strict=True):
        row[:] = np.searchsorted(edge, np.arange(2**_BITS), side="right")
    return table


def _gamma_cdf(shape: FloatArray64, x: FloatArray64) -> FloatArray64:
    """P(gamma(shape) <= x) by the series of the lower incomplete gamma function (Abramowitz & Stegun 6.5.29)."""
    log_first = shape * np.log(x) - x - np.array([lgamma(a + 1) for a in shape])
    term = np.exp(log_first)
    total = term.copy()
    for k in range(1, 400):
        term = term * x / (shape + k)
        total += term
    return np.asarray(np.minimum(total, 1.0))


def log_rates(movement: FloatArray, population: Population, gain: float, rng: np.random.Generator) -> FloatArray:
    """(T, 256) log of the expected crossings per frame, from (T, 2 articulators)."""
    rates = _shared_noise(len(movement), population, rng)
    for lead in np.unique(population.lead_frames):
        ahead = np.zeros_like(movement)
        ahead[: len(movement) - lead] = movement[lead:]
        group = population.lead_frames == lead
        rates[:, group] += ahead @ (gain * population.tuning[group].T)
    return rates


def _shared_noise(frames: int, population: Population, rng: np.random.Generator) -> FloatArray:
    white = rng.standard_normal((len(population.shared), frames + len(_NOISE_KERNEL) - 1), dtype=np.float32)
    smooth = np.stack([np.convolve(row, _NOISE_KERNEL, mode="valid") for row in white], axis=1)
    return np.asarray(smooth @ population.shared + population.log_rate, dtype=np.float32)


def draw_counts(log_rate: FloatArray, regularity: float, rng: np.random.Generator) -> FloatArray:
    """Threshold crossings with the given expectation."""
    level = np.clip((log_rate - np.float32(_LOG_LOW)) * np.float32(1 / _STEP) + np.float32(0.5), 0, _LEVELS - 1)
    random = np.frombuffer(rng.bytes(2 * log_rate.size), dtype=np.uint16) >> (16 - _BITS)
    index = (level.astype(np.int32).ravel() << _BITS) | random
    counts = count_table(regularity).ravel()[index].reshape(log_rate.shape)
    return np.asarray(counts, dtype=np.float32)


def draw_power(
    counts: FloatArray, log_rate: FloatArray, population: Population, electrodes: Electrodes, rng: np.random.Generator
) -> FloatArray:
    """Spike-band power: what the spikes carry, the tuned activity below threshold, and noise common to an array.

    In units of one spike's energy. The activity below threshold is a gamma variable (Wilson and Hilferty's cube).
    """
    shape = electrodes.hash_shape
    g = rng.standard_normal(counts.shape, dtype=np.float32)
    cube = (np.float32(1 - 1 / (9 * shape)) + g * np.float32(1 / (3 * np.sqrt(shape)))) ** 3
    gamma = cube * np.float32(np.sqrt(shape))  # sd 1
    hash_sd = electrodes.hash_sd * np.exp(0.5 * population.log_rate)
    tuned = np.exp(0.5 * (log_rate - population.log_rate))
    power = counts + gamma * tuned * hash_sd
    common = rng.standard_normal((len(counts), len(ARRAYS)), dtype=np.float32) * np.float32(electrodes.power_noise)
    power *= np.repeat(1 + common, ARRAY_ELECTRODES, axis=1)
    return np.asarray(power, dtype=np.float32)


def normalise_block(trials: list[FloatArray]) -> None:
    """Z-score each channel over all frames of a block, in place, and clip at 10; a constant channel becomes 0."""
    frames = sum(len(x) for x in trials)
    mean = sum(x.sum(axis=0, dtype=np.float64) for x in trials) / frames
    square = sum(np.einsum("tc,tc->c", x, x, dtype=np.float64) for x in trials) / frames
    sd = np.sqrt(np.maximum(square - mean**2, 0))
    scale = np.where(sd > 1e-6, 1 / np.maximum(sd, 1e-6), 0.0).astype(np.float32)
    for x in trials:
        x -= mean.astype(np.float32)
        x *= scale
        np.minimum(x, np.float32(CLIP), out=x)
