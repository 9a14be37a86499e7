"""The law month by month under many draws: log densities, means, and counts drawn anew."""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import version_of
from bayes_hfgrowth.growth.law import (
    BIRTH,
    CAP,
    EXPONENT,
    FACTOR,
    HUGE,
    MEMORY,
    POISSON,
    PROBABILITY,
    SIZE,
    STRENGTH,
    SURGE,
    TINY,
    Floats,
    LawDraws,
    Observed,
    attention,
    burst_given,
    burst_lead,
    growth_of,
    log_carried,
    log_density,
    log_odds,
    log_ratio,
    log_vacancy,
    mixed,
    period_at,
    regular_part,
    reinforcement,
    rising,
    scalar,
    size_of,
    tails,
    with_structural_zero,
)

__all__ = [
    "draw_count",
    "draw_poisson",
    "negative_binomial",
    "pointwise",
    "regular_laws",
    "replicate",
]

_FEW = 4.0  # mean of a month up to which its count is drawn by inversion
_SCATTERED = 1e-3  # size as a share of the mean below which that could take very many steps
_MOST = 1e17  # a mean beyond it is drawn as it; the counts stop at CAP long before


@njit(error_model="numpy", nogil=True)
def draw_poisson(mean: float, rng: np.random.Generator) -> float:
    """Draw a Poisson count, at most `CAP`."""
    return CAP if mean >= CAP else float(rng.poisson(mean))


@njit(error_model="numpy", nogil=True)
def negative_binomial(mean: float, size: float, rng: np.random.Generator) -> float:
    """Draw a negative binomial count, at most `CAP`.

    Parameters
    ----------
    mean, size : float
        Its variance is mean + mean² / size.
    rng : numpy.random.Generator
        Source of randomness.
    """
    if mean > _FEW or size < _SCATTERED * mean:
        # A gamma of tiny shape underflows to 0, and its Poisson draw is 0 as it should be.
        return draw_poisson(rng.gamma(size, mean / size) if size > 0.0 else 0.0, rng)
    # Inversion by walking up from 0: most months are empty, and then it is one step.
    left, mass, x = rng.random(), math.exp(size * log_vacancy(mean, size)), 0.0
    odds = mean / (size + mean)
    while left > mass > 0.0:
        left -= mass
        mass *= odds * (size + x) / (x + 1.0)
        x += 1.0
    return x


@njit(error_model="numpy", nogil=True)
def draw_count(
    mean: float,
    size: float,
    probability: float,
    factor: float,
    burst_size: float,
    rng: np.random.Generator,
) -> float:
    """Draw the count of a month that may be a burst."""
    if probability > 0.0 and rng.random() < probability:
        return negative_binomial(min(factor * mean, _MOST), burst_size, rng)
    return negative_binomial(mean, size, rng)


@scalar
def _expected(
    law: int,
    m: float,
    count: float,
    hazard: float,
    fitness: float,
    lower_before: float,
    exponent: float,
    period: float,
) -> float:
    """f, what growth and period alone would bring."""
    if law == POISSON:
        return math.exp(
            min(math.log(m * growth_of(hazard)) + min(fitness * lower_before, 0.5 * HUGE), HUGE)
        )
    size = count + m
    g = reinforcement(hazard, math.log(size), exponent) if law == SURGE else hazard
    return size * growth_of(g) * math.exp(period)


@njit(error_model="numpy")
def _gone_through(
    observed: Observed, draws: LawDraws, density: Any, mean: Floats, size: Floats
) -> None:
    """Go through all months under all draws; of the last three, what has a row per draw is filled.

    Parameters
    ----------
    observed, draws, density, mean, size
        As in `pointwise` and `regular_laws`, which call it.
    """
    law, m, months = observed
    theta, period, group, dormancy = draws.theta, draws.period, draws.group, draws.dormancy
    with_density, with_moments = len(density) > 0, len(mean) > 0
    for d in range(theta.shape[0]):
        row = draws.values[d]
        odds = log_odds(row[PROBABILITY])
        for i in range(theta.shape[1]):
            fitness = math.exp(theta[d, i, 0])
            immediacy = theta[d, i, 1]
            inverse = math.exp(-theta[d, i, 2])
            precision = math.exp(-theta[d, i, 3]) if law == SURGE else 1.0
            z, lower, upper, s, count = -np.inf, 0.0, 1.0, 0.0, 0.0
            dormant = dormancy[d, group[i]]
            for j in range(months.start[i], months.start[i + 1]):
                x = months.new[j]
                z_before, lower_before, upper_before = z, lower, upper
                z = (months.log_age[j] - immediacy) * inverse
                lower, upper = tails(z)
                share = attention(z_before, lower_before, upper_before, lower, upper)
                hazard = max(fitness * share, TINY)
                hazard = hazard if law == SURGE else min(hazard, HUGE)
                effect = period_at(period[d], months.calendar[j], months.share[j])
                before = months.previous[j] if law == BIRTH else count
                f = _expected(law, m, before, hazard, fitness, lower_before, row[EXPONENT], effect)
                centre, scatter, value = f, np.inf, 0.0
                if law == POISSON:
                    value = x * math.log(f) - f
                elif law == BIRTH:
                    scatter = before + m
                    value = -scatter * hazard
                    if x > 0.0:
                        value += x * (math.log(growth_of(hazard)) - hazard)
                else:
                    centre = f * math.exp(log_carried(s, row[STRENGTH]))
                    scatter = size_of(centre, precision)
                    regular = x
                    if with_density or row[PROBABILITY] > 0.0:
                        value = log_density(x, centre, scatter, rising(scatter, x))
                    if row[PROBABILITY] > 0.0:
                        burst = log_density(
                            x, row[FACTOR] * centre, row[SIZE], rising(row[SIZE], x)
                        )
                        lead = burst_lead(value, burst, odds)
                        regular = regular_part(x, centre, burst_given(lead))
                        value += mixed(lead) + math.log1p(-row[PROBABILITY])
                    count += regular
                    s = row[MEMORY] * s + (1.0 - row[MEMORY]) * log_ratio(regular, f)
                if with_density:
                    value += months.constants[j]
                    if dormant > 0.0:
                        value, dormant = with_structural_zero(value, dormant, x)
                    density[d, j] = value
                if with_moments:
                    mean[d, j], size[d, j] = centre, scatter


def _compiled(sources: int) -> Any:
    """Make the functions; Numba's cache on disk tells versions apart by what they close over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def pointwise(observed, draws, out):  # type: ignore[no-untyped-def]
        """Log density of every month under every draw.

        Parameters
        ----------
        observed : Observed
            What was observed.
        draws : LawDraws
            The draws.
        out : ndarray, shape (draws, months)
            Filled with the log densities, each given the months before it.
        """
        _ = sources
        none = np.empty((0, 0))
        _gone_through(observed, draws, out, none, none)

    @njit(error_model="numpy", nogil=True, cache=True)
    def regular_laws(observed, draws, mean, size):  # type: ignore[no-untyped-def]
        """Mean and size of every month's negative binomial, given no burst and no structural zero.

        Parameters
        ----------
        observed, draws
            As in `pointwise`.
        mean, size : ndarray, shape (draws, months)
            Filled, given the months before each one. The variance is mean + mean² / size; the
            size is infinite under ``POISSON``.
        """
        _ = sources
        _gone_through(observed, draws, np.empty((0, 0)), mean, size)

    @njit(error_model="numpy", nogil=True, cache=True)
    def replicate(observed, draws, rng, out):  # type: ignore[no-untyped-def]
        """Draw every observed month anew, given the months that were really observed before it.

        Parameters
        ----------
        observed, draws
            As in `pointwise`.
        rng : numpy.random.Generator
            Source of randomness.
        out : ndarray of int, shape (draws, months)
            Filled with the replicated fine-tunes of each month, at most `CAP`.
        """
        _ = sources
        law, m, months = observed
        theta, period, group, dormancy = draws.theta, draws.period, draws.group, draws.dormancy
        for d in range(theta.shape[0]):
            row = draws.values[d]
            odds = log_odds(row[PROBABILITY])
            for i in range(theta.shape[1]):
                fitness = math.exp(theta[d, i, 0])
                immediacy = theta[d, i, 1]
                inverse = math.exp(-theta[d, i, 2])
                precision = math.exp(-theta[d, i, 3]) if law == SURGE else 1.0
                z, lower, upper, s, count = -np.inf, 0.0, 1.0, 0.0, 0.0
                dormant = dormancy[d, group[i]]
                for j in range(months.start[i], months.start[i + 1]):
                    x = months.new[j]
                    z_before, lower_before, upper_before = z, lower, upper
                    z = (months.log_age[j] - immediacy) * inverse
                    lower, upper = tails(z)
                    share = attention(z_before, lower_before, upper_before, lower, upper)
                    hazard = max(fitness * share, TINY)
                    hazard = hazard if law == SURGE else min(hazard, HUGE)
                    effect = period_at(period[d], months.calendar[j], months.share[j])
                    before = months.previous[j] if law == BIRTH else count
                    f = _expected(
                        law, m, before, hazard, fitness, lower_before, row[EXPONENT], effect
                    )
                    never = dormant > 0.0 and rng.random() < dormant
                    drawn = 0.0
                    if law == POISSON:
                        empty = -f
                        if not never:
                            drawn = draw_poisson(min(f, _MOST), rng)
                    elif law == BIRTH:
                        empty = -(before + m) * hazard
                        if not never:
                            drawn = negative_binomial(min(f, _MOST), before + m, rng)
                    else:
                        mean = f * math.exp(log_carried(s, row[STRENGTH]))
                        size = size_of(mean, precision)
                        empty = size * log_vacancy(mean, size)
                        if not never:
                            drawn = draw_count(
                                min(mean, _MOST),
                                size_of(min(mean, _MOST), precision),
                                row[PROBABILITY],
                                row[FACTOR],
                                row[SIZE],
                                rng,
                            )
                        regular = x
                        if row[PROBABILITY] > 0.0:
                            bursts = row[FACTOR] * mean
                            value = log_density(x, mean, size, rising(size, x))
                            burst = log_density(x, bursts, row[SIZE], rising(row[SIZE], x))
                            lead = burst_lead(value, burst, odds)
                            regular = regular_part(x, mean, burst_given(lead))
                            vacant = row[SIZE] * log_vacancy(bursts, row[SIZE])
                            lead = burst_lead(empty, vacant, odds)
                            empty += mixed(lead) + math.log1p(-row[PROBABILITY])
                        count += regular
                        s = row[MEMORY] * s + (1.0 - row[MEMORY]) * log_ratio(regular, f)
                    out[d, j] = np.int64(min(drawn, CAP))
                    if dormant > 0.0:
                        dormant = with_structural_zero(empty, dormant, x)[1]

    return pointwise, regular_laws, replicate


pointwise, regular_laws, replicate = _compiled(
    version_of(elementary.__file__, formulas.__file__, __file__)
)
