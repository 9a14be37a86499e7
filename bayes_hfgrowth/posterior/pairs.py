"""Weights of all pairs of a draw of the population and a point, for one base model, compiled.

The points are drawn from a mixture of two Student distributions: one around the mode of the base
model under a middling population, one as wide as all draws of the population together. The
likelihood is taken there once, under the middling draw of what all base models share. Under
another draw the likelihood has nearly the same form elsewhere: the exponent and the period effects
act on a month's mean as a shift of the growth parameters does. So every draw has a shift, found by
Newton steps that bring its gradient to that of the middling draw, and a difference in height, and
a pair stands for the point moved by the shift. Its weight is the middling likelihood at the point,
times the population's density where the point is moved to, over the density of the proposal.

There are a million pairs, so they are gone through row by row, one row for each draw of the
population; only the sums of the rows' blocks are kept, and a block is computed again when a point
is drawn from it. What the shift leaves out, `log_likelihoods_of` gives for the few pairs that are
drawn: it takes each under its own draw.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth import adjoint, blocks, elementary
from bayes_hfgrowth.growth import law as formulas
from bayes_hfgrowth.growth import points as likelihoods
from bayes_hfgrowth.growth.adjoint import backward
from bayes_hfgrowth.growth.blocks import Block, block_for, forward
from bayes_hfgrowth.growth.elementary import exp, version_of
from bayes_hfgrowth.growth.law import (
    HUGE,
    PROBABILITY,
    SURGE,
    WIDEST,
    Floats,
    Observed,
    Shared,
    period_at,
)
from bayes_hfgrowth.growth.points import (
    ROWS,
    born,
    hazards_at,
    laws_at,
    log_likelihoods_at,
    natural_at,
    rows_of,
    surge_month,
)

__all__ = [
    "BLOCK",
    "DEGREES",
    "Centre",
    "Mode",
    "Organization",
    "PopulationDraws",
    "Weighed",
    "draw_points",
    "draw_points_of_organization",
    "log_likelihoods_of",
    "mode_of",
    "student_constant",
    "weigh",
]

BLOCK = 32
"""Points whose weights are summed up together."""

DEGREES = 5.0
"""Degrees of freedom of the Student distributions."""

_NEVER = -1e6  # log density of what parameters make impossible; kept finite
_LEAST = -700.0  # exp of it is still a normal number
_LARGEST = 1e8  # curvature in units of the prior's; keeps factorisations finite
_STEPS, _HALVINGS, _FLAT, _LONGEST = 20, 8, 1e-4, 2.0  # of the search for the mode
_WIDTH = 1e-4  # of the differences that give the curvature
_MOVES, _NEAR, _DAMPED, _FARTHEST = 4, 5e-2, 0.5, 3.0  # of the shifts
_MOVED = 3  # growth parameters that are shifted: none acts on months' means through dispersion
_WIDER, _FLOOR = 1.3**2, 0.02  # scale of the points: of the covariance at the mode, and more
_TRIALS = 1000  # for the mean of an unknown organization, of which far fewer are needed
_TOGETHER = 256  # pairs at a time, whose working space stays in the cache
_FAST = {"reassoc", "contract", "nnan", "nsz"}


class PopulationDraws(NamedTuple):
    """Draws of the population for the base model's organization and calendar months.

    Parameters
    ----------
    means, spreads : ndarray, shape (draws, parameters)
        Of the base models of the organization; if it is not known, of those of all organizations.
    shared : ndarray, shape (draws, SHARED)
        Parameters that all base models share.
    period : ndarray, shape (draws, calendar months)
        Period effects.
    """

    means: Floats
    spreads: Floats
    shared: Floats
    period: Floats


class Centre(NamedTuple):
    """A middling population.

    Parameters
    ----------
    mean, spreads : ndarray, shape (parameters,)
        Of the growth parameters.
    shared : Shared
        What all base models share.
    """

    mean: Floats
    spreads: Floats
    shared: Shared


class Mode(NamedTuple):
    """Where the likelihood of a base model is largest, given a middling population.

    Parameters
    ----------
    theta : ndarray, shape (parameters,)
        Growth parameters at the mode.
    values, vectors : ndarray, shape (parameters,) and (parameters, parameters)
        Eigenvalues and vectors of minus the Hessian of the log likelihood, in units of the
        scales; negative ones are taken as 0.
    """

    theta: Floats
    values: Floats
    vectors: Floats


class Organization(NamedTuple):
    """An organization that the population does not know, drawn from the global level.

    Parameters
    ----------
    means : ndarray, shape (draws, parameters)
        One draw of its means under each draw of the population.
    between, within : ndarray, shape (draws, parameters)
        Standard deviations between organizations, and of base models within one.
    """

    means: Floats
    between: Floats
    within: Floats


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


def student_constant(dimensions: int) -> float:
    """Log density of a Student distribution of scale 1 at its centre."""
    half = 0.5 * dimensions
    return (
        math.lgamma(0.5 * DEGREES + half)
        - math.lgamma(0.5 * DEGREES)
        - half * math.log(DEGREES * math.pi)
    )


@njit(error_model="numpy")
def _slope(observed: Observed, shared: Shared, theta: Floats, slope: Floats, block: Block) -> float:
    """Log likelihood, and its gradient by the growth parameters alone."""
    for k in range(len(theta)):
        block.theta[k, 0] = theta[k]
    block.seed[0] = 1.0
    forward(observed, block, shared)
    backward(observed, block, shared)
    for k in range(len(theta)):
        slope[k] = block.by_theta[k, 0]
    return float(block.value[0])


@njit(error_model="numpy")
def _curvature(
    observed: Observed, centre: Centre, theta: Floats, block: Block
) -> tuple[Floats, Floats]:
    """Eigenvalues (at least 0) and vectors of minus the Hessian, in units of the spreads."""
    size = len(theta)
    up, down, moved = np.empty(size), np.empty(size), theta.copy()
    hessian = np.empty((size, size))
    for k in range(size):
        moved[k] = theta[k] + _WIDTH
        _slope(observed, centre.shared, moved, up, block)
        moved[k] = theta[k] - _WIDTH
        _slope(observed, centre.shared, moved, down, block)
        moved[k] = theta[k]
        for r in range(size):
            difference = (down[r] - up[r]) / (2.0 * _WIDTH)
            scaled = difference * centre.spreads[k] * centre.spreads[r]
            hessian[r, k] = scaled if np.isfinite(scaled) else 0.0
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    return np.minimum(np.maximum(values, 0.0), _LARGEST), vectors


@njit(error_model="numpy")
def _penalty(theta: Floats, centre: Centre) -> float:
    total = 0.0
    for k in range(len(theta)):
        distance = (theta[k] - centre.mean[k]) / centre.spreads[k]
        total += 0.5 * distance * distance
    return total


@njit(error_model="numpy")
def mode_of(observed: Observed, centre: Centre, block: Block) -> Mode:
    """Mode of a base model's parameters under a population, and the curvature there.

    Parameters
    ----------
    observed : Observed
        The base model.
    centre : Centre
        The population.
    block : Block
        One lane with the months of the base model.
    """
    size = len(centre.mean)
    theta, slope, pull = centre.mean.copy(), np.empty(size), np.empty(size)
    for _ in range(_STEPS):
        current = _slope(observed, centre.shared, theta, slope, block)
        current -= _penalty(theta, centre)
        steepest = 0.0
        for k in range(size):
            by = slope[k] * centre.spreads[k]
            distance = (theta[k] - centre.mean[k]) / centre.spreads[k]
            pull[k] = (by if np.isfinite(by) else 0.0) - distance
            steepest = max(steepest, abs(pull[k]))
        if steepest < _FLAT:
            break
        values, vectors = _curvature(observed, centre, theta, block)
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
            trial = theta + scale * move * centre.spreads
            found = _slope(observed, centre.shared, trial, slope, block)
            if found - _penalty(trial, centre) > current:
                theta[:] = trial
                better = True
                break
            scale *= 0.5
        if not better:
            break
    values, vectors = _curvature(observed, centre, theta, block)
    return Mode(theta, values, vectors)


@njit(error_model="numpy")
def _apart(one: Floats, other: Floats, spreads: Floats) -> float:
    """Length of the difference of two gradients by what is shifted, in units of the spreads."""
    total = 0.0
    for k in range(_MOVED):
        total += ((one[k] - other[k]) * spreads[k]) ** 2
    return math.sqrt(total)


@njit(error_model="numpy")
def _shift(
    observed: Observed,
    population: PopulationDraws,
    centre: Centre,
    found: Mode,
    weighed: Weighed,
    block: Block,
) -> None:
    """Where each draw of the population moves the likelihood, and by how much it lifts it.

    Newton steps with the curvature of the middling draw; along directions of which the months
    say little they are damped, since there the likelihood is as good unmoved.
    """
    mode, values, vectors = found
    shifts, heights, size = weighed.shifts, weighed.heights, len(mode)
    target, slope, there = np.empty(size), np.empty(size), np.empty(size)
    trial = np.empty(size)
    level = _slope(observed, centre.shared, mode, target, block)
    for d in range(len(shifts)):
        shared, shift = Shared(population.shared[d], population.period[d]), shifts[d]
        shift[:] = 0.0
        value = _slope(observed, shared, mode, slope, block)
        apart, scale = _apart(slope, target, centre.spreads), 1.0
        for _ in range(_MOVES):
            if not _NEAR < apart < np.inf:
                break
            trial[:] = shift
            for j in range(size):
                along = 0.0
                for k in range(_MOVED):
                    along += vectors[k, j] * (slope[k] - target[k]) * centre.spreads[k]
                along *= scale * values[j] / (values[j] ** 2 + _DAMPED)
                for k in range(_MOVED):
                    trial[k] += vectors[k, j] * along * centre.spreads[k]
            for k in range(_MOVED):
                most = _FARTHEST * centre.spreads[k]
                trial[k] = min(max(trial[k], -most), most)
            tried = _slope(observed, shared, mode + trial, there, block)
            nearer = _apart(there, target, centre.spreads)
            if math.isfinite(tried) and nearer < apart:
                shift[:], slope[:] = trial, there
                value, apart, scale = tried, nearer, 1.0
            else:
                scale *= 0.25
        heights[d] = value - level if math.isfinite(value - level) else 0.0


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
def _spread(values: Floats, spreads: Floats) -> tuple[Floats, Floats]:
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
        covariance[k, k] += spreads[k] ** 2
    return middle, covariance


@njit(error_model="numpy", fastmath=_FAST)
def _add_square(values: Floats, middle: float, factor: float, out: Floats) -> None:
    for j in range(len(out)):
        distance = values[j] - middle
        out[j] += factor * distance * distance


@njit(error_model="numpy", fastmath=_FAST)
def _terms(
    points: Floats, log_weights: Floats, mean: Floats, shift: Floats, spreads: Floats, out: Floats
) -> None:
    """Log weights of some points under one draw of the population, up to a constant."""
    for j in range(len(out)):
        out[j] = log_weights[j]
    for k in range(len(mean)):
        _add_square(points[k], mean[k] - shift[k], -0.5 / (spreads[k] * spreads[k]), out)


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
        covariance = np.diag(centre.spreads**2)
        mode = centre.mean.copy()
        if age > 0:
            found = mode_of(observed, centre, block)
            mode, values, vectors = found
            for r in range(size):
                for c in range(size):
                    total = 0.0
                    for j in range(size):
                        total += vectors[r, j] * vectors[c, j] / (values[j] + 1.0)
                    covariance[r, c] = total * centre.spreads[r] * centre.spreads[c]
            if observed.law == SURGE:
                _shift(observed, population, centre, found, weighed, block)
        scale = _WIDER * covariance
        for k in range(size):
            scale[k, k] += _FLOOR * centre.spreads[k] ** 2
        root = np.linalg.cholesky(scale)
        wide, scale = _spread(population.means - weighed.shifts, centre.spreads)
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
            _terms(
                points,
                log_weights,
                population.means[d],
                weighed.shifts[d],
                population.spreads[d],
                row,
            )
            weighed.tops[d] = _largest(row)
            _exponentials(row, weighed.tops[d])
            for b in range(weighed.blocks.shape[1]):
                weighed.blocks[d, b] = _sum(row[b * BLOCK : (b + 1) * BLOCK])

    return weigh


_SOURCES = version_of(
    elementary.__file__,
    formulas.__file__,
    adjoint.__file__,
    blocks.__file__,
    likelihoods.__file__,
    __file__,
)
weigh = _compiled(_SOURCES)


def _compiled_draws(sources: int) -> Any:
    @njit(error_model="numpy", nogil=True, cache=True)
    def draw_points(which, uniform, population, weighed, chosen):  # type: ignore[no-untyped-def]
        """Draw points given draws of the population.

        Parameters
        ----------
        which : ndarray of int, shape (pairs,)
            The draw of the population of each pair.
        uniform : ndarray, shape (pairs,)
            Between 0 and 1.
        population : PopulationDraws
            As `weigh` was given it.
        weighed : Weighed
            As `weigh` filled it.
        chosen : ndarray of int, shape (pairs,)
            Filled with the positions of the points.
        """
        _ = sources
        points, log_weights, blocks = weighed.points, weighed.log_weights, weighed.blocks
        size = len(points)
        row = np.empty(BLOCK)
        some = np.empty((size, BLOCK))
        for i in range(len(which)):
            d = which[i]
            total = 0.0
            for b in range(blocks.shape[1]):
                total += blocks[d, b]
            left = uniform[i] * total
            b = 0
            while b < blocks.shape[1] - 1 and left > blocks[d, b]:
                left -= blocks[d, b]
                b += 1
            some[:] = points[:, b * BLOCK : (b + 1) * BLOCK]
            _terms(
                some,
                log_weights[b * BLOCK : (b + 1) * BLOCK],
                population.means[d],
                weighed.shifts[d],
                population.spreads[d],
                row,
            )
            _exponentials(row, weighed.tops[d])
            j = 0
            while j < BLOCK - 1 and left > row[j]:
                left -= row[j]
                j += 1
            chosen[i] = b * BLOCK + j

    return draw_points


draw_points = _compiled_draws(_SOURCES)


@njit(error_model="numpy")
def _row(weighed: Weighed, d: int, mean: Floats, spreads: Floats, row: Floats) -> float:
    """Weights of all points under one draw, summed up, and the log of their mean density."""
    _terms(weighed.points, weighed.log_weights, mean, weighed.shifts[d], spreads, row)
    top = _largest(row)
    _exponentials(row, top)
    total = _sum(row)
    for k in range(len(mean)):
        total /= spreads[k]
    return top + math.log(total)


@njit(error_model="numpy")
def _cumulate(row: Floats) -> None:
    total = 0.0
    for j in range(len(row)):
        total += row[j]
        row[j] = total


@njit(error_model="numpy")
def _pick(cumulative: Floats, uniform: float) -> int:
    at = np.searchsorted(cumulative, uniform * cumulative[-1])
    return min(at, len(cumulative) - 1)


def _compiled_shared(sources: int) -> Any:
    @njit(error_model="numpy", nogil=True, cache=True)
    def draw_points_of_organization(  # type: ignore[no-untyped-def]
        pairs, uniform, population, organization, weighed, rng, chosen
    ):
        """Draw points for a base model of an unknown organization, given draws of the population.

        The weights are those of the base models of any organization. With the point goes a mean
        of the organization, normal given the point, and that is drawn so that it is the one of
        the draw, which other base models of the organization have too, as often as can be (a
        maximal coupling): with L the likelihood integrated over points, and L(mean) that given
        the organization's mean, the draw's own is kept with probability min(1, L(mean) / L), and
        others replace it with a density in proportion to what is above that.

        Parameters
        ----------
        pairs : ndarray of int, shape (draws,)
            How many pairs for each draw of the population, one draw after the other.
        uniform : ndarray, shape (all pairs,)
            Between 0 and 1.
        population : PopulationDraws
            As `weigh` was given it.
        organization : Organization
            The one that the base model belongs to.
        weighed : Weighed
            As `weigh` filled it.
        rng : numpy.random.Generator
            Source of randomness.
        chosen : ndarray of int, shape (all pairs,)
            Filled with the positions of the points.
        """
        _ = sources
        size, number = weighed.points.shape
        any_row, own_row, mean = np.empty(number), np.empty(number), np.empty(size)
        at = 0
        for d in range(len(pairs)):
            within, between = organization.within[d], organization.between[d]
            marginal = _row(weighed, d, population.means[d], population.spreads[d], any_row)
            own = _row(weighed, d, organization.means[d], within, own_row)
            kept = math.log(rng.random()) < own - marginal
            _cumulate(own_row if kept else any_row)
            for i in range(at, at + pairs[d]):
                if kept:
                    chosen[i] = _pick(own_row, uniform[i])
                    continue
                chosen[i] = _pick(any_row, uniform[i])
                for _trial in range(_TRIALS):
                    j = _pick(any_row, rng.random())
                    for k in range(size):
                        # The mean given the base model's own parameter, and with it.
                        gain = between[k] ** 2 / (between[k] ** 2 + within[k] ** 2)
                        theta = weighed.points[k, j] + weighed.shifts[d, k]
                        middle = population.means[d, k]
                        mean[k] = middle + gain * (theta - middle)
                        mean[k] += between[k] * math.sqrt(1.0 - gain) * rng.standard_normal()
                    if math.log(rng.random()) < _log_excess(
                        marginal - _row(weighed, d, mean, within, own_row)
                    ):
                        chosen[i] = j
                        break
            at += pairs[d]

    return draw_points_of_organization


@njit(error_model="numpy")
def _log_excess(log_ratio: float) -> float:
    """Ln(1 - exp(x)), -inf where that is not above 0."""
    return math.log(-math.expm1(log_ratio)) if log_ratio < 0.0 else -np.inf


draw_points_of_organization = _compiled_shared(_SOURCES)


def _compiled_likelihoods(sources: int) -> Any:
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

    return log_likelihoods_of


log_likelihoods_of = _compiled_likelihoods(_SOURCES)
