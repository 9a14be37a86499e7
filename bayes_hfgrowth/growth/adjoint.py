"""The law with its derivatives: each base model's months forwards, then back in reverse.

The formulas are those of `bayes_hfgrowth.growth.law`; tests hold value and derivatives against
it. What a month leaves behind, its regular part and how far it surpassed expectation, goes into
the months that follow, so derivatives are gathered from the last month to the first.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth.elementary import exp, inner, version_of
from bayes_hfgrowth.growth.law import (
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
    WIDEST,
    Floats,
    Months,
    attention,
    burst_given,
    burst_lead,
    growth_of,
    log1p_ratio,
    log_carried,
    log_density,
    log_odds,
    log_ratio,
    log_vacancy,
    mixed,
    period_at,
    regular_part,
    size_of,
    tails,
)

__all__ = ["SCRATCH", "gradient", "gradients", "possible"]

SCRATCH = 20
"""Columns of the working space of `gradient`, one row for each month of a base model."""

_DENSITY_0 = 1.0 / math.sqrt(2.0 * math.pi)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better
_SERIES = 1e-4  # below it the derivative by the exponent is a series


@njit(error_model="numpy")
def possible(theta: Floats) -> bool:
    """Whether growth parameters can be worked with; those that are not a number cannot."""
    fine = True
    for value in theta:
        fine &= abs(value) <= WIDEST
    return fine


@inner()
def _log_gamma(x: float) -> tuple[float, float]:
    """Ln Γ(x) and its derivative, by Stirling's series from 8 on."""
    product, sums = 1.0, 0.0
    while x < 8.0:
        product *= x
        sums += 1.0 / x
        x += 1.0
    i = 1.0 / x
    i2 = i * i
    log_x = math.log(x)
    series = i * (1 / 12.0 - i2 * (1 / 360.0 - i2 * (1 / 1260.0 - i2 * (1 / 1680.0 - i2 / 1188.0))))
    value = (x - 0.5) * log_x - x + _HALF_LOG_2PI + series - math.log(product)
    slope = i2 * (1 / 12.0 - i2 * (1 / 120.0 - i2 * (1 / 252.0 - i2 * (1 / 240.0 - i2 / 132.0))))
    return value, log_x - 0.5 * i - slope - sums


@inner()
def _rising(size: float, new: float) -> tuple[float, float]:
    """`bayes_hfgrowth.growth.law.rising`, and its derivative in the size."""
    if new <= 0.0:
        return 0.0, 0.0
    if size > _LARGE:
        second = 0.5 * new * (new - 1.0) / size
        return new * math.log(size) + second, (new - second) / size
    if new <= 12.0:
        product, derivative = 1.0, 0.0
        for j in range(int(new)):
            product *= size + j
            derivative += 1.0 / (size + j)
        return math.log(product), derivative
    top, by_top = _log_gamma(new + size)
    bottom, by_bottom = _log_gamma(size)
    return top - bottom, by_top - by_bottom


@inner()
def _by_mean_and_size(
    new: float, mean: float, size: float, by_gammas: float
) -> tuple[float, float]:
    """Derivatives of a negative binomial's log density by ln mean and ln size."""
    spread = size + mean
    by_mean = new - (new + size) * mean / spread
    by_size = size * (by_gammas + log_vacancy(mean, size) + (mean - new) / spread)
    return by_mean, by_size


@inner()
def _by_exponent(u: float, less: float) -> float:
    """Derivative of ln(1 + less · u) / less by `less`, u being held."""
    y = less * u
    if y < _SERIES:
        return -u * u * (1 / 2.0 - y * (2 / 3.0 - y * (3 / 4.0 - y * 4 / 5.0)))
    return (u / (1.0 + y) - u * log1p_ratio(y)) / less


@njit(error_model="numpy")
def gradient(
    law: int, i: int, months: Months, m: float, theta: Floats, shared: Floats, period: Floats,
    by_theta: Floats, by_shared: Floats, by_period: Floats, scratch: Floats,
) -> float:  # fmt: skip
    """Log density of one base model's months if it is not dormant, and its gradient.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    i : int
        Which base model.
    months : Months
        The months of all.
    m : float
        The constant m of the curve.
    theta : ndarray, shape (3 or 4,)
        Ln fitness, immediacy, ln longevity, and under ``SURGE`` ln dispersion.
    shared : ndarray, shape (SHARED,)
        Parameters that all base models share.
    period : ndarray, shape (calendar months,)
        Period effects.
    by_theta, by_shared, by_period : ndarray
        Get the derivatives; `by_theta` is overwritten, the others are added to.
    scratch : ndarray, shape (at least the months, SCRATCH)
        Working space.

    Returns
    -------
    float
        -inf where the growth or the mean of a month overflows, or a growth parameter is not a
        number or beyond 300; then the derivatives are left alone but for `by_theta`, which is 0.
    """
    by_theta[:] = 0.0
    if not possible(theta):
        return -np.inf
    fitness, inverse = math.exp(theta[0]), math.exp(-theta[2])
    precision = math.exp(-theta[3]) if law == SURGE else 1.0
    strength, memory = shared[STRENGTH], shared[MEMORY]
    less = 1.0 - shared[EXPONENT]
    probability = shared[PROBABILITY]
    odds = log_odds(probability)
    first, last = months.start[i], months.start[i + 1]
    z, lower, upper, s, count, total = -np.inf, 0.0, 1.0, 0.0, 0.0, 0.0
    for j in range(first, last):
        row, x = scratch[j - first], months.new[j]
        z_before, lower_before, upper_before = z, lower, upper
        z = (months.log_age[j] - theta[1]) * inverse
        lower, upper = tails(z)
        share = attention(z_before, lower_before, upper_before, lower, upper)
        hazard = max(fitness * share, TINY)
        row[0], row[1], row[2], row[3] = z, lower_before, share, hazard
        total += months.constants[j]
        if law != SURGE:
            if hazard > HUGE:
                return -np.inf
            growth = growth_of(hazard)
            ratio = (growth + 1.0) / growth
            if law == POISSON:
                log_f = math.log(m * growth) + fitness * lower_before
                mean = math.exp(min(log_f, HUGE))
                total += x * log_f - mean
                row[4], row[5] = (x - mean) * ratio, x - mean
            else:
                before = months.previous[j] + m
                total -= before * hazard
                row[4] = -before
                if x > 0.0:
                    total += x * (math.log(growth) - hazard)
                    row[4] += x / growth
            continue
        log_count = math.log(count + m)
        u = hazard * exp(-less * log_count)
        g = u * log1p_ratio(less * u)
        growth = growth_of(g)
        f = (count + m) * growth * math.exp(period_at(period, months.calendar[j], months.share[j]))
        carried = log_carried(s, strength)
        mean = f * exp(carried)
        if g > HUGE or not mean < 1e260:
            return -np.inf
        size = size_of(mean, precision)
        gammas, by_gammas = _rising(size, x)
        value = log_density(x, mean, size, gammas)
        row[4], row[5], row[6], row[7] = log_count, u, growth, f
        row[8], row[9], row[10], row[11] = s, mean, size, count
        row[12], row[13] = _by_mean_and_size(x, mean, size, by_gammas)
        regular = x
        if probability > 0.0:
            bursts = shared[FACTOR] * mean
            gammas, by_gammas = _rising(shared[SIZE], x)
            burst = log_density(x, bursts, shared[SIZE], gammas)
            lead = burst_lead(value, burst, odds)
            row[14] = burst_given(lead)
            row[15], row[16] = _by_mean_and_size(x, bursts, shared[SIZE], by_gammas)
            regular = regular_part(x, mean, row[14])
            value += mixed(lead) + math.log1p(-probability)
        row[17] = regular
        row[18] = log_ratio(regular, f)
        total += value
        count += regular
        s = memory * s + (1.0 - memory) * row[18]
    if not math.isfinite(total):
        return -np.inf
    _back(law, first, last, months, m, theta, shared, by_theta, by_shared, by_period, scratch)
    return total


@inner()
def _back(
    law: int, first: int, last: int, months: Months, m: float, theta: Floats, shared: Floats,
    by_theta: Floats, by_shared: Floats, by_period: Floats, scratch: Floats,
) -> None:  # fmt: skip
    """From the last month to the first."""
    fitness, inverse = math.exp(theta[0]), math.exp(-theta[2])
    strength, memory = shared[STRENGTH], shared[MEMORY]
    less = 1.0 - shared[EXPONENT]
    probability = shared[PROBABILITY]
    by_s = by_count = 0.0
    for j in range(last - 1, first - 1, -1):
        row, x = scratch[j - first], months.new[j]
        z, lower_before, share, hazard = row[0], row[1], row[2], row[3]
        by_lower = 0.0  # of the attention before the month, besides its share
        if law == SURGE:
            f, s, mean, regular = row[7], row[8], row[9], row[17]
            by_regular = by_count + by_s * (1.0 - memory) / (regular + 0.5)
            by_log_f = -by_s * (1.0 - memory) * f / (f + 0.5)
            by_shared[MEMORY] += by_s * (s - row[18])
            by_s *= memory
            by_regular_law, by_log_mean = 1.0, 0.0
            if probability > 0.0:
                p = row[14]
                by_p = 0.0
                if x > mean:
                    by_p = by_regular * (mean - x) * p * (1.0 - p)
                    by_log_mean += by_regular * p * mean
                by_burst_law = p + by_p
                by_regular_law = 1.0 - p - by_p
                by_log_mean += by_burst_law * row[15]
                by_shared[FACTOR] += by_burst_law * row[15] / shared[FACTOR]
                by_shared[SIZE] += by_burst_law * row[16] / shared[SIZE]
                by_shared[PROBABILITY] += (p - probability + by_p) / (
                    probability * (1.0 - probability)
                )
            by_log_mean += by_regular_law * (row[12] + 0.5 * row[13])
            by_theta[3] -= by_regular_law * row[13]
            by_shared[STRENGTH] += by_log_mean * s
            by_s += strength * by_log_mean
            by_log_f += by_log_mean
            by_period[months.calendar[j]] += by_log_f * months.share[j]
            if months.share[j] < 1.0:
                by_period[months.calendar[j] + 1] += by_log_f * (1.0 - months.share[j])
            by_log_count = by_log_f
            growth, u = row[6], row[5]
            by_g = by_log_f * (growth + 1.0) / growth
            by_log_u = by_g * u / (1.0 + less * u)
            by_shared[EXPONENT] -= by_g * _by_exponent(u, less) - by_log_u * row[4]
            by_log_count -= less * by_log_u
            by_count += by_log_count / (row[11] + m)
            by_log_hazard = by_log_u
        else:
            by_log_hazard = row[4] * hazard
            if law == POISSON:
                by_theta[0] += row[5] * fitness * lower_before
                by_lower = row[5] * fitness
        by_theta[0] += by_log_hazard
        by_share = by_log_hazard / share
        density = _DENSITY_0 * exp(-0.5 * min(z * z, 1400.0))
        by_theta[1] -= by_share * density * inverse
        by_theta[2] -= by_share * density * z
        if j > first:
            z = scratch[j - first - 1, 0]
            density = _DENSITY_0 * exp(-0.5 * min(z * z, 1400.0))
            by_theta[1] += (by_share - by_lower) * density * inverse
            by_theta[2] += (by_share - by_lower) * density * z


def _compiled(sources: int) -> Any:
    """Make `gradients`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def gradients(  # type: ignore[no-untyped-def]
        law, months, m, theta, shared, period, value, by_theta, by_shared, by_period
    ):
        """Log density of every base model's months if it is not dormant, and its gradient.

        Parameters are those of `gradient`, but for a row of each base model in `theta`, `value`,
        `by_theta`, `by_shared` and `by_period`, all of which are overwritten.
        """
        _ = sources
        longest = 1
        for i in range(len(theta)):
            longest = max(longest, months.start[i + 1] - months.start[i])
        scratch = np.empty((longest, SCRATCH))
        by_shared[:] = 0.0
        by_period[:] = 0.0
        for i in range(len(theta)):
            value[i] = gradient(
                law, i, months, m, theta[i], shared, period, by_theta[i], by_shared[i],
                by_period[i], scratch,
            )  # fmt: skip

    return gradients


gradients = _compiled(version_of(elementary.__file__, formulas.__file__, __file__))
