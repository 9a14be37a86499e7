r"""The growth curve of fine-tunes, and where it ends.

Attention and what has come already bring fine-tunes at the rate [1]_, [2]_, [3]_

.. math:: \frac{dc}{dt} = \lambda F'(t) \, (c(t) + m)^\gamma, \qquad c(0) = 0,

with the share of attention F(t) of `bayes_hfgrowth.growth.attention` (immediacy μ, longevity
σ), fitness λ, the attention at birth m, counted in fine-tunes, and the exponent of the
reinforcement γ, above 0 and at most 1. With :math:`\delta = 1 - \gamma` the cumulative count is

.. math:: c(t) = (m^\delta + \delta \lambda F(t))^{1 / \delta} - m,

and, as γ goes to 1, :math:`c(t) = m (e^{\lambda F(t)} - 1)`, the curve of the papers on citations
and on fine-tunes [1]_, [4]_. Both are computed as

.. math:: c = m (e^{g(v)} - 1), \quad g(v) = \ln(1 + \delta v) / \delta, \quad
          v = \lambda F \, m^{-\delta},

which loses no digits where δ is next to 0.

Shapes and units are as in `bayes_hfgrowth.growth.attention`. Fitness and m are positive. Results
overflow to infinity only where the true value is beyond the largest float64 (1.8e308).

References
----------
.. [1] D. Wang, C. Song, A.-L. Barabási, "Quantifying long-term scientific impact",
   Science 342 (2013): the curve, fitness, immediacy, longevity and ultimate impact.
.. [2] H. Shen, D. Wang, C. Song, A.-L. Barabási, "Modeling and predicting popularity
   dynamics via reinforced Poisson processes", AAAI (2014): the process behind the curve.
.. [3] P. L. Krapivsky, S. Redner, F. Leyvraz, "Connectivity of growing random networks",
   Physical Review Letters 85 (2000): attachment in proportion to a power below 1.
.. [4] K. Bhandari, P.-Y. Chen, J. Gao, "Forecasting open-weight AI model growth on Hugging
   Face", arXiv 2502.15987 (2025): the curve for fine-tunes.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from bayes_hfgrowth.growth.attention import Floats, as_floats, attention_share

__all__ = ["cumulative", "growth_reached", "ultimate_impact"]

_SERIES = 1e-3
"""Argument y up to which ln(1 + y) / y is a series: its terms left out are below 1e-18."""

_LARGEST = np.finfo(np.float64).max


def cumulative(
    age: ArrayLike,
    fitness: ArrayLike,
    immediacy: ArrayLike,
    longevity: ArrayLike,
    m: ArrayLike,
    exponent: ArrayLike = 1.0,
) -> Floats:
    """Fine-tunes by an age on the curve, c(t) = (m^δ + δ λ Φ(z))^(1/δ) - m [1]_, [3]_.

    Parameters
    ----------
    age : array_like
        Age t in months.
    fitness, immediacy, longevity, m : array_like
        λ, μ in log-months, σ, and m in fine-tunes.
    exponent : array_like, default 1.0
        γ = 1 - δ; at 1 the curve is m (exp(λ Φ(z)) - 1).

    Returns
    -------
    ndarray
        Cumulative counts; 0 at age 0.
    """
    share = attention_share(age, immediacy, longevity)
    return _grown(as_floats(m), as_floats(fitness) * share, exponent)


def ultimate_impact(fitness: ArrayLike, m: ArrayLike, exponent: ArrayLike = 1.0) -> Floats:
    """Fine-tunes that the curve ends at, c(∞) = (m^δ + δ λ)^(1/δ) - m [1]_, [3]_.

    Parameters
    ----------
    fitness, m : array_like
        λ, and m in fine-tunes.
    exponent : array_like, default 1.0
        γ = 1 - δ; at 1 the curve ends at m (exp(λ) - 1).

    Returns
    -------
    ndarray
        Ultimate counts.
    """
    return _grown(as_floats(m), as_floats(fitness), exponent)


def growth_reached(count: ArrayLike, m: ArrayLike, exponent: ArrayLike = 1.0) -> Floats:
    """Growth λ F(t) at which the curve has brought a count, ((c + m)^δ - m^δ) / δ [1]_, [3]_.

    The inverse of `cumulative`.

    Parameters
    ----------
    count : array_like
        Cumulative fine-tunes c.
    m : array_like
        In fine-tunes.
    exponent : array_like, default 1.0
        γ = 1 - δ; at 1 it is ln(1 + c / m).

    Returns
    -------
    ndarray
    """
    m, delta = as_floats(m), 1.0 - as_floats(exponent)
    return np.asarray(m**delta * special.boxcox1p(as_floats(count) / m, delta))


def _grown(attractiveness: Floats, growth: Floats, exponent: ArrayLike) -> Floats:
    """(A^δ + δ h)^(1/δ) - A for the attractiveness A = c + m and growth h = λ ΔF."""
    delta = 1.0 - as_floats(exponent)
    return _scaled_expm1(attractiveness, _log_growth(growth * attractiveness**-delta, delta))


def _log_growth(v: Floats, delta: Floats) -> Floats:
    """Log ratio of attractiveness after to before, ln(1 + δ v) / δ for v >= 0; v where δ is 0."""
    v = np.minimum(v, _LARGEST)  # 0 * infinity would be no number
    y = delta * v
    low = np.minimum(y, _SERIES)
    series = 1.0 - low * (1 / 2 - low * (1 / 3 - low * (1 / 4 - low * (1 / 5 - low / 6))))
    high = np.maximum(y, _SERIES)
    return np.asarray(v * np.where(y < _SERIES, series, np.log1p(high) / high))


def _scaled_expm1(scale: Floats, x: Floats) -> Floats:
    """Scale * (exp(x) - 1), for x >= 0; infinite only where the product is.

    exp(x) - 1 = 2 sinh(x/2) exp(x/2), and no partial product exceeds the whole by much.
    """
    with np.errstate(over="ignore"):
        return np.asarray(scale * (2.0 * np.sinh(0.5 * x)) * np.exp(0.5 * x))
