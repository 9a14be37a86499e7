"""Log density of base models without fine-tunes, with gradient; see `bayes_hfgrowth.silent`."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bayes_hfgrowth.elementary import exp
from bayes_hfgrowth.gradient import BATCH, WORK, gradient
from bayes_hfgrowth.transition import Floats, Integers

__all__ = ["log_density_silent"]

_LEAST = -690.0  # exp of it is still a float above 0


@njit(error_model="numpy")
def _moving_sums(
    law: int, m: float, carry: Floats, ages: Integers, mean: Floats, spreads: Floats,
    points: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Fill `sums` with Z and its slopes by mean, ln spreads and carry-over, at moving nodes.

    Parameters
    ----------
    law, m, carry
        As in `log_density_silent`.
    ages : ndarray of int, shape (ages,)
        Ages in months.
    mean, spreads : ndarray, shape (parameters,)
        The organization's population.
    points : ndarray, shape (parameters, nodes)
        Standard normal.
    sums : ndarray, shape (ages, 3 + 2 * parameters)
    """
    size, number = points.shape
    oldest = int(ages.max())
    together = max(1, BATCH // oldest)  # nodes in one batch
    log_ages = np.empty(together * oldest)
    for j in range(together * oldest):
        log_ages[j] = math.log(1.0 + j % oldest)
    nothing = np.zeros(together * oldest)
    trace, work = np.empty((together * oldest, 7)), np.empty((WORK, together * oldest))
    theta, values, slopes = np.zeros((together, 4)), np.empty(together), np.empty((together, 6))
    sums[:] = 0.0
    for first in range(0, number, together):
        some = min(together, number - first)
        begin = np.arange(some + 1) * oldest
        for b in range(some):
            for k in range(size):
                theta[b, k] = mean[k] + spreads[k] * points[k, first + b]
        trace[:, 1:] = 0.0
        trace[:, 0] = -np.inf  # stays so where the growth overflows
        gradient(
            law, begin, log_ages, nothing, nothing, nothing, m, theta[:, :size], carry[0],
            carry[1], values, slopes, trace, work,
        )  # fmt: skip
        for b in range(some):
            for a in range(len(ages)):
                row = trace[b * oldest + ages[a] - 1]
                empty = math.exp(max(row[0], _LEAST)) / number
                sums[a, 0] += empty
                for k in range(size):
                    slope = empty * row[1 + k]
                    sums[a, 1 + k] += slope
                    sums[a, 1 + size + k] += slope * spreads[k] * points[k, first + b]
                sums[a, 1 + 2 * size] += empty * row[5]
                sums[a, 2 + 2 * size] += empty * row[6]


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _weigh(
    theta: Floats, log_density: Floats, mean: Floats, spreads: Floats, weight: Floats
) -> None:
    """Fill `weight` with the importance weights of nodes under a population; they add up to 1."""
    number = len(weight)
    for j in range(number):
        weight[j] = -log_density[j]
    for k in range(len(mean)):
        centre, inverse = mean[k], 1.0 / spreads[k]
        for j in range(number):
            z = (theta[k, j] - centre) * inverse
            weight[j] -= 0.5 * z * z
    peak = weight.max()
    total = 0.0
    for j in range(number):
        weight[j] = exp(max(weight[j] - peak, _LEAST))
        total += weight[j]
    inverse = 1.0 / total
    for j in range(number):
        weight[j] *= inverse


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _weighted_sums(weight: Floats, table: npt.NDArray[Any], sums: Floats) -> None:
    """Fill `sums` with the weighted sum of each column."""
    sums[:] = 0.0
    for j in range(len(weight)):
        w = weight[j]
        for a in range(len(sums)):
            sums[a] += w * table[j, a]


@njit(error_model="numpy", fastmath={"reassoc", "contract"})
def _add_slopes(
    theta: Floats,
    mean: Floats,
    spreads: Floats,
    weight: Floats,
    empty: npt.NDArray[Any],
    factor: Floats,
    by_mean: Floats,
    by_log_spreads: Floats,
) -> None:
    """Add the derivatives by the population of the sum of factor · Z over ages; spoil `weight`."""
    number = len(weight)
    rest = np.empty(number)
    whole = 0.0
    for j in range(number):
        found = 0.0
        for a in range(len(factor)):
            found += factor[a] * empty[j, a]
        rest[j] = found
        whole += weight[j] * found
    for j in range(number):
        weight[j] *= rest[j] - whole
    for k in range(len(mean)):
        centre, inverse = mean[k], 1.0 / spreads[k]
        first = second = 0.0
        for j in range(number):
            z = (theta[k, j] - centre) * inverse
            first += weight[j] * z
            second += weight[j] * z * z
        by_mean[k] += first * inverse
        by_log_spreads[k] += second


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
    theta: Floats,
    log_density: Floats,
    empty: Floats,
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
        One of the laws of `bayes_hfgrowth.transition`.
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters.
    log_spreads : ndarray, shape (parameters,)
        ln of the standard deviations of base models within their organization.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    logit_dormancy : ndarray, shape (organizations,)
        Logit of the share of dormant base models; -inf where there is none.
    ages, number : ndarray
        From `bayes_hfgrowth.silent.SilentGroups`.
    start, theta, log_density, empty : ndarray
        From `bayes_hfgrowth.silent.Nodes`.
    m : float
        The constant m of the curve.
    by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Gradients, in the shapes of what they belong to.
    """
    spreads = np.exp(log_spreads)
    size, width = len(spreads), number.shape[1]
    z, factor = np.empty(width), np.empty(width)
    sums = np.empty((width, 3 + 2 * size))
    moving = len(empty) == 0
    total = 0.0
    for o in range(len(number)):
        first, last = start[o], start[o + 1]
        if first == last:
            continue
        have = 0
        while have < width and number[o, have] > 0.0:
            have += 1
        own = theta[:, first:last]
        weight = np.empty(last - first)
        if moving:
            _moving_sums(law, m, carry, ages[o, :have], means[o], spreads, own, sums[:have])
            z[:] = sums[:, 0]
        else:
            _weigh(own, log_density[first:last], means[o], spreads, weight)
            _weighted_sums(weight, empty[first:last], z[:have])
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[o]))
        for a in range(have):
            mixed = dormant + (1.0 - dormant) * z[a]
            total += number[o, a] * math.log(mixed)
            factor[a] = number[o, a] * (1.0 - dormant) / mixed
            by_logit_dormancy[o] += factor[a] * dormant * (1.0 - z[a])
        if moving:
            for a in range(have):
                for k in range(size):
                    by_means[o, k] += factor[a] * sums[a, 1 + k]
                    by_log_spreads[k] += factor[a] * sums[a, 1 + size + k]
                by_carry[0] += factor[a] * sums[a, 1 + 2 * size]
                by_carry[1] += factor[a] * sums[a, 2 + 2 * size]
        else:
            _add_slopes(
                own, means[o], spreads, weight, empty[first:last], factor[:have], by_means[o],
                by_log_spreads,
            )  # fmt: skip
    return total
