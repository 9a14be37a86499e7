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

from bayes_hfgrowth.silent import log_density_silent
from bayes_hfgrowth.transition import Floats, Integers, gradient

__all__ = ["back", "factorise", "log_density", "log_normal"]


@njit(error_model="numpy")
def factorise(
    precision: Floats,
    weighted: Floats,
    mean: Floats,
    q: Floats,
    chol: Floats,
    inverse: Floats,
    centre: Floats,
) -> None:
    """Coordinates of one base model: L, its inverse, and the centre c.

    Parameters
    ----------
    precision, weighted : ndarray, shape (parameters, parameters) and (parameters,)
        The normal summary H, b.
    mean, q : ndarray, shape (parameters,)
        Mean of the organization, and spread⁻².
    chol, inverse, centre : ndarray
        Filled with L, L⁻¹ (lower triangles) and c.
    """
    size = len(mean)
    for r in range(size):
        for c in range(r + 1):
            value = precision[r, c]
            if r == c:
                value += q[r]
            for k in range(c):
                value -= chol[r, k] * chol[c, k]
            if r == c:
                chol[r, r] = math.sqrt(value)
                inverse[r, r] = 1.0 / chol[r, r]
            else:
                chol[r, c] = value * inverse[c, c]
    for c in range(size):
        for r in range(c + 1, size):
            value = 0.0
            for k in range(c, r):
                value -= chol[r, k] * inverse[k, c]
            inverse[r, c] = value * inverse[r, r]
    centre[:] = 0.0
    for r in range(size):
        value = 0.0
        for k in range(r + 1):
            value += inverse[r, k] * (weighted[k] + q[k] * mean[k])
        for k in range(r + 1):
            centre[k] += inverse[r, k] * value


@njit(error_model="numpy")
def back(
    by_theta: Floats,
    theta: Floats,
    mean: Floats,
    q: Floats,
    chol: Floats,
    inverse: Floats,
    centre: Floats,
    by_y: Floats,
    by_mean: Floats,
    by_log_spreads: Floats,
    jacobian: bool = True,
) -> None:
    """Take a derivative by θ back through θ = c + L⁻ᵀ y.

    Parameters
    ----------
    by_theta : ndarray, shape (parameters,)
        The derivative at `theta`.
    theta : ndarray, shape (parameters,)
        Where.
    mean, q, chol, inverse, centre
        As in `factorise`.
    by_y : ndarray, shape (parameters,)
        Filled with the derivative by y.
    by_mean, by_log_spreads : ndarray, shape (parameters,)
        Get the derivatives by mean and ln spreads added.
    jacobian : bool
        Whether to add the derivative of -ln|L|.
    """
    size = len(mean)
    by_centre, by_chol, half = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    for r in range(size):
        by_y[r] = 0.0
        for k in range(r + 1):
            by_y[r] += inverse[r, k] * by_theta[k]
    for r in range(size):
        for k in range(r, size):
            by_centre[r] += inverse[k, r] * by_y[k]
    # Through the factorisation; only the diagonal of P depends on the spreads.
    for r in range(size):
        for c in range(r + 1):
            by_chol[r, c] = -(theta[r] - centre[r]) * by_y[c]
        if jacobian:
            by_chol[r, r] -= inverse[r, r]
    for r in range(size):
        for c in range(r + 1):
            value = 0.0
            for k in range(r, size):
                value += chol[k, r] * by_chol[k, c]
            half[r, c] = value if r != c else 0.5 * value
    for k in range(size):
        by_q = by_centre[k] * (mean[k] - centre[k])
        for r in range(k, size):
            for c in range(k, r + 1):
                by_q += inverse[r, k] * half[r, c] * inverse[c, k]
        by_log_spreads[k] -= 2.0 * q[k] * by_q
        by_mean[k] += by_centre[k] * q[k]


@njit(error_model="numpy")
def log_normal(
    theta: Floats,
    mean: Floats,
    q: Floats,
    chol: Floats,
    by_theta: Floats,
    by_mean: Floats,
    by_log_spreads: Floats,
) -> float:
    """Log density of N(θ; mean, diag(1/q)) less ln|L|, up to a constant; adds derivatives.

    Those of -ln|L| are left to `back`.
    """
    total, ratio = 0.0, 1.0
    for k in range(len(mean)):
        distance = theta[k] - mean[k]
        pull = distance * q[k]
        total -= 0.5 * distance * pull
        ratio *= q[k] / (chol[k, k] * chol[k, k])
        by_theta[k] -= pull
        by_mean[k] += pull
        by_log_spreads[k] += distance * pull - 1.0
    return total + 0.5 * math.log(ratio)


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
    group: Integers,
    start: Integers,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    constants: Floats,
    number: Floats,
    points: Floats,
    m: float,
) -> tuple[float, Floats, Floats, Floats, Floats, Floats, Floats]:
    """Log density of all base models in whitened coordinates, and its gradient.

    Parameters
    ----------
    law : int
        One of the laws of `bayes_hfgrowth.transition`.
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
    group : ndarray of int, shape (base models,)
        Organization of each base model.
    start, log_age, previous, new, constants, m
        The months, as in `bayes_hfgrowth.transition.pointwise`.
    number, points : ndarray
        The base models whose parameters are summed out, which are not among those above; see
        `bayes_hfgrowth.silent.log_density_silent`.

    Returns
    -------
    total : float
        Log density, up to a constant.
    theta : ndarray, shape (base models, parameters)
        The growth parameters at `y`.
    by_y, by_means, by_log_spreads, by_carry, by_logit_dormancy : ndarray
        Derivatives of `total`.
    """
    n, size = y.shape
    theta = np.empty((n, size))
    by_y = np.empty((n, size))
    by_means = np.zeros(means.shape)
    by_log_spreads = np.zeros(size)
    by_carry = np.zeros(2)
    by_logit_dormancy = np.zeros(means.shape[0])
    no_trace = np.empty((0, 7))
    q = np.exp(-2.0 * log_spreads)
    chol = np.zeros((size, size))
    inverse = np.zeros((size, size))  # of chol
    centre = np.zeros(size)
    point = np.zeros(4)
    grad = np.zeros(6)
    by_theta = np.zeros(size)
    total = log_density_silent(
        law, means, log_spreads, carry, logit_dormancy, number, points, m, by_means,
        by_log_spreads, by_carry, by_logit_dormancy,
    )  # fmt: skip
    for i in range(n):
        mean = means[group[i]]
        factorise(precision[i], weighted[i], mean, q, chol, inverse, centre)
        for r in range(size):
            theta[i, r] = centre[r]
            for k in range(r, size):
                theta[i, r] += inverse[k, r] * y[i, k]
            point[r] = theta[i, r]
        value = gradient(
            law, start[i], start[i + 1], log_age, previous, new, constants, m, point,
            carry[0], carry[1], grad, no_trace,
        )  # fmt: skip
        dormant = 1.0 / (1.0 + math.exp(-logit_dormancy[group[i]]))
        total += value + math.log1p(-dormant)
        by_logit_dormancy[group[i]] -= dormant
        by_carry[0] += grad[4]
        by_carry[1] += grad[5]
        by_theta[:] = grad[:size]
        total += log_normal(theta[i], mean, q, chol, by_theta, by_means[group[i]], by_log_spreads)
        back(
            by_theta, theta[i], mean, q, chol, inverse, centre, by_y[i], by_means[group[i]],
            by_log_spreads,
        )  # fmt: skip
    return total, theta, by_y, by_means, by_log_spreads, by_carry, by_logit_dormancy
