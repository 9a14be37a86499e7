"""Weights of all pairs of a draw of the population and a point, for one base model, compiled.

The points are drawn from a mixture of two Student distributions: one around the mode of the base
model under a middling population, one as wide as all draws of the population together. A pair's
weight is the likelihood at the point times the population's density there, over the density of
the proposal. There are a million pairs, so they are gone through row by row, one row for each draw
of the population; only the sums of the rows' blocks are kept, and a block is computed again when
a point is drawn from it.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import elementary, gradient
from bayes_hfgrowth.growth.elementary import exp, version_of
from bayes_hfgrowth.growth.gradient import BATCH, WORK
from bayes_hfgrowth.growth.gradient import gradient as months_gradient
from bayes_hfgrowth.growth.transition import Floats, Integers

__all__ = ["BLOCK", "DEGREES", "draw_points", "mode_of", "student_constant", "weigh"]

BLOCK = 32
"""Points whose weights are summed up together."""

DEGREES = 5.0
"""Degrees of freedom of the Student distributions."""

_NEVER = -1e6  # log density of what parameters make impossible; kept finite
_LEAST = -700.0  # exp of it is still a normal number
_LARGEST = 1e8  # curvature in units of the prior's; keeps factorisations finite
_STEPS, _HALVINGS, _FLAT, _LONGEST = 20, 8, 1e-4, 2.0  # of the search for the mode
_WIDTH = 1e-4  # of the differences that give the curvature
_FAST = {"reassoc", "contract", "nnan", "nsz"}


def student_constant(dimensions: int) -> float:
    """Log density of a Student distribution of scale 1 at its centre."""
    half = 0.5 * dimensions
    return (
        math.lgamma(0.5 * DEGREES + half)
        - math.lgamma(0.5 * DEGREES)
        - half * math.log(DEGREES * math.pi)
    )


@njit(error_model="numpy")
def _repeated(values: Floats, times: int) -> Floats:
    out = np.empty(len(values) * times)
    for i in range(times):
        out[i * len(values) : (i + 1) * len(values)] = values
    return out


@njit(error_model="numpy")
def _curvature(
    law: int, begin: Integers, months: Floats, m: float, carry: Floats, theta: Floats,
    spreads: Floats, work: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Eigenvalues (at least 0) and vectors of minus the Hessian, in units of the spreads."""
    size = len(theta)
    around = np.empty((2 * size, size))
    for k in range(size):
        around[2 * k], around[2 * k + 1] = theta, theta
        around[2 * k, k] += _WIDTH
        around[2 * k + 1, k] -= _WIDTH
    value, slope = np.empty(2 * size), np.empty((2 * size, 6))
    months_gradient(
        law, begin[: 2 * size + 1], months[0], months[1], months[2], months[3], m, around,
        carry[0], carry[1], value, slope, np.empty((0, 7)), work,
    )  # fmt: skip
    hessian = np.empty((size, size))
    for k in range(size):
        for r in range(size):
            difference = (slope[2 * k + 1, r] - slope[2 * k, r]) / (2.0 * _WIDTH)
            scaled = difference * spreads[k] * spreads[r]
            hessian[r, k] = scaled if np.isfinite(scaled) else 0.0
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    return np.minimum(np.maximum(values, 0.0), _LARGEST), vectors


@njit(error_model="numpy")
def mode_of(
    law: int, begin: Integers, months: Floats, m: float, carry: Floats, mean: Floats,
    spreads: Floats, work: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Mode of a base model's parameters under a population, and the covariance there.

    Parameters
    ----------
    law, m, carry
        As in `weigh`.
    begin : ndarray of int, shape (copies + 1,)
        Where each copy of the base model's months begins.
    months : ndarray, shape (4, months of all copies)
        Ln of the age at the end of each month, count before it, fine-tunes in it, constant.
    mean, spreads : ndarray, shape (parameters,)
        Of the population.
    work : ndarray
        Working space of `bayes_hfgrowth.growth.gradient.gradient`.
    """
    size = len(mean)
    theta = mean.copy()
    value, slope, no_trace = np.empty(1), np.empty((1, 6)), np.empty((0, 7))
    trial = np.empty((1, size))
    pull = np.empty(size)
    trial[0] = theta
    current = -np.inf
    for _ in range(_STEPS):
        trial[0] = theta
        months_gradient(
            law, begin[:2], months[0], months[1], months[2], months[3], m, trial, carry[0],
            carry[1], value, slope, no_trace, work,
        )  # fmt: skip
        current, steepest = value[0], 0.0
        for k in range(size):
            distance = (theta[k] - mean[k]) / spreads[k]
            current -= 0.5 * distance * distance
            by = slope[0, k] * spreads[k]
            pull[k] = (by if np.isfinite(by) else 0.0) - distance
            steepest = max(steepest, abs(pull[k]))
        if steepest < _FLAT:
            break
        values, vectors = _curvature(law, begin, months, m, carry, theta, spreads, work)
        move = np.zeros(size)
        for j in range(size):
            along = 0.0
            for k in range(size):
                along += vectors[k, j] * pull[k]
            for k in range(size):
                move[k] += vectors[k, j] * along / (values[j] + 1.0)
        length = math.sqrt((move * move).sum())
        scale = min(1.0, _LONGEST / max(length, 1e-12))
        better = False
        for _ in range(_HALVINGS):
            trial[0] = theta + scale * move * spreads
            months_gradient(
                law, begin[:2], months[0], months[1], months[2], months[3], m, trial, carry[0],
                carry[1], value, slope, no_trace, work,
            )  # fmt: skip
            found = value[0]
            for k in range(size):
                distance = (trial[0, k] - mean[k]) / spreads[k]
                found -= 0.5 * distance * distance
            if found > current:
                theta[:] = trial[0]
                better = True
                break
            scale *= 0.5
        if not better:
            break
    values, vectors = _curvature(law, begin, months, m, carry, theta, spreads, work)
    covariance = np.zeros((size, size))
    for j in range(size):
        for r in range(size):
            for c in range(size):
                covariance[r, c] += (
                    vectors[r, j] * vectors[c, j] / (values[j] + 1.0) * spreads[r] * spreads[c]
                )
    return theta, covariance


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


@njit(error_model="numpy", fastmath=_FAST)
def _add_square(values: Floats, middle: float, factor: float, out: Floats) -> None:
    for j in range(len(out)):
        distance = values[j] - middle
        out[j] += factor * distance * distance


@njit(error_model="numpy", fastmath=_FAST)
def _terms(points: Floats, log_weights: Floats, mean: Floats, spreads: Floats, out: Floats) -> None:
    """Log weights of some points under one draw of the population, up to a constant."""
    for j in range(len(out)):
        out[j] = log_weights[j]
    for k in range(len(mean)):
        _add_square(points[k], mean[k], -0.5 / (spreads[k] * spreads[k]), out)


@njit(error_model="numpy", fastmath=_FAST)
def _largest(values: Floats) -> float:
    most = values[0]
    for j in range(len(values)):
        most = max(most, values[j])
    return most


@njit(error_model="numpy")
def _exponentials(values: Floats, top: float) -> None:
    """Replace values by exp(value - top)."""
    # Without leave to reassociate, which would undo the rounding that `exp` rests on.
    for j in range(len(values)):
        values[j] = exp(max(values[j] - top, _LEAST))


@njit(error_model="numpy", fastmath=_FAST)
def _sum(values: Floats) -> float:
    total = 0.0
    for j in range(len(values)):
        total += values[j]
    return total


def _compiled(sources: int) -> Any:
    """Make `weigh`; Numba's cache on disk tells versions apart by what it closes over."""

    @njit(error_model="numpy", nogil=True, cache=True)
    def weigh(  # type: ignore[no-untyped-def]
        law, m, carry, log_age, previous, new, constants, middle, within, wide_centre, wide_root,
        own_share, wider, floor, constant, normal, stretch, means, spreads, points, log_weights,
        tops, blocks,
    ):  # fmt: skip
        """Draw the points and weigh every draw of the population.

        Parameters
        ----------
        law : int
            One of the laws of `bayes_hfgrowth.growth.transition`.
        m : float
            The constant m of the curve.
        carry : ndarray, shape (2,)
            Strength and memory of the carry-over.
        log_age, previous, new, constants : ndarray, shape (months,)
            As in `bayes_hfgrowth.growth.gradient.gradient`.
        middle, within : ndarray, shape (parameters,)
            Mean and standard deviations of a middling population.
        wide_centre, wide_root : ndarray
            Centre and Cholesky root of the scale of the wide Student distribution.
        own_share : int
            How many of the points come from the base model's own Student distribution.
        wider, floor : float
            Its scale is `wider` times the covariance at the mode, plus `floor` times that of the
            population.
        constant : float
            From `student_constant`.
        normal, stretch : ndarray, shape (parameters, points) and (points,)
            Standard normal numbers, and square roots of degrees of freedom over chi-squares.
        means, spreads : ndarray, shape (draws, parameters)
            The draws of the population for the base model's organization.
        points, log_weights : ndarray, shape (parameters, points) and (points,)
            Filled with the points, and likelihood over proposal there.
        tops, blocks : ndarray, shape (draws,) and (draws, points / BLOCK)
            Filled with the largest log weight of each row, and the sums of the weights of each
            block in units of that.
        """
        _ = sources
        size, number = points.shape
        age = len(new)
        copies = max(2 * size, BATCH // max(age, 1))
        begin = np.arange(copies + 1) * age
        months = np.empty((4, copies * age))
        months[0], months[1] = _repeated(log_age, copies), _repeated(previous, copies)
        months[2], months[3] = _repeated(new, copies), _repeated(constants, copies)
        work = np.empty((WORK, copies * age))
        if age > 0:
            mode, covariance = mode_of(law, begin, months, m, carry, middle, within, work)
        else:
            mode, covariance = middle.copy(), np.diag(within**2)
        scale = wider * covariance
        for k in range(size):
            scale[k, k] += floor * within[k] ** 2
        root = np.linalg.cholesky(scale)
        for j in range(number):
            for r in range(size):
                value = 0.0
                for c in range(r + 1):
                    if j < own_share:
                        value += root[r, c] * normal[c, j]
                    else:
                        value += wide_root[r, c] * normal[c, j]
                centre = mode[r] if j < own_share else wide_centre[r]
                points[r, j] = centre + value * stretch[j]
        own, wide = np.empty(number), np.empty(number)
        _student(mode, root, constant, points, own)
        _student(wide_centre, wide_root, constant, points, wide)
        likelihood, slopes = np.zeros(number), np.empty((copies, 6))
        if age > 0:
            rows, no_trace = np.ascontiguousarray(points.T), np.empty((0, 7))
            first = 0
            while first < number:
                last = min(first + copies, number)
                months_gradient(
                    law, begin[: last - first + 1], months[0], months[1], months[2], months[3],
                    m, rows[first:last], carry[0], carry[1], likelihood[first:last],
                    slopes[: last - first], no_trace, work,
                )  # fmt: skip
                first = last
        log_own = math.log(own_share / number)
        log_wide = math.log(1.0 - own_share / number)
        for j in range(number):
            a, b = own[j] + log_own, wide[j] + log_wide
            proposal = max(a, b) + math.log1p(math.exp(-abs(a - b)))
            value = likelihood[j]
            value = value if value > _NEVER else _NEVER  # also where it is not a number
            log_weights[j] = value - proposal
        row = np.empty(number)
        for d in range(len(means)):
            _terms(points, log_weights, means[d], spreads[d], row)
            tops[d] = _largest(row)
            _exponentials(row, tops[d])
            for b in range(blocks.shape[1]):
                blocks[d, b] = _sum(row[b * BLOCK : (b + 1) * BLOCK])

    return weigh


_SOURCES = version_of(elementary.__file__, gradient.__file__, __file__)
weigh = _compiled(_SOURCES)


def _compiled_draws(sources: int) -> Any:
    @njit(error_model="numpy", nogil=True, cache=True)
    def draw_points(  # type: ignore[no-untyped-def]
        which, heights, means, spreads, points, log_weights, tops, blocks, theta
    ):
        """Draw points given draws of the population.

        Parameters
        ----------
        which : ndarray of int, shape (pairs,)
            The draw of the population of each pair.
        heights : ndarray, shape (pairs,)
            Uniform between 0 and 1.
        means, spreads, points, log_weights, tops, blocks
            As `weigh` was given and filled them.
        theta : ndarray, shape (pairs, parameters)
            Filled with the points.
        """
        _ = sources
        size = len(points)
        row = np.empty(BLOCK)
        some = np.empty((size, BLOCK))
        for i in range(len(which)):
            d = which[i]
            total = 0.0
            for b in range(blocks.shape[1]):
                total += blocks[d, b]
            left = heights[i] * total
            b = 0
            while b < blocks.shape[1] - 1 and left > blocks[d, b]:
                left -= blocks[d, b]
                b += 1
            some[:] = points[:, b * BLOCK : (b + 1) * BLOCK]
            _terms(some, log_weights[b * BLOCK : (b + 1) * BLOCK], means[d], spreads[d], row)
            _exponentials(row, tops[d])
            j = 0
            while j < BLOCK - 1 and left > row[j]:
                left -= row[j]
                j += 1
            theta[i] = points[:, b * BLOCK + j]

    return draw_points


draw_points = _compiled_draws(_SOURCES)
