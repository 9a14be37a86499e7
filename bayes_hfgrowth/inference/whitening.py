"""The base models' parameters in coordinates that look standard normal to the sampler.

Given the population, base model i has a normal prior N(mean, diag(spread²)) on its growth
parameters θ_i. Its months are summed up beforehand as a normal likelihood in θ_i, with
precision matrix H_i and precision-weighted centre b_i. Prior and summary together are normal:

    P = H_i + diag(spread⁻²) = L Lᵀ,    centre c = P⁻¹ (b_i + spread⁻² · mean).

The sampler moves y_i in θ_i = c + L⁻ᵀ y_i. Where the summary is good, y_i is nearly standard
normal and independent of the population: strongly observed base models are centred by it,
weakly observed ones non-centred, the ridge between immediacy and fitness is turned along the
axes, and no funnel opens as a spread falls. The density is exact whatever H_i and b_i are,

    log p(y_i, data | population) = log p(data | θ_i) + log N(θ_i; mean, diag(spread²)) - ln|L|,

so a poor summary costs speed, not truth. (The idea is that of the data-based
reparameterisation of Christensen, Roberts and Sköld 2006 and of the dynamically rescaled
Hamiltonian Monte Carlo of Kleppe 2019.)
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.gradient import BATCH, batch, gradient, working_space
from bayes_hfgrowth.growth.transition import Floats, Integers
from bayes_hfgrowth.inference.ridge import bend, bend_back

__all__ = ["back", "by_log_normal", "factorise", "log_density", "log_normal", "precisions"]

# Loops in the place of expressions of whole arrays take a fraction of their time to compile.


@njit(error_model="numpy")
def precisions(log_spreads: Floats) -> Floats:
    """spread⁻², of the logarithms of the spreads."""
    q = np.empty(len(log_spreads))
    for k in range(len(q)):
        q[k] = math.exp(-2.0 * log_spreads[k])
    return q


# The functions below take whole arrays and positions in them, because each slice of an array
# costs as much as a row of the arithmetic.


@njit(error_model="numpy")
def factorise(
    i: int,
    o: int,
    at: int,
    precision: Floats,
    weighted: Floats,
    means: Floats,
    q: Floats,
    chol: Floats,
    inverse: Floats,
    centre: Floats,
) -> None:
    """Coordinates of one member: L, its inverse, and the centre c.

    Parameters
    ----------
    i, o, at : int
        Positions of the member in the summaries, of its group in `means`, and where in
        `chol`, `inverse` and `centre` to write.
    precision, weighted : ndarray, shape (members, parameters[, parameters])
        The normal summaries H, b.
    means, q : ndarray, shape (groups, parameters) and (parameters,)
        Means of the groups, and spread⁻².
    chol, inverse, centre : ndarray, shape (places, parameters[, parameters])
        Get L, L⁻¹ (lower triangles) and c.
    """
    size = len(q)
    for r in range(size):
        for c in range(r + 1):
            value = precision[i, r, c]
            if r == c:
                value += q[r]
            for k in range(c):
                value -= chol[at, r, k] * chol[at, c, k]
            if r == c:
                chol[at, r, r] = math.sqrt(value)
                inverse[at, r, r] = 1.0 / chol[at, r, r]
            else:
                chol[at, r, c] = value * inverse[at, c, c]
    for c in range(size):
        for r in range(c + 1, size):
            value = 0.0
            for k in range(c, r):
                value -= chol[at, r, k] * inverse[at, k, c]
            inverse[at, r, c] = value * inverse[at, r, r]
    for r in range(size):
        centre[at, r] = 0.0
    for r in range(size):
        value = 0.0
        for k in range(r + 1):
            value += inverse[at, r, k] * (weighted[i, k] + q[k] * means[o, k])
        for k in range(r + 1):
            centre[at, k] += inverse[at, r, k] * value


@njit(error_model="numpy")
def log_normal(at: int, theta: Floats, mean: Floats, q: Floats, chol: Floats) -> float:
    """Log density of N(θ; mean, diag(1/q)) less ln|L|, up to a constant.

    Parameters
    ----------
    at : int
        Position of the coordinates of the member.
    theta, mean : ndarray, shape (parameters,)
        The member, and its mean.
    q, chol
        As in `factorise`.
    """
    total, ratio = 0.0, 1.0
    for k in range(len(q)):
        distance = theta[k] - mean[k]
        total -= 0.5 * distance * distance * q[k]
        ratio *= q[k] / (chol[at, k, k] * chol[at, k, k])
    return total + 0.5 * math.log(ratio)


@njit(error_model="numpy")
def by_log_normal(
    i: int,
    o: int,
    theta: Floats,
    means: Floats,
    q: Floats,
    by_theta: Floats,
    by_means: Floats,
    by_log_spreads: Floats,
) -> None:
    """Add the derivatives of `log_normal`, but for those of ln|L|, which `back` has.

    Parameters are those of `back`.
    """
    for k in range(len(q)):
        distance = theta[i, k] - means[o, k]
        pull = distance * q[k]
        by_theta[i, k] -= pull
        by_means[o, k] += pull
        by_log_spreads[k] += distance * pull - 1.0


@njit(error_model="numpy")
def back(
    i: int,
    o: int,
    at: int,
    by_theta: Floats,
    theta: Floats,
    means: Floats,
    q: Floats,
    chol: Floats,
    inverse: Floats,
    centre: Floats,
    scratch: Floats,
    by_y: Floats,
    by_means: Floats,
    by_log_spreads: Floats,
    jacobian: bool,
) -> None:
    """Take a derivative by θ back through θ = c + L⁻ᵀ y.

    Parameters
    ----------
    i, o, at : int
        Positions of the member, of its group, and of its coordinates.
    by_theta, theta : ndarray, shape (members, parameters)
        The derivative, and where it is taken.
    means, q, chol, inverse, centre
        As in `factorise`.
    scratch : ndarray, shape (2, parameters, parameters)
        Working space.
    by_y : ndarray, shape (members, parameters)
        Gets the derivative by y.
    by_means, by_log_spreads : ndarray, shape (groups, parameters) and (parameters,)
        Get the derivatives by the mean and ln spreads added.
    jacobian : bool
        Whether to add the derivative of -ln|L|.
    """
    size = len(q)
    for r in range(size):
        value = 0.0
        for k in range(r + 1):
            value += inverse[at, r, k] * by_theta[i, k]
        by_y[i, r] = value
    # Through the factorisation; only the diagonal of P depends on the spreads.
    for r in range(size):
        for c in range(r + 1):
            scratch[0, r, c] = -(theta[i, r] - centre[at, r]) * by_y[i, c]
        if jacobian:
            scratch[0, r, r] -= inverse[at, r, r]
    for r in range(size):
        for c in range(r + 1):
            value = 0.0
            for k in range(r, size):
                value += chol[at, k, r] * scratch[0, k, c]
            scratch[1, r, c] = value if r != c else 0.5 * value
    for k in range(size):
        by_centre = 0.0
        for r in range(k, size):
            by_centre += inverse[at, r, k] * by_y[i, r]
        by_q = by_centre * (means[o, k] - centre[at, k])
        for r in range(k, size):
            for c in range(k, r + 1):
                by_q += inverse[at, r, k] * scratch[1, r, c] * inverse[at, c, k]
        by_log_spreads[k] -= 2.0 * q[k] * by_q
        by_means[o, k] += by_centre * q[k]


@njit(error_model="numpy")
def log_density(
    law: int,
    y: Floats,
    means: Floats,
    log_spreads: Floats,
    carry: Floats,
    logit_dormancy: Floats,
    precision: Floats,
    weighted: Floats,
    pivots: Floats,
    group: Integers,
    start: Integers,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    constants: Floats,
    m: float,
    theta: Floats,
    by_means: Floats,
    by_log_spreads: Floats,
    by_carry: Floats,
    by_logit_dormancy: Floats,
) -> tuple[float, Floats]:
    """Log density of base models with fine-tunes in whitened coordinates, and its gradient.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.growth.transition`.
    y : ndarray, shape (base models, parameters)
        Whitened coordinates of base models that have a fine-tune, so are not dormant;
        parameters are 3, or 4 under ``SURGE``.
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters.
    log_spreads : ndarray, shape (parameters,)
        ln of the standard deviations of base models within their organization.
    carry : ndarray, shape (2,)
        Strength and memory of the carry-over.
    logit_dormancy : ndarray, shape (organizations,)
        Logit of the share of dormant base models; -inf where there is none.
    precision, weighted : ndarray, shape (base models, parameters[, parameters])
        The normal summaries H and b.
    pivots : ndarray, shape (base models, 7)
        Where some base models are straightened; see `bayes_hfgrowth.inference.ridge`.
    group : ndarray of int, shape (base models,)
        Organization of each base model.
    start, log_age, previous, new, constants, m
        The months, as in `bayes_hfgrowth.growth.transition.pointwise`.
    theta : ndarray, shape (base models, parameters)
        Filled with the growth parameters at `y`.
    by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Get the derivatives added.

    Returns
    -------
    total : float
        Log density, up to a constant; -inf where it is not a number.
    by_y : ndarray, shape (base models, parameters)
        Its derivatives by `y`.
    """
    n, size = y.shape
    straight = np.empty((n, size))
    by_y = np.zeros((n, size))
    no_trace = np.empty((0, 7))
    q = precisions(log_spreads)
    # A batch holds no more base models than months.
    chol, inverse = np.zeros((BATCH, size, size)), np.zeros((BATCH, size, size))
    centre, by_theta = np.zeros((BATCH, size)), np.empty((n, size))
    scratch = np.zeros((2, size, size))
    values, slopes, work = np.empty(BATCH), np.empty((BATCH, 6)), working_space(start)
    total = 0.0
    first = 0
    while first < n:
        last = batch(start, first)
        months = slice(start[first], start[last])
        begin = start[first : last + 1] - start[first]
        for i in range(first, last):
            at = i - first
            factorise(i, group[i], at, precision, weighted, means, q, chol, inverse, centre)
            for r in range(size):
                value = centre[at, r]
                for k in range(r, size):
                    value += inverse[at, k, r] * y[i, k]
                straight[i, r] = value
            total += bend(i, pivots, straight, theta)
        gradient(
            law, begin, log_age[months], previous[months], new[months], constants[months], m,
            theta[first:last], carry[0], carry[1], values, slopes, no_trace, work,
        )  # fmt: skip
        for i in range(first, last):
            at, o = i - first, group[i]
            dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[o]))
            total += values[at] + log_normal(at, theta[i], means[o], q, chol) + math.log1p(-dormant)
            by_logit_dormancy[o] -= dormant
            by_carry[0] += slopes[at, 4]
            by_carry[1] += slopes[at, 5]
            for k in range(size):
                by_theta[i, k] = slopes[at, k]
            by_log_normal(i, o, theta, means, q, by_theta, by_means, by_log_spreads)
            bend_back(i, pivots, theta, by_theta)
            back(
                i, o, at, by_theta, straight, means, q, chol, inverse, centre, scratch, by_y,
                by_means, by_log_spreads, True,
            )  # fmt: skip
        first = last
    if math.isnan(total):
        total = -np.inf
    return total, by_y
