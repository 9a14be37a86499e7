"""Partial non-centring: the base models' parameters, nearly standard normal to the sampler.

Given the population, base model i has a normal prior N(mean, diag(scale²)) on its growth
parameters θ_i. Its months are summed up beforehand as a normal likelihood in θ_i, with
precision matrix H_i and precision-weighted centre b_i. Prior and summary together are normal:

    P = H_i + diag(scale⁻²) = L Lᵀ,    centre c = P⁻¹ (b_i + scale⁻² · mean).

The sampler moves y_i in θ_i = c + L⁻ᵀ y_i. Where the summary is good, y_i is nearly standard
normal and independent of the population: strongly observed base models are centred by it,
weakly observed ones non-centred, the ridge between immediacy and fitness is rotated onto the
axes, and no funnel opens as a scale falls. The density is exact whatever H_i and b_i are,

    log p(y_i, data | population) = log p(data | θ_i) + log N(θ_i; mean, diag(scale²)) - ln|L|,

so a poor summary costs speed, not truth. The centre b_i also moves with the exponent and the
period effects, which all base models share, as the months would have it. (The idea is that of
the data-based reparameterisation of Christensen, Roberts and Sköld 2006 and of the dynamically
rescaled Hamiltonian Monte Carlo of Kleppe 2019.)
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.law import EXPONENT, Floats, Integers
from bayes_hfgrowth.inference.ridge import from_ridge, from_ridge_back

__all__ = [
    "Factors",
    "Level",
    "LevelSlopes",
    "NonCentring",
    "Placed",
    "PopulationPoint",
    "back",
    "by_log_normal",
    "factorise",
    "log_normal",
    "precisions",
    "room_for",
    "to_coordinates_back",
    "to_parameters",
]


class PopulationPoint(NamedTuple):
    """One point of the population, or derivatives by it.

    Parameters
    ----------
    means : ndarray, shape (organizations, parameters)
        Organization means of the growth parameters, on the scale that is normal.
    log_scales : ndarray, shape (parameters,)
        Ln of the standard deviations of base models within their organization.
    shared : ndarray, shape (SHARED,)
        Parameters of the law that all base models share.
    period : ndarray, shape (calendar months,)
        Period effects.
    logits : ndarray, shape (organizations,)
        Logit of the share of structural zeros; -inf where there is none.
    """

    means: Floats
    log_scales: Floats
    shared: Floats
    period: Floats
    logits: Floats


class NonCentring(NamedTuple):
    """Normal summaries of the base models' months, which the coordinates follow.

    Parameters
    ----------
    precision, weighted : ndarray, shape (base models, parameters[, parameters])
        Precision matrix H and precision-weighted centre b.
    cross : ndarray, shape (base models, parameters, 1 + calendar months)
        How b moves with the exponent and the period effects.
    origin : ndarray, shape (1 + calendar months,)
        Exponent and period effects at which b is as it stands.
    pivots : ndarray, shape (base models, 7)
        Of the ridge reparametrisation, see `bayes_hfgrowth.inference.ridge`.
    """

    precision: Floats
    weighted: Floats
    cross: Floats
    origin: Floats
    pivots: Floats


class Level(NamedTuple):
    """Normal prior of the members of some groups.

    Parameters
    ----------
    means : ndarray, shape (groups, parameters)
        Mean of each group.
    q : ndarray, shape (parameters,)
        scale⁻², from `precisions`.
    """

    means: Floats
    q: Floats


class LevelSlopes(NamedTuple):
    """Derivatives by what is above some members.

    Parameters
    ----------
    means : ndarray, shape (groups, parameters)
        By the means of their groups.
    log_scales : ndarray, shape (parameters,)
        By ln of the scales.
    weighted : ndarray, shape (parameters,)
        By the weighted centre b of one member.
    """

    means: Floats
    log_scales: Floats
    weighted: Floats


class Factors(NamedTuple):
    """Coordinates of some members, which `factorise` finds.

    Parameters
    ----------
    chol, inverse : ndarray, shape (places, parameters, parameters)
        L and L⁻¹, lower triangles.
    centre : ndarray, shape (places, parameters)
        The centre c.
    scratch : ndarray, shape (2, parameters, parameters)
        Working space.
    """

    chol: Floats
    inverse: Floats
    centre: Floats
    scratch: Floats


class Placed(NamedTuple):
    """Base models at coordinates of theirs, which `to_parameters` fills for the way back.

    Parameters
    ----------
    factors : Factors
        Their coordinates.
    ridge : ndarray, shape (base models, parameters)
        Their growth parameters under the ridge reparametrisation.
    theta : ndarray, shape (base models, parameters)
        Their growth parameters.
    """

    factors: Factors
    ridge: Floats
    theta: Floats


@njit(error_model="numpy")
def room_for(places: int, size: int) -> Factors:
    """Factors of so many members of so many parameters, not filled."""
    shape = (places, size, size)
    return Factors(
        np.zeros(shape), np.zeros(shape), np.zeros((places, size)), np.zeros((2, size, size))
    )


# Loops in the place of expressions of whole arrays take a fraction of their time to compile.


@njit(error_model="numpy")
def precisions(log_scales: Floats) -> Floats:
    """scale⁻², of the logarithms of the scales."""
    q = np.empty(len(log_scales))
    for k in range(len(q)):
        q[k] = math.exp(-2.0 * log_scales[k])
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
    level: Level,
    factors: Factors,
) -> None:
    """Coordinates of one member: L, its inverse, and the centre c.

    Parameters
    ----------
    i, o, at : int
        Positions of the member in the summaries, of its group, and where in `factors` to write.
    precision, weighted : ndarray, shape (members, parameters[, parameters])
        The normal summaries H, b.
    level : Level
        Prior of the members.
    factors : Factors
        Gets L, L⁻¹ and c.
    """
    means, q = level
    chol, inverse, centre = factors.chol, factors.inverse, factors.centre
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
    i: int, o: int, theta: Floats, level: Level, by_theta: Floats, by: LevelSlopes
) -> None:
    """Add the derivatives of `log_normal`, but for those of ln|L|, which `back` has.

    Parameters
    ----------
    i, o : int
        Positions of the member and of its group.
    theta, by_theta : ndarray, shape (members, parameters)
        The members, and what gets the derivatives by them added.
    level : Level
        Their prior.
    by : LevelSlopes
        Gets the derivatives by that added.
    """
    for k in range(len(level.q)):
        distance = theta[i, k] - level.means[o, k]
        pull = distance * level.q[k]
        by_theta[i, k] -= pull
        by.means[o, k] += pull
        by.log_scales[k] += distance * pull - 1.0


@njit(error_model="numpy")
def back(
    places: tuple[int, int, int],
    theta: Floats,
    by_theta: Floats,
    level: Level,
    factors: Factors,
    by: LevelSlopes,
    by_y: Floats,
    jacobian: bool,
) -> None:
    """Take a derivative by θ back through θ = c + L⁻ᵀ y.

    Parameters
    ----------
    places : tuple of (int, int, int)
        Positions of the member, of its group, and of its coordinates.
    theta, by_theta : ndarray, shape (members, parameters)
        Where the derivative is taken, and the derivative.
    level, factors
        As in `factorise`, which filled the latter.
    by : LevelSlopes
        Gets the derivatives by means and ln scales added; filled with those by b.
    by_y : ndarray, shape (members, parameters)
        Gets the derivative by y.
    jacobian : bool
        Whether to add the derivative of -ln|L|.
    """
    i, o, at = places
    means, q = level
    chol, inverse, centre, scratch = factors
    size = len(q)
    for r in range(size):
        value = 0.0
        for k in range(r + 1):
            value += inverse[at, r, k] * by_theta[i, k]
        by_y[i, r] = value
    # Through the factorisation; only the diagonal of P depends on the scales.
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
        by.weighted[k] = by_centre
        by_q = by_centre * (means[o, k] - centre[at, k])
        for r in range(k, size):
            for c in range(k, r + 1):
                by_q += inverse[at, r, k] * scratch[1, r, c] * inverse[at, c, k]
        by.log_scales[k] -= 2.0 * q[k] * by_q
        by.means[o, k] += by_centre * q[k]


@njit(error_model="numpy")
def to_parameters(
    y: Floats,
    group: Integers,
    non_centring: NonCentring,
    population: PopulationPoint,
    placed: Placed,
) -> float:
    """Growth parameters at non-centred coordinates, and their log prior density in the latter.

    Parameters
    ----------
    y : ndarray, shape (base models, parameters)
        Non-centred coordinates; parameters are 3, or 4 under ``SURGE``.
    group : ndarray of int64, shape (base models,)
        Organization of each base model.
    non_centring : NonCentring
        The normal summaries.
    population : PopulationPoint
        The population.
    placed : Placed
        Filled.
    """
    n, size = y.shape
    factors, ridge, theta = placed
    level = Level(population.means, precisions(population.log_scales))
    calendar, weighted = len(non_centring.origin) - 1, np.empty((n, size))
    # Where the summaries' centres move with what all base models share.
    moved = np.empty(1 + calendar)
    moved[0] = population.shared[EXPONENT] - non_centring.origin[0]
    for k in range(calendar):
        moved[1 + k] = population.period[k] - non_centring.origin[1 + k]
    total = 0.0
    for i in range(n):
        o = group[i]
        for k in range(size):
            weighted[i, k] = non_centring.weighted[i, k]
            for c in range(1 + calendar):
                weighted[i, k] += non_centring.cross[i, k, c] * moved[c]
        factorise(i, o, i, non_centring.precision, weighted, level, factors)
        for r in range(size):
            value = factors.centre[i, r]
            for k in range(r, size):
                value += factors.inverse[i, k, r] * y[i, k]
            ridge[i, r] = value
        total += from_ridge(i, non_centring.pivots, ridge, theta)
        total += log_normal(i, theta[i], level.means[o], level.q, factors.chol)
    return total


@njit(error_model="numpy")
def to_coordinates_back(
    group: Integers,
    non_centring: NonCentring,
    population: PopulationPoint,
    placed: Placed,
    by_theta: Floats,
    by: PopulationPoint,
    by_y: Floats,
) -> float:
    """Take derivatives of `to_parameters` and by growth parameters back to the coordinates.

    Parameters
    ----------
    group, non_centring, population, placed
        As in `to_parameters`, which filled the last.
    by_theta : ndarray, shape (base models, parameters)
        Derivatives of the months' log density, overwritten.
    by : PopulationPoint
        Gets the derivatives by the population added.
    by_y : ndarray, shape (base models, parameters)
        Filled with those by the coordinates.

    Returns
    -------
    float
        Log probability that none is a structural zero.
    """
    factors, ridge, theta = placed
    n, size = theta.shape
    level = Level(population.means, precisions(population.log_scales))
    by_level = LevelSlopes(by.means, by.log_scales, np.empty(size))
    calendar = len(non_centring.origin) - 1
    by_moved = np.zeros(1 + calendar)
    total = 0.0
    for i in range(n):
        o = group[i]
        dormant = 1.0 / (1.0 + math.exp(-population.logits[o]))
        total += math.log1p(-dormant)
        by.logits[o] -= dormant
        by_log_normal(i, o, theta, level, by_theta, by_level)
        from_ridge_back(i, non_centring.pivots, theta, by_theta)
        back((i, o, i), ridge, by_theta, level, factors, by_level, by_y, True)
        for k in range(size):
            for c in range(1 + calendar):
                by_moved[c] += by_level.weighted[k] * non_centring.cross[i, k, c]
    by.shared[EXPONENT] += by_moved[0]
    for k in range(calendar):
        by.period[k] += by_moved[1 + k]
    return total
