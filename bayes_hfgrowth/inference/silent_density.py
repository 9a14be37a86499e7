"""Log density of base models without fine-tunes, with its gradient.

`bayes_hfgrowth.inference.silent` says what it sums over.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.elementary import exp, expm1, inner, log, mills
from bayes_hfgrowth.growth.gradient import possible
from bayes_hfgrowth.growth.transition import BIRTH, POISSON, Floats, Integers

__all__ = ["log_density_silent"]

_DENSITY_0 = 1.0 / math.sqrt(2.0 * math.pi)
_TINY = 1e-300
_HUGE = 600.0  # exp of it is still a float, with room for the counts
_LEAST = -690.0  # exp of it is still a float above 0

_ROWS = 30  # of the working space, which has a column for each node


# The loops are short ones over few arrays each: only such are turned into vector instructions.


@inner()
def _place(
    mean: Floats, spreads: Floats, points: Floats, weights: Floats, fitness: Floats,
    immediacy: Floats, inverse: Floats, precision: Floats, weight: Floats,
) -> None:  # fmt: skip
    """Put the nodes where the population is; impossible ones weigh nothing."""
    size, number = points.shape
    theta = np.zeros(4)
    for j in range(number):
        for k in range(size):
            theta[k] = mean[k] + spreads[k] * points[k, j]
        fitness[j] = inverse[j] = precision[j] = 1.0
        immediacy[j] = weight[j] = 0.0
        if possible(theta):
            fitness[j], immediacy[j] = math.exp(theta[0]), theta[1]
            inverse[j], precision[j] = math.exp(-theta[2]), math.exp(-theta[3])
            weight[j] = weights[j]


@inner()
def _normal(
    log_age: float, immediacy: Floats, inverse: Floats, z: Floats, lower: Floats, upper: Floats,
    density: Floats,
) -> None:  # fmt: skip
    """Standardised log age, both tails of the normal there, and its density."""
    for j in range(len(z)):
        x = (log_age - immediacy[j]) * inverse[j]
        size = abs(x)
        curve = exp(-0.5 * min(size * size, 1400.0))
        tail = curve * mills(size)
        z[j], density[j] = x, _DENSITY_0 * curve
        lower[j] = 1.0 - tail if x > 0.0 else tail
        upper[j] = tail if x > 0.0 else 1.0 - tail


@inner()
def _hazards(
    z_before: Floats, lower_before: Floats, upper_before: Floats, lower: Floats, upper: Floats,
    fitness: Floats, hazard: Floats,
) -> None:  # fmt: skip
    """Fitness times the attention of the month, from the tails that are small."""
    for j in range(len(hazard)):
        late = upper_before[j] - upper[j]
        share = late if z_before[j] > 0.0 else lower[j] - lower_before[j]
        hazard[j] = max(fitness[j] * max(share, _TINY), _TINY)


@inner()
def _growths(
    hazard: Floats, fitness: Floats, growth: Floats, by_fitness: Floats, by_share: Floats
) -> None:
    """exp(hazard) - 1, and the slopes of its logarithm by ln fitness and by attention."""
    for j in range(len(hazard)):
        now = max(expm1(min(hazard[j], _HUGE)), _TINY)
        ratio = (now + 1.0) / now
        growth[j] = now
        by_fitness[j] = hazard[j] * ratio
        by_share[j] = fitness[j] * ratio


@inner()
def _chain(
    density: Floats, factor: Floats, by_share: Floats, lower_before: Floats, slope: Floats
) -> None:
    """Slope of ln growth by a parameter that changes z by -factor."""
    for j in range(len(slope)):
        now = -density[j] * factor[j]
        slope[j] = by_share[j] * (now - lower_before[j])
        lower_before[j] = now


@inner()
def _poisson_means(m: float, growth: Floats, fitness: Floats, lower: Floats, mean: Floats) -> None:
    """Means of the month under `POISSON`, where the curve grows by itself."""
    for j in range(len(mean)):
        mean[j] = m * growth[j] * exp(min(fitness[j] * lower[j], 0.5 * _HUGE))


@inner()
def _poisson_law(
    fitness: Floats, lower: Floats, lower_1: Floats, lower_2: Floats, d0: Floats, value: Floats,
    slope_0: Floats, slope_1: Floats, slope_2: Floats, by: Floats,
) -> None:  # fmt: skip
    """Add the log probability of no fine-tune; `by` has the mean, and gets the slope by its ln."""
    for j in range(len(value)):
        value[j] -= by[j]
        slope_0[j] -= by[j] * (d0[j] + fitness[j] * lower[j])
        slope_1[j] -= by[j] * fitness[j] * lower_1[j]
        slope_2[j] -= by[j] * fitness[j] * lower_2[j]
        by[j] = -by[j]


@inner()
def _birth_law(m: float, hazard: Floats, growth: Floats, value: Floats, by: Floats) -> None:
    """Add the log probability of no fine-tune; its slope by ln growth."""
    for j in range(len(value)):
        value[j] -= m * hazard[j]
        by[j] = -m * growth[j] / (growth[j] + 1.0)


@inner()
def _scale(factor: float, by: Floats) -> None:
    for j in range(len(by)):
        by[j] *= factor


@inner()
def _born(z_before: Floats, upper_before: Floats) -> None:
    """What there is before the first month."""
    for j in range(len(z_before)):
        z_before[j], upper_before[j] = -np.inf, 1.0


@inner()
def _add(by: Floats, slope: Floats, total: Floats) -> None:
    """Add the month to the sum over months."""
    for j in range(len(total)):
        total[j] += by[j] * slope[j]


@inner()
def _surge_means(
    m: float, strength: float, growth: Floats, s: Floats, f: Floats, mean: Floats
) -> None:
    """What growth alone would bring, f, and the mean of the month under `SURGE`."""
    highest = 0.0 if strength > 0.0 else _HUGE
    for j in range(len(mean)):
        f[j] = m * growth[j]
        mean[j] = f[j] * exp(min(max(strength * s[j], -_HUGE), highest))


@inner()
def _surge_law(
    mean: Floats, precision: Floats, value: Floats, by_mean: Floats, by_dispersion: Floats
) -> None:
    """Add the log probability of no fine-tune; its slopes by the ln of mean and dispersion."""
    for j in range(len(mean)):
        r = math.sqrt(mean[j]) * precision[j]
        ratio = mean[j] / r
        log_p = -log(1.0 + ratio) if ratio > 1e-6 else ratio * (0.5 * ratio - 1.0)
        share = mean[j] / (r + mean[j])
        by_size = r * (log_p + share)
        value[j] += r * log_p
        by_mean[j] = 0.5 * by_size - r * share
        by_dispersion[j] -= by_size


@inner()
def _surge_slopes(by: Floats, slope: Floats, strength: float, s: Floats, total: Floats) -> None:
    """Add the slope by a growth parameter, remembered surges included."""
    for j in range(len(total)):
        total[j] += by[j] * (slope[j] + strength * s[j])


@inner()
def _remember(memory: float, f: Floats, s: Floats, s_memory: Floats, weight: Floats) -> None:
    """Remember that the month was empty; the slope of its surge by the ln of f."""
    for j in range(len(f)):
        surge = -log(2.0 * f[j] + 1.0)  # ln((0 + 1/2) / (f + 1/2))
        s_memory[j] = memory * s_memory[j] + s[j] - surge
        s[j] = memory * s[j] + (1.0 - memory) * surge
        weight[j] = -(1.0 - memory) * f[j] / (f[j] + 0.5)


@inner()
def _remember_slope(memory: float, weight: Floats, slope: Floats, s: Floats) -> None:
    for j in range(len(s)):
        s[j] = memory * s[j] + weight[j] * slope[j]


@inner(fastmath={"reassoc", "contract"})
def _expectation(
    points: Floats, spreads: Floats, weight: Floats, value: Floats, slopes: Floats,
    empty: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Fill `sums` with Z and its slopes by mean, ln spreads, strength and memory."""
    size, number = points.shape
    total = 0.0
    for j in range(number):
        empty[j] = weight[j] * exp(max(value[j], _LEAST))
        total += empty[j]
    sums[0] = total
    for k in range(size):
        first = second = 0.0
        for j in range(number):
            slope = empty[j] * slopes[k, j]
            first += slope
            second += slope * points[k, j]
        sums[1 + k], sums[1 + size + k] = first, second * spreads[k]
    for i in range(2):
        by = 0.0
        for j in range(number):
            by += empty[j] * slopes[4 + i, j]
        sums[1 + 2 * size + i] = by


@inner()
def _fill(
    law: int, m: float, carry: Floats, ages: Integers, mean: Floats, spreads: Floats,
    points: Floats, weights: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Fill `sums` with Z and its slopes at each age.

    Parameters
    ----------
    law, m, carry
        As in `log_density_silent`.
    ages : ndarray of int, shape (ages,)
        Ages in months, in ascending order.
    mean, spreads : ndarray, shape (parameters,)
        The organization's population.
    points : ndarray, shape (parameters, nodes)
    weights : ndarray, shape (nodes,)
        Of `bayes_hfgrowth.inference.silent.Nodes`.
    sums : ndarray, shape (ages, 3 + 2 * parameters)
    """
    work = np.zeros((_ROWS, points.shape[1]))
    fitness, immediacy, inverse, precision, weight = work[0], work[1], work[2], work[3], work[4]
    _place(mean, spreads, points, weights, fitness, immediacy, inverse, precision, weight)
    z, lower, upper, density = work[5], work[6], work[7], work[8]
    z_before, lower_before, upper_before = work[9], work[10], work[11]
    lower_1, lower_2, hazard, growth, by_share = work[12], work[13], work[14], work[15], work[16]
    d0, d1, d2, by, f = work[17], work[18], work[19], work[20], work[21]
    value, slopes = work[22], work[23:29]
    s = np.zeros((5, points.shape[1]))  # remembered surges, their slopes by theta and by memory
    _born(z_before, upper_before)
    at = 0
    for month in range(1, ages[-1] + 1):
        _normal(math.log(month), immediacy, inverse, z, lower, upper, density)
        _hazards(z_before, lower_before, upper_before, lower, upper, fitness, hazard)
        _growths(hazard, fitness, growth, d0, by_share)
        if law == POISSON:
            _poisson_means(m, growth, fitness, lower_before, by)
            _poisson_law(
                fitness, lower_before, lower_1, lower_2, d0, value, slopes[0], slopes[1],
                slopes[2], by,
            )  # fmt: skip
        _chain(density, inverse, by_share, lower_1, d1)
        _chain(density, z, by_share, lower_2, d2)
        if law == POISSON:
            _add(by, d1, slopes[1])
            _add(by, d2, slopes[2])
        elif law == BIRTH:
            _birth_law(m, hazard, growth, value, by)
            _add(by, d0, slopes[0])
            _add(by, d1, slopes[1])
            _add(by, d2, slopes[2])
        else:
            strength, memory = carry[0], carry[1]
            _surge_means(m, strength, growth, s[0], f, hazard)
            _surge_law(hazard, precision, value, by, slopes[3])
            _add(by, s[0], slopes[4])
            _surge_slopes(by, d0, strength, s[1], slopes[0])
            _surge_slopes(by, d1, strength, s[2], slopes[1])
            _surge_slopes(by, d2, strength, s[3], slopes[2])
            _scale(strength, by)
            _add(by, s[4], slopes[5])
            _remember(memory, f, s[0], s[4], by)
            _remember_slope(memory, by, d0, s[1])
            _remember_slope(memory, by, d1, s[2])
            _remember_slope(memory, by, d2, s[3])
        z, z_before = z_before, z
        lower, lower_before = lower_before, lower
        upper, upper_before = upper_before, upper
        if month == ages[at]:
            _expectation(points, spreads, weight, value, slopes, by, sums[at])
            at += 1


@njit(error_model="numpy")
def log_density_silent(
    law: int,
    means: Floats,
    log_spreads: Floats,
    carry: Floats,
    logit_dormancy: Floats,
    ages: Integers,
    number: Floats,
    start: Integers,
    points: Floats,
    weights: Floats,
    m: float,
    by_means: Floats,
    by_log_spreads: Floats,
    by_carry: Floats,
    by_logit_dormancy: Floats,
) -> float:
    """Log density of all silent base models; adds its gradient to what the last four hold.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.growth.transition`.
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters.
    log_spreads : ndarray, shape (parameters,)
        ln of the standard deviations of base models within their organization.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    logit_dormancy : ndarray, shape (organizations,)
        Logit of the share of dormant base models; -inf where there is none.
    ages, number : ndarray
        From `bayes_hfgrowth.inference.silent.SilentGroups`.
    start, points, weights : ndarray
        From `bayes_hfgrowth.inference.silent.Nodes`.
    m : float
        The constant m of the curve.
    by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Gradients, in the shapes of what they belong to.
    """
    spreads = np.exp(log_spreads)
    size, width = len(spreads), number.shape[1]
    sums = np.empty((width, 3 + 2 * size))
    total = 0.0
    for o in range(len(number)):
        first, last = start[o], start[o + 1]
        if first == last:
            continue
        have = 0
        while have < width and number[o, have] > 0.0:
            have += 1
        _fill(
            law, m, carry, ages[o, :have], means[o], spreads, points[:, first:last],
            weights[first:last], sums,
        )  # fmt: skip
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[o]))
        for a in range(have):
            row = sums[a]
            mixed = dormant + (1.0 - dormant) * row[0]
            total += number[o, a] * math.log(mixed)
            factor = number[o, a] * (1.0 - dormant) / mixed
            by_logit_dormancy[o] += factor * dormant * (1.0 - row[0])
            for k in range(size):
                by_means[o, k] += factor * row[1 + k]
                by_log_spreads[k] += factor * row[1 + size + k]
            by_carry[0] += factor * row[1 + 2 * size]
            by_carry[1] += factor * row[2 + 2 * size]
    return total
