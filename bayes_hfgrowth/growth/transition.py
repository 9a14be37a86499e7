"""The transition law: how many fine-tunes come next month, given those that came before.

Every formula of the law stands here once, in functions of numbers that Numba compiles; the
loops over months below them give its log density and random draws.
`bayes_hfgrowth.model.pymc_model` states the same law in PyMC and `bayes_hfgrowth.growth.gradient`
with its derivatives, and the tests hold the three together. The compiled functions are cached on
disk, for which Numba looks at the age of this one file; so whatever is to be cached and uses the
law by its formulas has to stand here.

A base model has the growth parameters ``(ln fitness, immediacy, ln longevity)``, and under the
surge law ``ln dispersion`` as a fourth. In the month that ends at age k, with c fine-tunes
before it, attention F(t) = Φ((ln t - immediacy) / longevity) and h = fitness · (F(k) - F(k-1)),

- ``POISSON`` (Wang, Song and Barabási 2013, as independent increments):
  new ~ Poisson(f), f = m (exp(fitness · F(k)) - exp(fitness · F(k-1)));
- ``BIRTH`` (the reinforced Poisson process of Shen, Wang, Song and Barabási 2014):
  new ~ NegativeBinomial(size c + m, p = exp(-h)), of mean f = (c + m)(exp(h) - 1);
- ``SURGE``: new ~ NegativeBinomial with mean ν = f · exp(strength · s) and variance
  ν + dispersion · ν^(3/2), where f is that of ``BIRTH`` and s remembers the surges so far:
  s = 0 at first, then s ← memory · s + (1 - memory) · ln((new + ½) / (f + ½)).

A base model may be dormant: then it never gets any fine-tune. Before its first month that has
the probability that its organization's share of dormant base models says; with each month that
stays empty it becomes likelier, by Bayes' rule, and with the first fine-tune it is ruled out.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import gammaln

__all__ = [
    "BIRTH",
    "CAP",
    "LIKELIHOODS",
    "POISSON",
    "SURGE",
    "month_constants",
    "negative_binomial",
    "pointwise",
    "replicate",
]

type Floats = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]

POISSON, BIRTH, SURGE = 0, 1, 2
LIKELIHOODS = {"poisson": POISSON, "birth": BIRTH, "surge": SURGE}
"""Number of each law, by its name in a specification."""

CAP = float(2**53)
"""Largest count that a simulation reaches; beyond it a double is no longer exact."""

_SQRT_HALF = math.sqrt(0.5)
_FEW = 4.0  # mean of a month up to which its count is drawn by inversion
_SCATTERED = 1e-3  # size as a share of the mean below which that could take very many steps
_TINY = 1e-300
_HUGE = 600.0  # exp of it is still a float, with room for the counts


@njit(inline="always", error_model="numpy")
def _tails(z: float) -> tuple[float, float]:
    """Φ(z) and 1 - Φ(z), both without cancellation."""
    tail = 0.5 * math.erfc(abs(z) * _SQRT_HALF)
    if z > 0.0:
        return 1.0 - tail, tail
    return tail, 1.0 - tail


@njit(inline="always", error_model="numpy")
def _share(
    z_before: float, lower_before: float, upper_before: float, lower: float, upper: float
) -> float:
    """Attention of one month, from the tails that are small there."""
    share = upper_before - upper if z_before > 0.0 else lower - lower_before
    return max(share, _TINY)


@njit(inline="always", error_model="numpy")
def _log_expected(
    law: int, previous: float, m: float, fitness: float, lower_before: float, growth: float
) -> float:
    """Ln f; `growth` is exp(h) - 1."""
    if law == POISSON:
        return math.log(m * growth) + fitness * lower_before
    return math.log((previous + m) * growth)


@njit(inline="always", error_model="numpy")
def _log_surge(new: float, expected: float) -> float:
    """How far a month surpassed what was expected of it, on the log scale."""
    return math.log((new + 0.5) / (expected + 0.5))


@njit(inline="always", error_model="numpy")
def _size(mean: float, dispersion: float) -> float:
    """Size of the negative binomial whose variance is mean + dispersion · mean^(3/2)."""
    return math.sqrt(mean) / dispersion


@njit(error_model="numpy", cache=True)
def _rising(size: float, new: float) -> float:
    """Ln Γ(new + size) - ln Γ(size); an exact sum for small counts."""
    if new <= 12.0:
        product = 1.0
        for j in range(int(new)):
            product *= size + j
        return math.log(product)
    return math.lgamma(new + size) - math.lgamma(size)


def month_constants(law: int, previous: Floats, new: Floats, m: float) -> Floats:
    """Terms of the log density that no parameter enters.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    previous, new : ndarray of float
        Cumulative count before each month, and fine-tunes in it.
    m : float
        The constant m of the curve.

    Returns
    -------
    ndarray of float
        To be added to the log density of each month.
    """
    constants = -gammaln(new + 1.0)
    if law == BIRTH:
        constants = constants + gammaln(new + previous + m) - gammaln(previous + m)
    return constants


@njit(inline="always", error_model="numpy")
def _hazard_at(
    log_age: float,
    z_before: float,
    lower_before: float,
    upper_before: float,
    fitness: float,
    immediacy: float,
    inverse: float,
) -> tuple[float, float, float, float]:
    z = (log_age - immediacy) * inverse
    lower, upper = _tails(z)
    share = _share(z_before, lower_before, upper_before, lower, upper)
    hazard = min(max(fitness * share, _TINY), _HUGE)
    return hazard, z, lower, upper


@njit(inline="always", error_model="numpy")
def _unless_dormant(value: float, dormant: float, new: float) -> tuple[float, float]:
    """Log density of a month when the base model may be dormant, and how likely that is then.

    `value` is the log density if it is not; `dormant` the probability before this month.
    """
    if new > 0.0:
        return value + math.log1p(-dormant), 0.0
    empty = dormant + (1.0 - dormant) * math.exp(value)
    return math.log(empty), dormant / empty


@njit(inline="always", error_model="numpy")
def _log_empty(
    law: int,
    log_f: float,
    hazard: float,
    count: float,
    m: float,
    strength: float,
    s: float,
    dispersion: float,
) -> float:
    """Log probability of a month without any fine-tune."""
    if law == POISSON:
        return -math.exp(log_f)
    if law == BIRTH:
        return -(count + m) * hazard
    mean = math.exp(max(min(log_f + strength * s, _HUGE), -_HUGE))
    size = _size(mean, dispersion)
    return -size * math.log1p(mean / size)


@njit(error_model="numpy", nogil=True, cache=True)
def pointwise(
    law: int,
    start: Integers,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    constants: Floats,
    m: float,
    theta: Floats,
    carry: Floats,
    group: Integers,
    dormancy: Floats,
    out: npt.NDArray[np.float32],
) -> None:
    """Log density of every month under every draw.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    start : ndarray of int, shape (base models + 1,)
        Base model i has the months ``start[i] .. start[i + 1] - 1``.
    log_age, previous, new, constants, m
        Ln of the age at the end of each month, the count before it, the fine-tunes in it, the
        result of `month_constants`, and the constant m of the curve.
    theta : ndarray, shape (draws, base models, 3 or 4)
        Growth parameters of each base model.
    carry : ndarray, shape (draws, 2)
        Strength and memory of the carry-over.
    group : ndarray of int, shape (base models,)
        Organization of each base model.
    dormancy : ndarray, shape (draws, organizations)
        Share of dormant base models.
    out : ndarray, shape (draws, months)
        Filled with the log densities, each given the months before it.
    """
    for d in range(theta.shape[0]):
        strength, memory = carry[d, 0], carry[d, 1]
        for i in range(theta.shape[1]):
            fitness = math.exp(theta[d, i, 0])
            immediacy = theta[d, i, 1]
            inverse = math.exp(-theta[d, i, 2])
            dispersion = math.exp(theta[d, i, 3]) if law == SURGE else 0.0
            z, lower, upper, s = -np.inf, 0.0, 1.0, 0.0
            dormant = dormancy[d, group[i]]
            for j in range(start[i], start[i + 1]):
                lower_before = lower
                hazard, z, lower, upper = _hazard_at(
                    log_age[j], z, lower, upper, fitness, immediacy, inverse
                )
                growth = math.expm1(hazard)
                log_f = _log_expected(law, previous[j], m, fitness, lower_before, growth)
                x = new[j]
                if law == POISSON:
                    value = x * log_f - math.exp(log_f)
                elif law == BIRTH:
                    value = -(previous[j] + m) * hazard
                    if x > 0.0:
                        value += x * (math.log(growth) - hazard)
                else:
                    log_mean = max(min(log_f + strength * s, _HUGE), -_HUGE)
                    mean = math.exp(log_mean)
                    size = _size(mean, dispersion)
                    value = _rising(size, x) - size * math.log1p(mean / size)
                    if x > 0.0:
                        value += x * (log_mean - math.log(size + mean))
                    s = memory * s + (1.0 - memory) * _log_surge(x, math.exp(log_f))
                value += constants[j]
                if dormant > 0.0:
                    value, dormant = _unless_dormant(value, dormant, x)
                out[d, j] = value


@njit(error_model="numpy", nogil=True)
def draw_poisson(mean: float, rng: np.random.Generator) -> float:
    """Draw a Poisson count, at most `CAP`."""
    return CAP if mean >= CAP else float(rng.poisson(mean))


@njit(error_model="numpy", nogil=True)
def negative_binomial(
    mean: float, size: float, log_empty: float, rng: np.random.Generator
) -> float:
    """Draw a negative binomial count, at most `CAP`.

    Parameters
    ----------
    mean, size : float
        Its variance is mean + mean² / size.
    log_empty : float
        Log probability of no fine-tune at all.
    rng : numpy.random.Generator
        Source of randomness.
    """
    if mean > _FEW or size < _SCATTERED * mean:
        # A gamma of tiny shape underflows to 0, and its Poisson draw is 0 as it should be.
        return draw_poisson(rng.gamma(size, mean / size) if size > 0.0 else 0.0, rng)
    # Inversion by walking up from 0: most months are empty, and then it is one step.
    left, mass, x = rng.random(), math.exp(log_empty), 0.0
    odds = mean / (size + mean)
    while left > mass > 0.0:
        left -= mass
        mass *= odds * (size + x) / (x + 1.0)
        x += 1.0
    return x


@njit(error_model="numpy", nogil=True, cache=True)
def replicate(
    law: int,
    start: Integers,
    log_age: Floats,
    previous: Floats,
    new: Floats,
    m: float,
    theta: Floats,
    carry: Floats,
    group: Integers,
    dormancy: Floats,
    rng: np.random.Generator,
    out: Integers,
) -> None:
    """Draw every observed month anew, given the months that were really observed before it.

    Parameters
    ----------
    law, start, log_age, previous, new, m, theta, carry, group, dormancy
        As in `pointwise`.
    rng : numpy.random.Generator
        Source of randomness.
    out : ndarray of int, shape (draws, months)
        Filled with the replicated fine-tunes of each month, at most `CAP`.
    """
    for d in range(theta.shape[0]):
        strength, memory = carry[d, 0], carry[d, 1]
        for i in range(theta.shape[1]):
            fitness = math.exp(theta[d, i, 0])
            immediacy = theta[d, i, 1]
            inverse = math.exp(-theta[d, i, 2])
            dispersion = math.exp(theta[d, i, 3]) if law == SURGE else 0.0
            z, lower, upper, s = -np.inf, 0.0, 1.0, 0.0
            dormant = dormancy[d, group[i]]
            for j in range(start[i], start[i + 1]):
                lower_before = lower
                hazard, z, lower, upper = _hazard_at(
                    log_age[j], z, lower, upper, fitness, immediacy, inverse
                )
                growth = math.expm1(hazard)
                log_f = _log_expected(law, previous[j], m, fitness, lower_before, growth)
                empty = _log_empty(law, log_f, hazard, previous[j], m, strength, s, dispersion)
                if dormant > 0.0 and rng.random() < dormant:
                    out[d, j] = 0
                elif law == POISSON:
                    out[d, j] = draw_poisson(math.exp(min(log_f, 40.0)), rng)
                elif law == BIRTH:
                    size = previous[j] + m
                    out[d, j] = negative_binomial(size * growth, size, empty, rng)
                else:
                    mean = math.exp(max(min(log_f + strength * s, 40.0), -_HUGE))
                    out[d, j] = negative_binomial(mean, _size(mean, dispersion), empty, rng)
                if dormant > 0.0:
                    dormant = _unless_dormant(empty, dormant, new[j])[1]
                if law == SURGE:
                    s = memory * s + (1.0 - memory) * _log_surge(new[j], math.exp(log_f))
