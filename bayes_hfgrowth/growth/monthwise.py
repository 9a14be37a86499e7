"""The law month by month under many draws: log densities, means, and counts drawn anew."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

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


class MonthLaws(NamedTuple):
    """What one draw says of every month, given the months before it.

    Parameters
    ----------
    density : ndarray, shape (months,)
        Log density of its count.
    mean, size : ndarray, shape (months,)
        Of its negative binomial, were it neither burst nor structural zero. The variance is
        mean + mean² / size; the size is infinite under ``POISSON``.
    dormant : ndarray, shape (months,)
        Probability before it that the base model is a structural zero.
    """

    density: Floats
    mean: Floats
    size: Floats
    dormant: Floats


@njit(error_model="numpy")
def _month_laws_for(months: int) -> MonthLaws:
    return MonthLaws(np.empty(months), np.empty(months), np.empty(months), np.empty(months))


@njit(error_model="numpy")
def _go_through(
    observed: Observed, draws: LawDraws, d: int, with_density: bool, out: MonthLaws
) -> None:
    """Go through all months under draw d; the density, and what follows of it, if asked for."""
    law, m, months = observed
    theta, period, row = draws.theta, draws.period, draws.values[d]
    odds = log_odds(row[PROBABILITY])
    for i in range(theta.shape[1]):
        fitness = math.exp(theta[d, i, 0])
        immediacy = theta[d, i, 1]
        inverse = math.exp(-theta[d, i, 2])
        precision = math.exp(-theta[d, i, 3]) if law == SURGE else 1.0
        z, lower, upper, s, count = -np.inf, 0.0, 1.0, 0.0, 0.0
        dormant = draws.dormancy[d, draws.group[i]]
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
            mean, size, value = f, np.inf, 0.0
            if law == POISSON:
                value = x * math.log(f) - f
            elif law == BIRTH:
                size = before + m
                value = -size * hazard
                if x > 0.0:
                    value += x * (math.log(growth_of(hazard)) - hazard)
            else:
                mean = f * math.exp(log_carried(s, row[STRENGTH]))
                size = size_of(mean, precision)
                regular = x
                if with_density or row[PROBABILITY] > 0.0:
                    value = log_density(x, mean, size, rising(size, x))
                if row[PROBABILITY] > 0.0:
                    burst = log_density(x, row[FACTOR] * mean, row[SIZE], rising(row[SIZE], x))
                    lead = burst_lead(value, burst, odds)
                    regular = regular_part(x, mean, burst_given(lead))
                    value += mixed(lead) + math.log1p(-row[PROBABILITY])
                count += regular
                s = row[MEMORY] * s + (1.0 - row[MEMORY]) * log_ratio(regular, f)
            out.mean[j], out.size[j], out.dormant[j] = mean, size, dormant
            if with_density:
                value += months.constants[j]
                if dormant > 0.0:
                    value, dormant = with_structural_zero(value, dormant, x)
                out.density[j] = value


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
        found = _month_laws_for(out.shape[1])
        for d in range(len(out)):
            _go_through(observed, draws, d, True, found)
            for j in range(out.shape[1]):
                out[d, j] = found.density[j]

    @njit(error_model="numpy", nogil=True, cache=True)
    def regular_laws(observed, draws, mean, size):  # type: ignore[no-untyped-def]
        """Mean and size of every month's negative binomial, given no burst and no structural zero.

        Parameters
        ----------
        observed, draws
            As in `pointwise`.
        mean, size : ndarray, shape (draws, months)
            Filled, as in `MonthLaws`.
        """
        _ = sources
        found = _month_laws_for(mean.shape[1])
        for d in range(len(mean)):
            _go_through(observed, draws, d, False, found)
            mean[d], size[d] = found.mean, found.size

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
        law, start = observed.law, observed.months.start
        found = _month_laws_for(out.shape[1])
        for d in range(len(out)):
            row = draws.values[d]
            _go_through(observed, draws, d, True, found)
            for i in range(draws.theta.shape[1]):
                precision = math.exp(-draws.theta[d, i, 3]) if law == SURGE else 1.0
                for j in range(start[i], start[i + 1]):
                    mean, drawn = min(found.mean[j], _MOST), 0.0
                    never = found.dormant[j] > 0.0 and rng.random() < found.dormant[j]
                    if not never:
                        if law == POISSON:
                            drawn = draw_poisson(mean, rng)
                        else:  # without bursts under BIRTH
                            size = found.size[j] if law == BIRTH else size_of(mean, precision)
                            drawn = draw_count(
                                mean, size, row[PROBABILITY], row[FACTOR], row[SIZE], rng
                            )
                    out[d, j] = np.int64(min(drawn, CAP))

    return pointwise, regular_laws, replicate


pointwise, regular_laws, replicate = _compiled(version_of(__file__))
