"""Weights of all pairs of a draw of the population and a point, for one base model, compiled.

The points are drawn from a mixture of two Student distributions: one around the mode of the base
model under a middling population, one as wide as all draws of the population together. The
likelihood is taken there once, under the middling draw of what all base models share. Under
another draw it has nearly the same form elsewhere (`bayes_hfgrowth.posterior.laplace`), so a pair
stands for the point moved by the shift of its draw. Its weight is the middling likelihood at the
point, times the population's density where the point is moved to, over the density of the
proposal.

There are a million pairs, so they are gone through row by row, one row for each draw of the
population; only the sums of the rows' blocks are kept, and a block is computed again when a point
is drawn from it (`bayes_hfgrowth.posterior.resampling`). What the shift leaves out,
`log_likelihoods_of` gives for the few pairs that are drawn: it takes each under its own draw.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.blocks import block_for
from bayes_hfgrowth.growth.elementary import exp, version_of
from bayes_hfgrowth.growth.law import (
    HUGE,
    PROBABILITY,
    SURGE,
    WIDEST,
    Floats,
    Integers,
    Observed,
    period_at,
)
from bayes_hfgrowth.growth.points import (
    ROWS,
    born,
    copy_to,
    hazards_at,
    laws_at,
    log_likelihoods_at,
    natural_at,
    rows_of,
    surge_month,
)
from bayes_hfgrowth.posterior.importance import DEGREES
from bayes_hfgrowth.posterior.laplace import Centre, PopulationDraws, mode_of, shifts_of

__all__ = [
    "BLOCK",
    "Weighed",
    "exponentials",
    "log_likelihoods_of",
    "log_weights_at",
    "weigh",
    "weights_under",
]

BLOCK = 32
"""Points whose weights are summed up together."""

_NEVER = -1e6  # log density of what parameters make impossible; kept finite
_LEAST = -700.0  # exp of it is still a normal number
_WIDER, _FLOOR = 1.3**2, 0.02  # scale of the points: of the covariance at the mode, and more
_TOGETHER = 256  # pairs at a time, whose working space stays in the cache
_FAST = {"reassoc", "contract", "nnan", "nsz"}


class Weighed(NamedTuple):
    """What `weigh` fills.

    Parameters
    ----------
    points : ndarray, shape (parameters, points)
        Growth parameters under the middling population.
    likelihood, log_weights : ndarray, shape (points,)
        Log likelihood there, and the same over the proposal.
    shifts : ndarray, shape (draws, parameters)
        What a draw of the population adds to a point.
    heights : ndarray, shape (draws,)
        What it adds to the log likelihood.
    tops, blocks : ndarray, shape (draws,) and (draws, points / BLOCK)
        The largest log weight of each row, without its height, and the sums of the weights of
        each block in units of that.
    """

    points: Floats
    likelihood: Floats
    log_weights: Floats
    shifts: Floats
    heights: Floats
    tops: Floats
    blocks: Floats


@njit(error_model="numpy")
def _student(centre: Floats, root: Floats, constant: float, points: Floats, out: Floats) -> None:
    """Log density of a Student distribution; points of shape (parameters, points)."""
    size, number = points.shape
    apart = np.empty(size)
    for k in range(size):
        constant -= math.log(root[k, k])
    for j in range(number):
        squares = 0.0
        for r in range(size):
            value = points[r, j] - centre[r]
            for c in range(r):
                value -= root[r, c] * apart[c]
            apart[r] = value / root[r, r]
            squares += apart[r] * apart[r]
        out[j] = constant - 0.5 * (DEGREES + size) * math.log1p(squares / DEGREES)


@njit(error_model="numpy")
def _moments(values: Floats, scales: Floats) -> tuple[Floats, Floats]:
    """Mean of means over draws, and their covariance with that within added."""
    number, size = values.shape
    middle, covariance = np.zeros(size), np.zeros((size, size))
    for d in range(number):
        for k in range(size):
            middle[k] += values[d, k] / number
    for d in range(number):
        for r in range(size):
            for c in range(size):
                by = (values[d, r] - middle[r]) * (values[d, c] - middle[c])
                covariance[r, c] += by / max(number - 1, 1)
    for k in range(size):
        covariance[k, k] += scales[k] ** 2
    return middle, covariance


@njit(error_model="numpy", fastmath=_FAST)
def _add_square(values: Floats, middle: float, factor: float, out: Floats) -> None:
    for j in range(len(out)):
        distance = values[j] - middle
        out[j] += factor * distance * distance


@njit(error_model="numpy", fastmath=_FAST)
def log_weights_at(
    points: Floats, log_weights: Floats, mean: Floats, shift: Floats, scales: Floats, out: Floats
) -> None:
    """Log weights of some points under one draw of the population, up to a constant.

    Parameters
    ----------
    points : ndarray, shape (parameters, points)
        Growth parameters under the middling population.
    log_weights : ndarray, shape (points,)
        Of the points, as in `Weighed`.
    mean, scales : ndarray, shape (parameters,)
        Of base models under the draw.
    shift : ndarray, shape (parameters,)
        What the draw adds to a point.
    out : ndarray, shape (points,)
        Filled.
    """
    copy_to(log_weights, out)
    for k in range(len(mean)):
        _add_square(points[k], mean[k] - shift[k], -0.5 / (scales[k] * scales[k]), out)


@njit(error_model="numpy", fastmath=_FAST)
def _largest(values: Floats) -> float:
    most = values[0]
    for j in range(len(values)):
        most = max(most, values[j])
    return most


@njit(error_model="numpy")
def exponentials(values: Floats, top: float) -> None:
    """Replace values by exp(value - top), top the largest of them or of others they belong to."""
    # Without leave to reassociate, which would undo the rounding that `exp` rests on.
    for j in range(len(values)):
        values[j] = exp(max(values[j] - top, _LEAST))


@njit(error_model="numpy", fastmath=_FAST)
def _sum(values: Floats) -> float:
    total = 0.0
    for j in range(len(values)):
        total += values[j]
    return total


@njit(error_model="numpy")
def weights_under(weighed: Weighed, d: int, mean: Floats, scales: Floats, row: Floats) -> float:
    """Weights of all points under one draw, and the log of their mean density.

    Parameters
    ----------
    weighed : Weighed
        As `weigh` filled it.
    d : int
        The draw of the population.
    mean, scales : ndarray, shape (parameters,)
        Of base models under it.
    row : ndarray, shape (points,)
        Filled with the weights in units of the largest.

    Returns
    -------
    float
        Log of the mean density, up to a constant.
    """
    log_weights_at(weighed.points, weighed.log_weights, mean, weighed.shifts[d], scales, row)
    top = _largest(row)
    exponentials(row, top)
    total = _sum(row)
    for k in range(len(mean)):
        total /= scales[k]
    return top + math.log(total)


@njit(error_model="numpy")
def _log_likelihoods_under(
    observed: Observed, population: PopulationDraws, which: Integers, theta: Floats, out: Floats
) -> None:
    """As `log_likelihoods_of`."""
    months, m = observed.months, observed.m
    size = theta.shape[1]
    for first in range(0, len(which), _TOGETHER):
        number = min(_TOGETHER, len(which) - first)
        rows = rows_of(np.empty((ROWS, number)))
        own = np.empty((size, number))
        shared = np.empty((number, population.shared.shape[1]))
        value = np.zeros(number)
        bursts = False
        for i in range(number):
            shared[i] = population.shared[which[first + i]]
            bursts = bursts or shared[i, PROBABILITY] > 0.0
            for k in range(size):
                own[k, i] = theta[first + i, k]
        natural_at(own, rows.natural)
        laws_at(shared, rows.laws)
        born(rows)
        for j in range(len(months.new)):
            hazards_at(j, months.log_age[j], rows)
            for i in range(number):
                rows.period[i] = period_at(
                    population.period[which[first + i]], months.calendar[j], months.share[j]
                )
            surge_month(months.new[j], m, bursts, rows, value)
            for i in range(number):
                value[i] += months.constants[j]
                if not rows.hazard[i] <= HUGE:
                    value[i] = -np.inf
        for i in range(number):
            possible = True
            for k in range(size):
                possible = possible and abs(own[k, i]) <= WIDEST
            out[first + i] = value[i] if possible else -np.inf


@njit(error_model="numpy")
def _heights(
    observed: Observed, population: PopulationDraws, centre: Centre, mode: Floats, weighed: Weighed
) -> None:
    """What each draw of the population adds to the log likelihood, taken at the mode."""
    heights, level = weighed.heights, np.empty(1)
    one = mode.reshape((len(mode), 1))
    log_likelihoods_at(observed, 0, one, centre.shared, level, np.empty((ROWS, 1)))
    draws = np.arange(len(heights))
    _log_likelihoods_under(observed, population, draws, mode + weighed.shifts, heights)
    for d in draws:
        height = heights[d] - level[0]
        heights[d] = height if math.isfinite(height) else 0.0


def _compiled(sources: int) -> tuple[Any, Any]:
    """Make the two; Numba's cache on disk tells versions apart by what they close over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def weigh(  # type: ignore[no-untyped-def]
        observed, population, centre, own_share, constant, normal, stretch, weighed
    ):
        """Draw the points and weigh every draw of the population.

        Parameters
        ----------
        observed : Observed
            The base model.
        population : PopulationDraws
            The draws.
        centre : Centre
            What is in the middle of them.
        own_share : int
            How many of the points come from the base model's own Student distribution.
        constant : float
            From `student_constant`.
        normal, stretch : ndarray, shape (parameters, points) and (points,)
            Standard normal numbers, and square roots of degrees of freedom over chi-squares.
        weighed : Weighed
            Filled.
        """
        _ = sources
        points, log_weights = weighed.points, weighed.log_weights
        size, number = points.shape
        age = len(observed.months.new)
        block = block_for(1, max(age, 1), size, len(centre.shared.period))
        block.length[0] = age
        weighed.shifts[:] = 0.0
        weighed.heights[:] = 0.0
        covariance = np.diag(centre.scales**2)
        mode = centre.mean.copy()
        if age > 0:
            found = mode_of(observed, centre, block)
            mode, values, vectors = found
            for r in range(size):
                for c in range(size):
                    total = 0.0
                    for j in range(size):
                        total += vectors[r, j] * vectors[c, j] / (values[j] + 1.0)
                    covariance[r, c] = total * centre.scales[r] * centre.scales[c]
            if observed.law == SURGE:
                shifts_of(observed, population, centre, found, weighed.shifts, block)
                _heights(observed, population, centre, mode, weighed)
        scale = _WIDER * covariance
        for k in range(size):
            scale[k, k] += _FLOOR * centre.scales[k] ** 2
        root = np.linalg.cholesky(scale)
        wide, scale = _moments(population.means - weighed.shifts, centre.scales)
        wide_root = np.linalg.cholesky(scale)
        for j in range(number):
            for r in range(size):
                value = 0.0
                for c in range(r + 1):
                    if j < own_share:
                        value += root[r, c] * normal[c, j]
                    else:
                        value += wide_root[r, c] * normal[c, j]
                middle = mode[r] if j < own_share else wide[r]
                points[r, j] = middle + value * stretch[j]
        near, far = np.empty(number), np.empty(number)
        _student(mode, root, constant, points, near)
        _student(wide, wide_root, constant, points, far)
        weighed.likelihood[:] = 0.0
        if age > 0:
            work = np.empty((ROWS, number))
            log_likelihoods_at(observed, 0, points, centre.shared, weighed.likelihood, work)
        log_near = math.log(own_share / number)
        log_far = math.log(1.0 - own_share / number)
        for j in range(number):
            a, b = near[j] + log_near, far[j] + log_far
            proposal = max(a, b) + math.log1p(math.exp(-abs(a - b)))
            value = weighed.likelihood[j]
            value = value if value > _NEVER else _NEVER  # also where it is not a number
            weighed.likelihood[j] = value
            log_weights[j] = value - proposal
        row = np.empty(number)
        for d in range(len(population.means)):
            log_weights_at(
                points,
                log_weights,
                population.means[d],
                weighed.shifts[d],
                population.scales[d],
                row,
            )
            weighed.tops[d] = _largest(row)
            exponentials(row, weighed.tops[d])
            for b in range(weighed.blocks.shape[1]):
                weighed.blocks[d, b] = _sum(row[b * BLOCK : (b + 1) * BLOCK])

    @njit(error_model="numpy", nogil=True, cache=True)
    def log_likelihoods_of(observed, population, which, theta, out):  # type: ignore[no-untyped-def]
        """Log likelihood of pairs, each under its own draw of the population; ``SURGE`` only.

        Parameters
        ----------
        observed : Observed
            The base model.
        population : PopulationDraws
            The draws.
        which : ndarray of int, shape (pairs,)
            The draw of the population of each pair.
        theta : ndarray, shape (pairs, parameters)
            Growth parameters.
        out : ndarray, shape (pairs,)
            Filled; -inf where parameters make the months impossible.
        """
        _ = sources
        _log_likelihoods_under(observed, population, which, theta, out)

    return weigh, log_likelihoods_of


weigh, log_likelihoods_of = _compiled(version_of(__file__))
