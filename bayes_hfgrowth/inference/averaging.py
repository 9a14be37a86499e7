"""Log density of the population, base models averaged over points that stay where they are.

    Σ_i ln 1/S Σ_s p(months_i | θ_is) N(θ_is; mean, diag(spread²)) / proposal(θ_is).

What does not hang on the population, the months and the proposal, is the log weight of a point,
reckoned once; so the sum costs no more than S normal densities a base model.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.elementary import exp, inner
from bayes_hfgrowth.growth.point_likelihoods import POINT_ROWS, log_likelihoods_at
from bayes_hfgrowth.growth.transition import Floats, Integers
from bayes_hfgrowth.inference.crosses import fill_crosses, log_density_of
from bayes_hfgrowth.inference.ridge import bend
from bayes_hfgrowth.inference.whitening import precisions

__all__ = ["log_average", "pick", "renew"]

_LEAST = -1e300  # log weight of what is impossible
_FURTHEST = 1e3  # where impossible growth parameters are put, lest they make others so


# --- Points -----------------------------------------------------------------------------


@inner()
def _straight(centre: Floats, root: Floats, points: Floats, straight: Floats, out: Floats) -> None:
    """Straightened growth parameters at points; `out` gets minus their log proposal density."""
    size, number = points.shape
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
        out[s] = -log_density_of(out[s], size)


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
    kept: Floats, rng: np.random.Generator, law: int, centre: Floats, root: Floats, pivots: Floats,
    start: Integers, log_age: Floats, previous: Floats, new: Floats, constants: Floats, m: float,
    carry: Floats, points: Floats, theta: Floats, log_weights: Floats,
) -> None:  # fmt: skip
    """Draw the points of every base model anew, but for the kept ones.

    Parameters
    ----------
    kept : ndarray, shape (base models, parameters)
        First point of each.
    rng : numpy.random.Generator
        Source of randomness.
    law : int
        One of the laws of `bayes_hfgrowth.growth.transition`.
    centre, root : ndarray
        Of `bayes_hfgrowth.inference.proposals.Proposals`.
    pivots : ndarray, shape (base models, 7)
        Of `bayes_hfgrowth.inference.ridge.pivots_at`.
    start, log_age, previous, new, constants, m
        The months, as in `bayes_hfgrowth.growth.transition.pointwise`.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    points, theta : ndarray, shape (base models, parameters, points)
        Get the points and the growth parameters there.
    log_weights : ndarray, shape (base models, points)
        Gets the log density of the months less that of the proposal, up to a constant.
    """
    size, number = points.shape[1], points.shape[2]
    straight, value = np.empty((size, number)), np.empty(number)
    work = np.empty((POINT_ROWS, number))
    for i in range(len(kept)):
        fill_crosses(kept[i], rng, points[i])
        _straight(centre[i], root[i], points[i], straight, log_weights[i])
        _bent(i, pivots, straight, theta[i], log_weights[i])
        months = slice(start[i], start[i + 1])
        log_likelihoods_at(
            law, log_age[months], previous[months], new[months], constants[months], m, theta[i],
            carry, value, work,
        )  # fmt: skip
        for s in range(number):
            weight = log_weights[i, s] + value[s]
            log_weights[i, s] = weight if weight > _LEAST else _LEAST


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
    theta: Floats, log_weights: Floats, group: Integers, means: Floats, log_spreads: Floats,
    logit_dormancy: Floats, by_means: Floats, by_log_spreads: Floats, by_logit_dormancy: Floats,
) -> float:  # fmt: skip
    """Log density of base models with fine-tunes, averaged over their points, up to a constant.

    Parameters
    ----------
    theta, log_weights
        Filled by `renew`.
    group : ndarray of int, shape (base models,)
        Organization of each base model.
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters.
    log_spreads : ndarray, shape (parameters,)
        ln of the standard deviations of base models within their organization.
    logit_dormancy : ndarray, shape (organizations,)
        Logit of the share of dormant base models, which these are not; -inf where there is none.
    by_means, by_log_spreads, by_logit_dormancy : ndarray
        Get the derivatives added.
    """
    number, size = log_weights.shape[1], len(log_spreads)
    q = precisions(log_spreads)
    logarithms, weights = np.empty(number), np.empty(number)
    total = 0.0
    for k in range(size):
        total -= len(group) * log_spreads[k]
    for i in range(len(group)):
        o = group[i]
        top = _weigh(i, o, theta, log_weights, means, q, logarithms, weights)
        whole = _sum(weights)
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[o]))
        total += top + math.log(whole / number) + math.log1p(-dormant)
        by_logit_dormancy[o] -= dormant
        for k in range(size):
            first, second = _moments(weights, theta[i, k], means[o, k])
            by_means[o, k] += q[k] * first / whole
            by_log_spreads[k] += q[k] * second / whole - 1.0
    return total


@njit(error_model="numpy")
def pick(
    theta: Floats, log_weights: Floats, group: Integers, means: Floats, log_spreads: Floats,
    uniform: Floats, picked: Integers,
) -> None:  # fmt: skip
    """Pick a point of each base model in proportion to its weight.

    Parameters
    ----------
    theta, log_weights, group, means, log_spreads
        As in `log_average`.
    uniform : ndarray, shape (base models,)
        Random numbers between 0 and 1.
    picked : ndarray of int, shape (base models,)
        Gets the positions.
    """
    number = log_weights.shape[1]
    q = precisions(log_spreads)
    logarithms, weights = np.empty(number), np.empty(number)
    for i in range(len(group)):
        _weigh(i, group[i], theta, log_weights, means, q, logarithms, weights)
        height = uniform[i] * _sum(weights)
        at = 0
        while at < number - 1 and weights[at] < height:
            height -= weights[at]
            at += 1
        picked[i] = at
