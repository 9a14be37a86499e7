r"""The growth curve of fine-tunes and what it implies, in NumPy and in PyTensor.

The cumulative count at age t follows :math:`c(t) = m (e^{\lambda F(t)} - 1)`, with the share
of attention F(t) of `bayes_hfgrowth.growth.attention` (immediacy μ, longevity σ), fitness λ, and m,
the attention at birth counted in fine-tunes.

The two forms of each formula, shapes and units are as in `bayes_hfgrowth.growth.attention`. Fitness
and m are positive. Results overflow to infinity only where the true value is beyond the
largest float64 (1.8e308); the functions ``log_*`` go further, and also down to where the
others are rounded to 0.

References
----------
.. [1] D. Wang, C. Song, A.-L. Barabási, "Quantifying long-term scientific impact",
   Science 342 (2013): the curve, fitness, immediacy, longevity and ultimate impact.
.. [2] H. Shen, D. Wang, C. Song, A.-L. Barabási, "Modeling and predicting popularity
   dynamics via reinforced Poisson processes", AAAI (2014): the process behind the curve.
.. [3] K. Bhandari, P.-Y. Chen, J. Gao, "Forecasting open-weight AI model growth on Hugging
   Face", arXiv 2502.15987 (2025): the curve for fine-tunes.
"""

import numpy as np
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import elementwise

from bayes_hfgrowth.growth.attention import (
    FAR,
    Floats,
    Tensor,
    as_floats,
    as_tensor,
    attention_increment,
    attention_increment_pt,
    attention_share,
    attention_share_pt,
    log_attention_increment,
    log_attention_increment_pt,
    z_score,
    z_score_pt,
)

__all__ = [
    "cumulative",
    "cumulative_pt",
    "curve_increment",
    "curve_increment_pt",
    "half_life",
    "half_life_pt",
    "log_reinforced_increment",
    "log_reinforced_increment_pt",
    "log_ultimate_impact",
    "log_ultimate_impact_pt",
    "peak_age",
    "rate",
    "rate_pt",
    "reinforced_increment",
    "reinforced_increment_pt",
    "ultimate_impact",
    "ultimate_impact_pt",
]

_SQRT2 = np.sqrt(2.0)
_SQRT2PI = np.sqrt(2.0 * np.pi)
_SQRT_E = np.sqrt(np.e)
# Below this logarithm of x, exp(x) - 1 and x agree in float64.
_LOG_SMALL = -37.0


def cumulative(
    age: ArrayLike, fitness: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike, m: ArrayLike
) -> Floats:
    """Expected fine-tunes by an age, c(t) = m (exp(λ Φ(z)) - 1) [1]_.

    Parameters
    ----------
    age : array_like
        Age t in months.
    fitness, immediacy, longevity, m : array_like
        λ, μ in log-months, σ, and m in fine-tunes.

    Returns
    -------
    ndarray
        Cumulative counts; 0 at age 0.
    """
    share = attention_share(age, immediacy, longevity)
    return _scaled_expm1(as_floats(m), as_floats(fitness) * share)


def cumulative_pt(
    age: Tensor, fitness: Tensor, immediacy: Tensor, longevity: Tensor, m: Tensor
) -> Tensor:
    """PyTensor form of `cumulative`."""
    share = attention_share_pt(age, immediacy, longevity)
    return _scaled_expm1_pt(as_tensor(m), as_tensor(fitness) * share)


def rate(
    age: ArrayLike, fitness: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike, m: ArrayLike
) -> Floats:
    """Speed of the curve, dc/dt = m λ φ(z) exp(λ Φ(z)) / (σ t), with the normal density φ.

    Parameters
    ----------
    age : array_like
        Age t in months.
    fitness, immediacy, longevity, m : array_like
        λ, μ in log-months, σ, and m in fine-tunes.

    Returns
    -------
    ndarray
        Fine-tunes per month; 0 at age 0.
    """
    fitness, immediacy, longevity = as_floats(fitness), as_floats(immediacy), as_floats(longevity)
    z = np.clip(z_score(age, immediacy, longevity), -FAR, FAR)
    # 1/t is written as exp(-μ - σz), so that age 0 needs no case of its own. Half the exponent
    # at a time overflows only where the product does.
    half = np.exp(0.5 * (fitness * special.ndtr(z) - 0.5 * z**2 - longevity * z - immediacy))
    return as_floats(m) * fitness / (longevity * _SQRT2PI) * half * half


def rate_pt(
    age: Tensor, fitness: Tensor, immediacy: Tensor, longevity: Tensor, m: Tensor
) -> Tensor:
    """PyTensor form of `rate`."""
    fitness, immediacy, longevity = as_tensor(fitness), as_tensor(immediacy), as_tensor(longevity)
    z = pt.clip(z_score_pt(age, immediacy, longevity), -FAR, FAR)
    share = 0.5 * pt.erfc(-z / _SQRT2)
    half = pt.exp(0.5 * (fitness * share - 0.5 * z**2 - longevity * z - immediacy))
    return as_tensor(m) * fitness / (longevity * _SQRT2PI) * half * half


def curve_increment(
    start: ArrayLike,
    end: ArrayLike,
    fitness: ArrayLike,
    immediacy: ArrayLike,
    longevity: ArrayLike,
    m: ArrayLike,
) -> Floats:
    """Fine-tunes that the curve brings between two ages, m exp(λ F(start)) (exp(λ ΔF) - 1).

    Parameters
    ----------
    start, end : array_like
        Ages in months, ``start <= end``.
    fitness, immediacy, longevity, m : array_like
        λ, μ in log-months, σ, and m in fine-tunes.

    Returns
    -------
    ndarray
        c(end) - c(start), without the cancellation of that difference.
    """
    grown = np.exp(0.5 * as_floats(fitness) * attention_share(start, immediacy, longevity))
    growth = as_floats(fitness) * attention_increment(start, end, immediacy, longevity)
    return _scaled_expm1(as_floats(m) * grown, growth) * grown


def curve_increment_pt(
    start: Tensor, end: Tensor, fitness: Tensor, immediacy: Tensor, longevity: Tensor, m: Tensor
) -> Tensor:
    """PyTensor form of `curve_increment`."""
    grown = pt.exp(0.5 * as_tensor(fitness) * attention_share_pt(start, immediacy, longevity))
    growth = as_tensor(fitness) * attention_increment_pt(start, end, immediacy, longevity)
    return _scaled_expm1_pt(as_tensor(m) * grown, growth) * grown


def reinforced_increment(
    count: ArrayLike,
    start: ArrayLike,
    end: ArrayLike,
    fitness: ArrayLike,
    immediacy: ArrayLike,
    longevity: ArrayLike,
    m: ArrayLike,
) -> Floats:
    """Expected new fine-tunes of the reinforced process, (c + m) (exp(λ ΔF) - 1) [2]_.

    The process brings events at the rate λ F'(t) (c(t) + m). Given the count c at `start`, the
    increment until `end` is negative binomial with size c + m and success probability
    exp(-λ ΔF); this is its mean, and from c = 0 at age 0 the mean is the curve.

    Parameters
    ----------
    count : array_like
        Cumulative count c at `start`.
    start, end : array_like
        Ages in months, ``start <= end``.
    fitness, immediacy, longevity, m : array_like
        λ, μ in log-months, σ, and m in fine-tunes.

    Returns
    -------
    ndarray
        Expected increments.
    """
    growth = as_floats(fitness) * attention_increment(start, end, immediacy, longevity)
    return _scaled_expm1(as_floats(count) + as_floats(m), growth)


def reinforced_increment_pt(
    count: Tensor,
    start: Tensor,
    end: Tensor,
    fitness: Tensor,
    immediacy: Tensor,
    longevity: Tensor,
    m: Tensor,
) -> Tensor:
    """PyTensor form of `reinforced_increment`."""
    growth = as_tensor(fitness) * attention_increment_pt(start, end, immediacy, longevity)
    return _scaled_expm1_pt(as_tensor(count) + as_tensor(m), growth)


def log_reinforced_increment(
    count: ArrayLike,
    start: ArrayLike,
    end: ArrayLike,
    fitness: ArrayLike,
    immediacy: ArrayLike,
    longevity: ArrayLike,
    m: ArrayLike,
) -> Floats:
    """Natural logarithm of `reinforced_increment`, finite where that is 0 or infinite.

    Parameters
    ----------
    count : array_like
        Cumulative count c at `start`.
    start, end : array_like
        Ages in months, ``start < end``.
    fitness, immediacy, longevity, m : array_like
        λ, μ in log-months, σ, and m in fine-tunes.

    Returns
    -------
    ndarray
        Logarithms of expected increments.
    """
    log_growth = np.log(as_floats(fitness)) + log_attention_increment(
        start, end, immediacy, longevity
    )
    return np.log(as_floats(count) + as_floats(m)) + _log_expm1_exp(log_growth)


def log_reinforced_increment_pt(
    count: Tensor,
    start: Tensor,
    end: Tensor,
    fitness: Tensor,
    immediacy: Tensor,
    longevity: Tensor,
    m: Tensor,
) -> Tensor:
    """PyTensor form of `log_reinforced_increment`."""
    log_growth = pt.log(as_tensor(fitness)) + log_attention_increment_pt(
        start, end, immediacy, longevity
    )
    return pt.log(as_tensor(count) + as_tensor(m)) + _log_expm1_exp_pt(log_growth)


def ultimate_impact(fitness: ArrayLike, m: ArrayLike) -> Floats:
    """Fine-tunes that the curve ends at, c(∞) = m (exp(λ) - 1) [1]_.

    Parameters
    ----------
    fitness, m : array_like
        λ, and m in fine-tunes.

    Returns
    -------
    ndarray
        Ultimate counts.
    """
    return _scaled_expm1(as_floats(m), as_floats(fitness))


def ultimate_impact_pt(fitness: Tensor, m: Tensor) -> Tensor:
    """PyTensor form of `ultimate_impact`."""
    return _scaled_expm1_pt(as_tensor(m), as_tensor(fitness))


def log_ultimate_impact(fitness: ArrayLike, m: ArrayLike) -> Floats:
    """Natural logarithm of `ultimate_impact`, finite for every positive fitness.

    Parameters
    ----------
    fitness, m : array_like
        λ, and m in fine-tunes.

    Returns
    -------
    ndarray
        Logarithms of ultimate counts.
    """
    return np.log(as_floats(m)) + _log_expm1_exp(np.log(as_floats(fitness)))


def log_ultimate_impact_pt(fitness: Tensor, m: Tensor) -> Tensor:
    """PyTensor form of `log_ultimate_impact`."""
    return pt.log(as_tensor(m)) + _log_expm1_exp_pt(pt.log(as_tensor(fitness)))


def half_life(fitness: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike) -> Floats:
    """Age at which the curve reaches half of its ultimate impact.

    Solves exp(λ Φ(z)) - 1 = (exp(λ) - 1) / 2, which gives t = exp(μ + σ z) with
    Φ(-z) = -ln((1 + exp(-λ)) / 2) / λ. It rises with fitness, from exp(μ) at λ = 0 on.

    Parameters
    ----------
    fitness, immediacy, longevity : array_like
        λ, μ in log-months, σ.

    Returns
    -------
    ndarray
        Ages in months.
    """
    fitness = as_floats(fitness)
    # The share of attention still to come, which stays precise where the other is close to 1.
    to_come = -np.log1p(0.5 * np.expm1(-fitness)) / fitness
    return np.exp(as_floats(immediacy) - as_floats(longevity) * special.ndtri(to_come))


def half_life_pt(fitness: Tensor, immediacy: Tensor, longevity: Tensor) -> Tensor:
    """PyTensor form of `half_life`."""
    fitness = as_tensor(fitness)
    to_come = -pt.log1p(0.5 * pt.expm1(-fitness)) / fitness
    return pt.exp(as_tensor(immediacy) + as_tensor(longevity) * _SQRT2 * pt.erfcinv(2.0 * to_come))


def peak_age(fitness: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike) -> Floats:
    r"""Age at which fine-tunes come fastest: where the rate of the curve is largest.

    Growth feeds on itself, so this comes after the peak of attention. The slope of the log
    rate vanishes where :math:`g(z) = \lambda \phi(z) - z - \sigma = 0`. For
    :math:`\lambda \le \sqrt{2 \pi e}` there is one such point. Above, g falls, rises between
    the two solutions of :math:`-z \phi(z) = 1 / \lambda`, and falls again, so the rate can
    have an early and a late peak; the higher one counts. It describes a curve and enters no
    likelihood, so it has no PyTensor form.

    Parameters
    ----------
    fitness, immediacy, longevity : array_like
        λ, μ in log-months, σ.

    Returns
    -------
    ndarray
        Ages in months; NaN where an argument is.
    """
    fitness, immediacy, longevity = np.broadcast_arrays(
        as_floats(fitness), as_floats(immediacy), as_floats(longevity)
    )
    scale = fitness / _SQRT2PI

    def slope(z: Floats, scale: Floats, longevity: Floats) -> Floats:
        return scale * np.exp(-0.5 * z**2) - z - longevity

    def root(low: Floats, high: Floats) -> Floats:
        """Zero of the slope, which falls from `low` to `high`; NaN where it has none there."""
        return elementwise.find_root(slope, (low, high), args=(scale, longevity)).x

    # All zeros lie between these: the slope is positive at the first, negative at the second.
    first = -longevity
    last = np.minimum(scale - longevity, np.sqrt(2.0 * np.log(np.maximum(scale, 1.0)) + 1.0))
    # The slope falls up to `falls_to` and again from `falls_from` on: z² = -W(-2π/λ²) with the
    # two branches of Lambert's function, or the turning point -1 where it never rises.
    argument = -(np.maximum(scale, _SQRT_E) ** -2.0)
    rises = scale > _SQRT_E
    falls_to = np.where(rises, -np.sqrt(-special.lambertw(argument, -1).real), -1.0)
    falls_from = np.where(rises, -np.sqrt(-special.lambertw(argument, 0).real), -1.0)
    early = root(first, np.minimum(np.maximum(falls_to, first), last))
    late = root(np.maximum(np.minimum(falls_from, last), first), last)

    def height(z: Floats) -> Floats:
        return fitness * special.ndtr(z) - 0.5 * z**2 - longevity * z

    early_height, late_height = height(early), height(late)
    z = np.where(np.isnan(early) | (late_height > early_height), late, early)
    return np.exp(immediacy + longevity * z)


def _scaled_expm1(scale: Floats, x: Floats) -> Floats:
    """Scale * (exp(x) - 1), for x >= 0; infinite only where the product is.

    exp(x) - 1 = 2 sinh(x/2) exp(x/2), and no partial product exceeds the whole by much.
    """
    with np.errstate(over="ignore"):
        return np.asarray(scale * (2.0 * np.sinh(0.5 * x)) * np.exp(0.5 * x))


def _scaled_expm1_pt(scale: Tensor, x: Tensor) -> Tensor:
    """PyTensor form of `_scaled_expm1`."""
    return scale * (2.0 * pt.sinh(0.5 * x)) * pt.exp(0.5 * x)


def _log_expm1_exp(log_x: Floats) -> Floats:
    """ln(exp(x) - 1) from ln x, also where x itself is rounded to 0."""
    x = np.exp(np.maximum(log_x, _LOG_SMALL))
    return np.where(log_x < _LOG_SMALL, log_x, x + np.log(-np.expm1(-x)))


def _log_expm1_exp_pt(log_x: Tensor) -> Tensor:
    """PyTensor form of `_log_expm1_exp`."""
    x = pt.exp(pt.maximum(log_x, _LOG_SMALL))
    return pt.switch(pt.lt(log_x, _LOG_SMALL), log_x, x + pt.log(-pt.expm1(-x)))
