"""Futures of base models under the transition law, many draws of the parameters at once.

The law is that of `bayes_hfgrowth.growth.transition`. What has been observed is the same under
every draw, so that the loops over a month run over the draws, and but for the counts themselves,
which are drawn one by one, they become vector instructions.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary, point_likelihoods, transition
from bayes_hfgrowth.growth.elementary import exp, inner, log, version_of
from bayes_hfgrowth.growth.point_likelihoods import attention_growths, born, tails
from bayes_hfgrowth.growth.transition import (
    BIRTH,
    CAP,
    POISSON,
    SURGE,
    Floats,
    draw_poisson,
    negative_binomial,
)

__all__ = ["simulate"]

_TINY = 1e-300
_HUGE = 600.0  # exp of it is still a float, with room for the counts
_WIDEST = 300.0  # growth parameters beyond it are taken as it
_MOST = 1e17  # a mean beyond it is taken as it; the counts stop at CAP long before
_BLOCK = 500  # draws at a time, whose working space stays in the cache
_ROWS = 22


@inner()
def _natural(theta: Floats, natural: Floats) -> None:
    """Fitness, immediacy, 1 / longevity and 1 / dispersion of each draw."""
    draws, size = theta.shape
    for k in range(size):
        sign = -1.0 if k > 1 else 1.0
        for s in range(draws):
            t = min(max(theta[s, k], -_WIDEST), _WIDEST)
            natural[k, s] = t if k == 1 else exp(sign * t)


@inner()
def _poisson_law(
    m: float, fitness: Floats, lower_before: Floats, growth: Floats, mean: Floats, empty: Floats
) -> None:
    """Mean of the month, and the log probability that it is empty."""
    for s in range(len(mean)):
        log_mean = log(m * growth[s]) + min(fitness[s] * lower_before[s], 0.5 * _HUGE)
        mean[s] = min(exp(min(log_mean, _HUGE)), _MOST)
        empty[s] = -mean[s]


@inner()
def _birth_law(
    m: float, count: Floats, hazard: Floats, growth: Floats, mean: Floats, size: Floats,
    empty: Floats,
) -> None:  # fmt: skip
    """The same with the size of the negative binomial."""
    for s in range(len(mean)):
        size[s] = count[s] + m
        mean[s] = min(size[s] * growth[s], _MOST)
        empty[s] = -size[s] * hazard[s]


@inner()
def _surge_law(
    m: float, count: Floats, growth: Floats, strength: Floats, surges: Floats, precision: Floats,
    f: Floats, mean: Floats, size: Floats, empty: Floats,
) -> None:  # fmt: skip
    """The same, with what growth alone would bring, f."""
    for s in range(len(mean)):
        f[s] = (count[s] + m) * growth[s]
        lift = exp(min(max(strength[s] * surges[s], -_HUGE), _HUGE))
        mean[s] = min(max(f[s] * lift, _TINY), _MOST)
        size[s] = max(math.sqrt(mean[s]) * precision[s], _TINY)
        ratio = mean[s] / size[s]
        log_p = -log(1.0 + ratio) if ratio > 1e-6 else ratio * (0.5 * ratio - 1.0)
        empty[s] = size[s] * log_p


@inner()
def _remember(new: Floats, memory: Floats, f: Floats, surges: Floats) -> None:
    """Remember how far the month surpassed what growth alone would bring."""
    for s in range(len(f)):
        surge = log((new[s] + 0.5) / (f[s] + 0.5))
        surges[s] = memory[s] * surges[s] + (1.0 - memory[s]) * surge


@inner()
def _law(
    law: int, m: float, count: Floats, fitness: Floats, precision: Floats, lower_before: Floats,
    hazard: Floats, growth: Floats, strength: Floats, surges: Floats, f: Floats, mean: Floats,
    size: Floats, empty: Floats,
) -> None:  # fmt: skip
    """Law of the month's count."""
    if law == POISSON:
        _poisson_law(m, fitness, lower_before, growth, mean, empty)
    elif law == BIRTH:
        _birth_law(m, count, hazard, growth, mean, size, empty)
    else:
        _surge_law(m, count, growth, strength, surges, precision, f, mean, size, empty)


# Loops and not assignments of arrays, whose error messages take as long to compile as the law.


@inner()
def _copy(values: Floats, out: Floats) -> None:
    for s in range(len(out)):
        out[s] = values[s]


@inner()
def _fill(value: float, out: Floats) -> None:
    for s in range(len(out)):
        out[s] = value


@inner()
def _add(values: Floats, total: Floats) -> None:
    for s in range(len(total)):
        total[s] += values[s]


def _compiled(sources: int) -> Any:
    """Make `simulate`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def simulate(  # type: ignore[no-untyped-def]
        law, start, log_age, previous, new, m, theta, carry, group, dormancy, months, rng, out
    ):
        """Continue every base model from what was observed, one path for each draw.

        Parameters
        ----------
        law, start, log_age, previous, new, m, theta, carry, group, dormancy
            As in `bayes_hfgrowth.growth.transition.pointwise`. A base model without months starts
            from count 0 at age 0.
        months : int
            How many months to go on.
        rng : numpy.random.Generator
            Source of randomness.
        out : ndarray of int, shape (draws, base models, months)
            Filled with cumulative counts at the end of each further month, at most `CAP`.
        """
        _ = sources
        for i in range(theta.shape[1]):
            age = start[i + 1] - start[i]
            silent = True
            for j in range(start[i], start[i + 1]):
                silent = silent and new[j] == 0.0
            for first in range(0, theta.shape[0], _BLOCK):
                last = min(first + _BLOCK, theta.shape[0])
                work = np.zeros((_ROWS, last - first))
                fitness, immediacy, inverse, precision = work[0], work[1], work[2], work[3]
                z, lower, upper = work[4], work[5], work[6]
                z_before, lower_before, upper_before = work[7], work[8], work[9]
                hazard, growth, surges, f = work[10], work[11], work[12], work[13]
                mean, size, empty, count, fresh = work[14], work[15], work[16], work[17], work[18]
                strength, memory, silence = work[19], work[20], work[21]
                _natural(theta[first:last, i], work[:4])
                _copy(carry[first:last, 0], strength)
                _copy(carry[first:last, 1], memory)
                born(z_before, lower_before, upper_before, surges)
                for j in range(start[i], start[i + 1]):
                    tails(log_age[j], immediacy, inverse, z, lower, upper)
                    attention_growths(
                        z_before, lower_before, upper_before, lower, upper, fitness, hazard, growth
                    )
                    _fill(previous[j], count)
                    _fill(new[j], fresh)
                    _law(
                        law, m, count, fitness, precision, lower_before, hazard, growth, strength,
                        surges, f, mean, size, empty,
                    )  # fmt: skip
                    _add(empty, silence)
                    if law == SURGE:
                        _remember(fresh, memory, f, surges)
                    z, z_before = z_before, z
                    lower, lower_before = lower_before, lower
                    upper, upper_before = upper_before, upper
                    _add(fresh, count)
                # Whoever is dormant never gets a fine-tune; months without any make it likelier.
                asleep = np.zeros(last - first, np.bool_)
                if silent:
                    for s in range(last - first):
                        share = dormancy[first + s, group[i]]
                        awake = (1.0 - share) * math.exp(silence[s])
                        asleep[s] = share > 0.0 and rng.random() * (share + awake) < share
                for k in range(months):
                    tails(math.log(age + k + 1.0), immediacy, inverse, z, lower, upper)
                    attention_growths(
                        z_before, lower_before, upper_before, lower, upper, fitness, hazard, growth
                    )
                    _law(
                        law, m, count, fitness, precision, lower_before, hazard, growth, strength,
                        surges, f, mean, size, empty,
                    )  # fmt: skip
                    for s in range(last - first):
                        x = 0.0
                        if not asleep[s]:
                            if law == POISSON:
                                x = draw_poisson(mean[s], rng)
                            else:
                                x = negative_binomial(mean[s], size[s], empty[s], rng)
                        fresh[s] = x
                        count[s] = min(count[s] + x, CAP)
                        out[first + s, i, k] = np.int64(count[s])
                    if law == SURGE:
                        _remember(fresh, memory, f, surges)
                    z, z_before = z_before, z
                    lower, lower_before = lower_before, lower
                    upper, upper_before = upper_before, upper

    return simulate


simulate = _compiled(
    version_of(elementary.__file__, point_likelihoods.__file__, transition.__file__, __file__)
)
