"""Log density of the population, base models averaged over points that stay where they are.

    Σ_i ln [π + (1 - π) 1/S Σ_s p(months_i | θ_is) N(θ_is; mean, diag(spread²)) / proposal(θ_is)],

with the share π of dormant base models, which those with a fine-tune are not: for them the
first term is missing. What does not hang on the population, the months and the proposal, is the
log weight of a point, reckoned once; so the sum costs no more than S normal densities a base
model.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.crosses import fill_crosses, fill_freely, log_density_of
from bayes_hfgrowth.growth.elementary import exp, inner
from bayes_hfgrowth.growth.law import Floats, Integers, Months
from bayes_hfgrowth.growth.points import ROWS, log_likelihoods_at
from bayes_hfgrowth.straightening import bend
from bayes_hfgrowth.whitening import ASLEEP, Drawn, precisions

__all__ = ["log_average", "pick", "renew"]

_LEAST = -1e300  # log weight of what is impossible
_FURTHEST = 1e3  # where impossible growth parameters are put, lest they make others so
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


# --- Points -----------------------------------------------------------------------------


@inner()
def _straight(centre: Floats, root: Floats, points: Floats, straight: Floats, out: Floats) -> None:
    """Straightened growth parameters at points; `out` gets minus their log proposal density."""
    size, number = points.shape
    stretch = 0.0
    for r in range(size):
        stretch += math.log(root[r, r])
    for s in range(number):
        out[s] = 0.0
    for r in range(size):
        for s in range(number):
            out[s] += points[r, s] * points[r, s]
            straight[r, s] = centre[r]
        for k in range(r + 1):
            for s in range(number):
                straight[r, s] += root[r, k] * points[k, s]
    for s in range(number):
        out[s] = stretch - log_density_of(out[s], size)


@inner()
def _bent(i: int, pivots: Floats, straight: Floats, theta: Floats, out: Floats) -> None:
    """From θ̃ to θ; adds the log Jacobian to `out`."""
    size, number = straight.shape
    before, after = np.empty((1, size)), np.empty((1, size))
    own = pivots[i : i + 1]
    for s in range(number):
        for k in range(size):
            before[0, k] = straight[k, s]
        out[s] += bend(0, own, before, after)
        for k in range(size):
            value = after[0, k]
            theta[k, s] = value if abs(value) < _FURTHEST else _FURTHEST


@njit(error_model="numpy")
def renew(
    law: int, m: float, first: int, kept: Floats, state: Integers, rng: np.random.Generator,
    centre: Floats, root: Floats, pivots: Floats, months: Months, shared: Floats, period: Floats,
    points: Floats, theta: Floats, log_weights: Floats, fresh: bool,
) -> None:  # fmt: skip
    """Draw the points of some base models anew, but for the kept ones, and weigh them.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.growth.law`.
    m : float
        The constant m of the curve.
    first : int
        Position of the first of them among all.
    kept : ndarray, shape (all base models, parameters)
        First point of each; those of base models that are ``ASLEEP`` are drawn as well.
    state : ndarray of int64, shape (all base models,)
        As in `bayes_hfgrowth.whitening.log_density`.
    rng : numpy.random.Generator
        Source of randomness.
    centre, root : ndarray
        Of `bayes_hfgrowth.proposals.Proposals`.
    pivots : ndarray, shape (all base models, 7)
        Of `bayes_hfgrowth.straightening.pivots_at`.
    months : Months
        The months of all.
    shared, period : ndarray
        As in `bayes_hfgrowth.growth.points.log_likelihoods_at`.
    points, theta : ndarray, shape (base models, parameters, points)
        Get the points and the growth parameters there.
    log_weights : ndarray, shape (base models, points)
        Gets the log density of the months less that of the proposal.
    fresh : bool
        Whether to draw; else `points` holds them, and they are only weighed.
    """
    some, size, number = points.shape
    straight, value = np.empty((size, number)), np.empty(number)
    work = np.empty((ROWS, number))
    for at in range(some):
        i = first + at
        if fresh:
            if state[i] == ASLEEP:
                fill_freely(rng, kept[i])
            fill_crosses(kept[i], rng, points[at])
        _straight(centre[i], root[i], points[at], straight, log_weights[at])
        _bent(i, pivots, straight, theta[at], log_weights[at])
        log_likelihoods_at(law, i, months, m, theta[at], shared, period, value, work)
        for s in range(number):
            weight = log_weights[at, s] + value[s]
            log_weights[at, s] = weight if weight > _LEAST else _LEAST


# --- Their average, in loops that are turned into vector instructions ---------------------


@inner()
def _add_normal(theta: Floats, mean: float, q: float, out: Floats) -> None:
    for s in range(len(out)):
        away = theta[s] - mean
        out[s] -= 0.5 * away * away * q


@inner(fastmath={"nnan", "nsz"})
def _largest(values: Floats) -> float:
    top = values[0]
    for s in range(len(values)):
        top = max(top, values[s])
    return top


@inner()
def _exponentials(logarithms: Floats, top: float, out: Floats) -> None:
    for s in range(len(out)):
        out[s] = exp(max(logarithms[s] - top, -690.0))


@inner(fastmath={"reassoc", "contract"})
def _sum(values: Floats) -> float:
    total = 0.0
    for s in range(len(values)):
        total += values[s]
    return total


@inner(fastmath={"reassoc", "contract"})
def _moments(weights: Floats, theta: Floats, mean: float) -> tuple[float, float]:
    """Weighted sums of the distances from the mean, and of their squares."""
    first = second = 0.0
    for s in range(len(weights)):
        away = theta[s] - mean
        weighted = weights[s] * away
        first += weighted
        second += weighted * away
    return first, second


@inner()
def _weigh(
    i: int, o: int, theta: Floats, log_weights: Floats, means: Floats, q: Floats,
    logarithms: Floats, weights: Floats,
) -> float:  # fmt: skip
    """Weights of the points of a base model, the largest 1; the logarithm of that one."""
    for s in range(len(logarithms)):
        logarithms[s] = log_weights[i, s]
    for k in range(len(q)):
        _add_normal(theta[i, k], means[o, k], q[k], logarithms)
    top = _largest(logarithms)
    _exponentials(logarithms, top, weights)
    return top


@njit(error_model="numpy")
def log_average(
    theta: Floats, log_weights: Floats, first: int, silent: bool, group: Integers,
    population: Drawn, by: Drawn,
) -> float:  # fmt: skip
    """Log density of some base models, averaged over their points.

    Parameters
    ----------
    theta, log_weights
        Filled by `renew`.
    first : int
        Position of the first of them among all.
    silent : bool
        Whether they have no fine-tune, so that they may be dormant.
    group : ndarray of int, shape (all base models,)
        Organization of each base model.
    population : Drawn
        The population.
    by : Drawn
        Gets the derivatives added.
    """
    some, number = log_weights.shape
    means, q = population.means, precisions(population.log_spreads)
    size = len(q)
    constant = -size * _HALF_LOG_2PI
    for k in range(size):
        constant -= population.log_spreads[k]
    logarithms, weights = np.empty(number), np.empty(number)
    total = 0.0
    for at in range(some):
        o = group[first + at]
        top = _weigh(at, o, theta, log_weights, means, q, logarithms, weights)
        whole = _sum(weights)
        dormant = 1.0 / (1.0 + math.exp(-population.logits[o]))
        value = top + math.log(whole / number) + constant
        part = 1.0
        if silent and dormant > 0.0:
            mean = math.exp(min(value, 600.0))
            both = dormant + (1.0 - dormant) * mean
            part = (1.0 - dormant) * mean / both
            by.logits[o] += dormant * (1.0 - dormant) * (1.0 - mean) / both
            total += math.log(both)
        else:
            total += value + math.log1p(-dormant)
            by.logits[o] -= dormant
        for k in range(size):
            linear, square = _moments(weights, theta[at, k], means[o, k])
            by.means[o, k] += part * q[k] * linear / whole
            by.log_spreads[k] += part * (q[k] * square / whole - 1.0)
    return total


@njit(error_model="numpy")
def pick(
    theta: Floats, log_weights: Floats, first: int, silent: bool, group: Integers,
    population: Drawn, uniform: Floats, picked: Integers,
) -> None:  # fmt: skip
    """Pick a point of some base models in proportion to its weight, or none if they are dormant.

    Parameters
    ----------
    theta, log_weights, first, silent, group, population
        As in `log_average`.
    uniform : ndarray, shape (all base models,)
        Random numbers between 0 and 1.
    picked : ndarray of int, shape (all base models,)
        Gets the positions; -1 for a base model that is dormant.
    """
    some, number = log_weights.shape
    q = precisions(population.log_spreads)
    constant = -len(q) * _HALF_LOG_2PI
    for k in range(len(q)):
        constant -= population.log_spreads[k]
    logarithms, weights = np.empty(number), np.empty(number)
    for at in range(some):
        i = first + at
        o = group[i]
        top = _weigh(at, o, theta, log_weights, population.means, q, logarithms, weights)
        whole = _sum(weights)
        left = uniform[i]
        if silent:
            dormant = 1.0 / (1.0 + math.exp(-population.logits[o]))
            alive = (1.0 - dormant) * math.exp(min(top + constant, 600.0)) * whole / number
            share = dormant / (dormant + alive)
            if left < share:
                picked[i] = -1
                continue
            left = (left - share) / (1.0 - share)
        height = left * whole
        s = 0
        while s < number - 1 and weights[s] < height:
            height -= weights[s]
            s += 1
        picked[i] = s
