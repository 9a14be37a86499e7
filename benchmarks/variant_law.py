"""The law of `surge` with what was tried to forecast better; see `benchmarks.variants`.

Slower and plainer than the package's own law, which it agrees with where nothing is varied
(`check` in `benchmarks.variants`).
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange

__all__ = ["Law", "log_likelihood", "paths"]


class Law(NamedTuple):
    """What may be varied; as it stands it is `surge`.

    Growth alone brings f = (c + m) · (exp(h) - 1) · exp(hub · calendar months), and s remembers
    ln((x + offset) / (f + offset)), times (f + x) / (f + x + shrinkage).
    """

    m: float = 1.0
    strength: float = 0.5
    memory: float = 0.2
    below: float = 1.0  # times the strength while s is negative
    slow_strength: float = 0.0  # of a second s
    slow_memory: float = 0.9
    offset: float = 0.5
    shrinkage: float = 0.0
    exponent: float = 1.5  # of the mean in the variance
    retire: float = 0.0  # chance a month that a base model falls dormant for good,
    retire_power: float = 0.0  # divided by (1 + count) to this power
    leak: float = 0.0  # fine-tunes a month of a dormant base model
    turn: float = 0.0  # fitness = turn · ln(1 + exp(its coordinate) / turn); 0: exp(coordinate)
    hub_past: float = 0.0  # growth of the whole Hub a month, until the as-of date
    hub_ahead: float = 0.0  # and after it


@njit(inline="always")
def _phi(z):
    return 0.5 * math.erfc(-z * math.sqrt(0.5))


@njit(inline="always")
def _fitness(law, theta):
    if law.turn == 0.0:
        return math.exp(theta)
    scaled = theta - math.log(law.turn)
    return law.turn * (max(scaled, 0.0) + math.log1p(math.exp(-abs(scaled))))


@njit(inline="always")
def _month(law, count, hazard, dispersion, strength, calendar, fast, slow):
    """What growth alone would bring; mean and size of the month's negative binomial."""
    hub = law.hub_past if calendar < 0.0 else law.hub_ahead
    f = (count + law.m) * math.expm1(min(hazard, 50.0)) * math.exp(hub * calendar)
    lift = strength * fast * (law.below if fast < 0.0 else 1.0) + law.slow_strength * slow
    mean = min(max(f * math.exp(min(max(lift, -20.0), 20.0)), 1e-12), 1e15)
    return f, mean, max(mean ** (2.0 - law.exponent) / dispersion, 1e-9)


@njit(inline="always")
def _remember(law, new, f, fast, slow):
    surge = math.log((new + law.offset) / (f + law.offset))
    if law.shrinkage > 0.0:
        surge *= (f + new) / (f + new + law.shrinkage)
    return (
        law.memory * fast + (1.0 - law.memory) * surge,
        law.slow_memory * slow + (1.0 - law.slow_memory) * surge,
    )


@njit(inline="always")
def _log_probability(new, mean, size):
    empty = -size * math.log1p(mean / size)
    if new == 0.0:
        return empty
    ratio = math.log(mean / size) - math.log1p(mean / size)
    rising = math.lgamma(new + size) - math.lgamma(size) - math.lgamma(new + 1.0)
    return rising + empty + new * ratio


@njit(inline="always")
def _seen(law, new, awake, mean, size):
    """Log probability of a month; and the chance that the base model was awake in it."""
    alive = math.log(max(awake, 1e-300)) + _log_probability(new, mean, size)
    if new > 0.0 and law.leak == 0.0:
        return alive, 1.0
    asleep = math.log(max(1.0 - awake, 1e-300)) - law.leak
    if new > 0.0:
        asleep += new * math.log(law.leak) - math.lgamma(new + 1.0)
    most = max(alive, asleep)
    total = most + math.log(math.exp(alive - most) + math.exp(asleep - most))
    return total, math.exp(alive - total)


@njit(inline="always")
def _retirement(law, count):
    return law.retire / (1.0 + count) ** law.retire_power


@njit(parallel=True)
def log_likelihood(law, start, new, theta, dormancy):
    """Log likelihood of all months of each base model under each of its points.

    `theta` holds ln fitness, immediacy, ln longevity, ln dispersion, and the strength of the
    carry-over where it is the base model's own; shape (base models, points, 4 or 5).
    """
    out = np.zeros(theta.shape[:2])
    for i in prange(len(theta)):
        for s in range(theta.shape[1]):
            fitness, longevity = _fitness(law, theta[i, s, 0]), math.exp(theta[i, s, 2])
            dispersion = math.exp(theta[i, s, 3])
            strength = theta[i, s, 4] if theta.shape[2] > 4 else law.strength
            count, fast, slow, before, awake = 0.0, 0.0, 0.0, 0.0, 1.0 - dormancy[i]
            for j in range(start[i], start[i + 1]):
                attention = _phi((math.log(j - start[i] + 1.0) - theta[i, s, 1]) / longevity)
                f, mean, size = _month(
                    law, count, fitness * max(attention - before, 1e-12), dispersion, strength,
                    float(j + 1 - start[i + 1]) - 0.5, fast, slow,
                )  # fmt: skip
                density, awake = _seen(law, new[j], awake, mean, size)
                out[i, s] += density
                fast, slow = _remember(law, new[j], f, fast, slow)
                count += new[j]
                before = attention
                awake *= 1.0 - _retirement(law, count)
    return out


@njit
def paths(law, start, new, theta, dormancy, chosen, months, rng):
    """New fine-tunes of the chosen base models, cumulated; shape (chosen, points, months)."""
    out = np.zeros((len(chosen), theta.shape[1], months))
    for row in range(len(chosen)):
        i = chosen[row]
        for s in range(theta.shape[1]):
            fitness, longevity = _fitness(law, theta[row, s, 0]), math.exp(theta[row, s, 2])
            dispersion = math.exp(theta[row, s, 3])
            strength = theta[row, s, 4] if theta.shape[2] > 4 else law.strength
            count, fast, slow, before, awake = 0.0, 0.0, 0.0, 0.0, 1.0 - dormancy[i]
            known = start[i + 1] - start[i]
            sleeping, grown = False, 0.0
            for k in range(known + months):
                if k == known:
                    sleeping = rng.random() >= awake
                attention = _phi((math.log(k + 1.0) - theta[row, s, 1]) / longevity)
                f, mean, size = _month(
                    law, count, fitness * max(attention - before, 1e-12), dispersion, strength,
                    float(k + 1 - known) - 0.5, fast, slow,
                )  # fmt: skip
                if k < known:
                    x = new[start[i] + k]
                    awake = _seen(law, x, awake, mean, size)[1]
                elif sleeping:
                    x = float(rng.poisson(law.leak))
                else:
                    rate = rng.gamma(size, mean / size)
                    x = float(rng.poisson(min(rate, 1e12)))
                fast, slow = _remember(law, x, f, fast, slow)
                count += x
                before = attention
                awake *= 1.0 - _retirement(law, count)
                if k >= known:
                    sleeping = sleeping or rng.random() < _retirement(law, count)
                    grown += x
                    out[row, s, k - known] = grown
    return out
