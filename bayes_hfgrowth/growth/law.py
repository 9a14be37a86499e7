"""The law of a month: how many fine-tunes it brings, given those that came before.

Every formula stands here once, in functions of numbers that Numba compiles into the loops that
call them: densities month by month (`bayes_hfgrowth.growth.monthwise`), likelihoods at many
parameters (`bayes_hfgrowth.growth.points`), simulation (`bayes_hfgrowth.growth.paths`) and
gradients (`bayes_hfgrowth.growth.adjoint`). `bayes_hfgrowth.model.pymc_model` states the same law
in PyMC, and tests hold the two together.

A base model has the growth parameters ``(ln fitness, immediacy, ln longevity)``, and under the
surge law ``ln dispersion`` as a fourth. In the month that ends at age k, with c fine-tunes
before it, attention F(t) = Φ((ln t - immediacy) / longevity) and h = fitness · (F(k) - F(k-1)),

- ``POISSON`` (Wang, Song and Barabási 2013, as independent increments):
  new ~ Poisson(f), f = m (exp(fitness · F(k)) - exp(fitness · F(k-1)));
- ``BIRTH`` (the reinforced Poisson process of Shen, Wang, Song and Barabási 2014):
  new ~ NegativeBinomial(size c + m, p = exp(-h)), of mean f = (c + m)(exp(h) - 1);
- ``SURGE``: sublinear reinforcement (Krapivsky, Redner and Leyvraz 2000), the rate being
  fitness · F'(t) · (c + m)^γ · exp(z) with the exponent γ and the period effect z. From c the
  month is expected to bring

      f = [((c + m)^(1-γ) + (1-γ) h)^(1/(1-γ)) - (c + m)] exp(z),

  and with what carries over of earlier months, ν = f · exp(strength · s). Its count is negative
  binomial with mean ν and variance ν + dispersion · ν^(3/2); or, with a small probability, it
  is a burst: negative binomial with mean factor · ν and a size of its own.

Of a burst only the regular part counts for what follows. With p the probability, given the
count, that the month was a burst, that part is r = new - p max(new - ν, 0): a month that falls
short of its mean is no burst. Then

    c ← c + r,    s ← memory · s + (1 - memory) · ln((r + ½) / (f + ½)),

from c = s = 0 at birth.

A base model may be dormant, a structural zero: then it never gets any fine-tune. Before its first
month that has the probability that its organization's share of structural zeros says; with each
month that stays empty it becomes likelier, by Bayes' rule, and with the first fine-tune it is ruled
out.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import gammaln

from bayes_hfgrowth.growth.elementary import exp, expm1, log, mills

__all__ = [
    "BIRTH",
    "CAP",
    "FACTOR",
    "LAW_NAMES",
    "LIKELIHOODS",
    "MEMORY",
    "POISSON",
    "PROBABILITY",
    "SHARED",
    "SIZE",
    "STRENGTH",
    "SURGE",
    "LawDraws",
    "Months",
    "Observed",
    "Shared",
    "month_constants",
]

type Floats = npt.NDArray[np.float64]
type Integers = npt.NDArray[np.int64]

POISSON, BIRTH, SURGE = 0, 1, 2
LIKELIHOODS = {"poisson": POISSON, "birth": BIRTH, "surge": SURGE}
"""Number of each law, by its name in a specification."""

CAP = float(2**53)
"""Largest count that a simulation reaches; beyond it a double is no longer exact."""

EXPONENT, STRENGTH, MEMORY, PROBABILITY, FACTOR, SIZE = range(6)
LAW_NAMES = (
    "reinforcement_exponent",
    "carry_over_strength",
    "carry_over_memory",
    "burst_probability",
    "burst_factor",
    "burst_size",
)
"""Parameters that all base models share, in the order in which the law takes them."""

SHARED = len(LAW_NAMES)
"""How many they are."""

TINY = 1e-300
HUGE = 600.0
"""Growth of a month, on the log scale, from which on parameters count as impossible."""

WIDEST = 300.0
"""Growth parameters beyond it, on the scale of a logarithm, count as impossible: no prior comes
near, but a step of the sampler that went wrong does."""

_LARGE = 1e8  # a size beyond which two terms of the series in 1 / size say it better
_FEW = 12.0  # fine-tunes up to which ln Γ(x + size) - ln Γ(size) is a product
_SERIES = 3e-3  # below it ln(1 + y) / y is a series


class Months(NamedTuple):
    """The observed months of some base models.

    Parameters
    ----------
    start : ndarray of int64, shape (base models + 1,)
        Base model i has the months ``start[i] .. start[i + 1] - 1``, in order of age from 1.
    log_age, previous, new : ndarray, shape (months,)
        Ln of the age at the end of each month, the count before it, the fine-tunes in it.
    constants : ndarray, shape (months,)
        From `month_constants`.
    calendar : ndarray of int64, shape (months,)
        Where the calendar month in which each begins stands among the period effects.
    share : ndarray, shape (months,)
        Share of each that lies in that calendar month; the rest lies in the next one.
    """

    start: Integers
    log_age: Floats
    previous: Floats
    new: Floats
    constants: Floats
    calendar: Integers
    share: Floats


class Observed(NamedTuple):
    """What was observed of some base models, and the law that they follow.

    Parameters
    ----------
    law : int
        One of ``POISSON``, ``BIRTH``, ``SURGE``.
    m : float
        The constant m of the curve.
    months : Months
        The months.
    """

    law: int
    m: float
    months: Months


class Shared(NamedTuple):
    """What all base models share.

    Parameters
    ----------
    values : ndarray, shape (SHARED,)
        Parameters of the law.
    period : ndarray, shape (calendar months,)
        Period effects; zeros where the growth model has none.
    """

    values: Floats
    period: Floats


class LawDraws(NamedTuple):
    """Draws of all that the law depends on.

    Parameters
    ----------
    theta : ndarray, shape (draws, base models, 3 or 4)
        Growth parameters of each base model.
    values : ndarray, shape (draws, SHARED)
        Parameters that all base models share.
    period : ndarray, shape (draws, calendar months)
        Period effects; zeros where the growth model has none.
    group : ndarray of int, shape (base models,)
        Organization of each base model.
    dormancy : ndarray, shape (draws, organizations)
        Share of structural zeros.
    """

    theta: Floats
    values: Floats
    period: Floats
    group: Integers
    dormancy: Floats


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
    return np.asarray(constants)


def scalar(function: Any) -> Any:
    """A function of numbers that is compiled into whatever calls it."""
    return njit(inline="always", error_model="numpy")(function)


# --- Attention ------------------------------------------------------------------------------


@scalar
def tails(z: float) -> tuple[float, float]:
    """Φ(z) and 1 - Φ(z), both without cancellation."""
    size = abs(z)
    tail = exp(-0.5 * min(size * size, 1400.0)) * mills(size)
    return (1.0 - tail if z > 0.0 else tail), (tail if z > 0.0 else 1.0 - tail)


@scalar
def attention(
    z_before: float, lower_before: float, upper_before: float, lower: float, upper: float
) -> float:
    """Attention of a month, from the tails that are small there."""
    share = upper_before - upper if z_before > 0.0 else lower - lower_before
    return max(share, TINY)


@scalar
def period_at(period: Floats, calendar: int, share: float) -> float:
    """Period effect of a month of age that lies across two calendar months."""
    effect = share * period[calendar]
    if share < 1.0:
        effect += (1.0 - share) * period[calendar + 1]
    return effect


# --- Growth of a month ----------------------------------------------------------------------


@scalar
def log1p_ratio(y: float) -> float:
    """Ln(1 + y) / y for y >= 0, 1 at 0."""
    series = 1.0 - y * (
        1 / 2.0 - y * (1 / 3.0 - y * (1 / 4.0 - y * (1 / 5.0 - y * (1 / 6.0 - y / 7.0))))
    )
    return series if y < _SERIES else log(1.0 + y) / max(y, _SERIES)


@scalar
def reinforcement(hazard: float, log_count: float, exponent: float) -> float:
    """G with f = (c + m)(exp(g) - 1); `log_count` is ln(c + m)."""
    less = 1.0 - exponent
    u = hazard * exp(-less * log_count)
    return u * log1p_ratio(less * u)


@scalar
def growth_of(g: float) -> float:
    """exp(g) - 1, kept finite and above 0."""
    return max(expm1(min(g, HUGE)), TINY)


@scalar
def log_carried(s: float, strength: float) -> float:
    """Ln of what carries over of earlier months, kept finite."""
    return min(max(strength * s, -HUGE), HUGE)


@scalar
def log_ratio(regular: float, expected: float) -> float:
    """How far a month surpassed what was expected of it, on the log scale."""
    return log((regular + 0.5) / (expected + 0.5))


@scalar
def log_poisson_mean(m: float, fitness: float, lower_before: float, hazard: float) -> float:
    """Ln f under ``POISSON``; `lower_before` is Φ(z) before the month."""
    return log(m * growth_of(hazard)) + min(fitness * lower_before, 0.5 * HUGE)


# --- Its count --------------------------------------------------------------------------------


@scalar
def size_of(mean: float, precision: float) -> float:
    """Size of the negative binomial with variance mean + mean^(3/2) / precision."""
    return max(math.sqrt(mean) * precision, TINY)


@scalar
def log_vacancy(mean: float, size: float) -> float:
    """Ln(size / (size + mean)); times the size, the log probability of an empty month."""
    ratio = mean / size
    return -log(1.0 + ratio) if ratio > 1e-6 else ratio * (0.5 * ratio - 1.0)


@scalar
def log_occupancy(mean: float, size: float) -> float:
    """Ln(mean / (size + mean)), the part of each fine-tune in the log density."""
    return log(max(mean / (size + mean), TINY))


@scalar
def stirling_rest(inverse: float) -> float:
    """What Stirling's formula for ln Γ(x) leaves out, from 1 / x; x at least 8."""
    i2 = inverse * inverse
    return inverse * (
        1 / 12.0 - i2 * (1 / 360.0 - i2 * (1 / 1260.0 - i2 * (1 / 1680.0 - i2 / 1188.0)))
    )


@njit(error_model="numpy")
def rising(size: float, new: float) -> float:
    """Ln Γ(new + size) - ln Γ(size), the rest of the log density but for its constant."""
    if size > _LARGE:
        return new * math.log(size) + 0.5 * new * (new - 1.0) / size
    if new <= _FEW:
        product = 1.0
        for j in range(int(new)):
            product *= size + j
        return math.log(product)
    return math.lgamma(new + size) - math.lgamma(size)


@scalar
def log_density(new: float, mean: float, size: float, gammas: float) -> float:
    """Log density of a negative binomial count but for its constant; `gammas` is `rising`."""
    value = size * log_vacancy(mean, size)
    return value + gammas + new * log_occupancy(mean, size) if new > 0.0 else value


@scalar
def log_odds(probability: float) -> float:
    """Ln(p / (1 - p)), finite also for probability 0."""
    return log(max(probability, TINY)) - log(1.0 - probability)


@scalar
def burst_lead(regular: float, burst: float, odds: float) -> float:
    """How far a burst is likelier than a regular month, on the log scale, from their densities."""
    return burst + odds - regular


@scalar
def burst_given(lead: float) -> float:
    """Probability that a month was a burst; `lead` is from `burst_lead`."""
    rest = exp(-min(abs(lead), HUGE))
    return (1.0 if lead > 0.0 else rest) / (1.0 + rest)


@scalar
def mixed(lead: float) -> float:
    """What the chance of a burst adds to the log density of a regular month, but for ln(1 - p)."""
    return max(lead, 0.0) + log(1.0 + exp(-min(abs(lead), HUGE)))


@scalar
def regular_part(new: float, mean: float, burst: float) -> float:
    """What of a month's count feeds later months; `burst` is from `burst_given`."""
    return new - burst * max(new - mean, 0.0)


@scalar
def with_structural_zero(value: float, dormant: float, new: float) -> tuple[float, float]:
    """Log density of a month of what may be a structural zero, and how likely that is after it.

    `value` is the log density if it is none; `dormant` the probability before this month.
    """
    if new > 0.0:
        return value + math.log1p(-dormant), 0.0
    empty = dormant + (1.0 - dormant) * math.exp(value)
    return math.log(empty), dormant / empty
