r"""Attention over the life of a base model: a log-normal in age, in NumPy and in PyTensor.

The share of all attention that has come by age t is :math:`F(t) = \Phi(z)` with
:math:`z = (\ln t - \mu) / \sigma` and the standard normal distribution function
:math:`\Phi`: immediacy μ, longevity σ [1]_.

Every formula has two forms, one below the other: for arrays, and with the suffix ``_pt`` for
PyTensor tensors, whose gradients are finite where the value is. All arguments broadcast
against each other, are taken as float64, and give results of the broadcast shape. Ages are in
months since creation, from 0 up; immediacy is in log-months; longevity is positive.

References
----------
.. [1] D. Wang, C. Song, A.-L. Barabási, "Quantifying long-term scientific impact",
   Science 342 (2013).
"""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = [
    "FAR",
    "Floats",
    "Tensor",
    "as_floats",
    "as_tensor",
    "attention_increment",
    "attention_increment_pt",
    "attention_peak",
    "attention_peak_pt",
    "attention_share",
    "attention_share_pt",
    "log_attention_increment",
    "log_attention_increment_pt",
    "z_score",
    "z_score_pt",
]

type Floats = NDArray[np.float64]
type Tensor = Any  # a PyTensor variable, or what becomes a constant; PyTensor has no types

_SQRT2 = np.sqrt(2.0)
FAR = 1e10
"""Z-score beyond which all is 0 or 1 in float64, while its square is not yet infinite."""


def as_floats(values: ArrayLike) -> Floats:
    """Array of float64; draws may be stored in float32, where exp overflows from 89 on."""
    return np.asarray(values, dtype=np.float64)


def as_tensor(values: Tensor) -> Tensor:
    """Tensor of float64; PyTensor would take a whole number for int8."""
    return pt.cast(pt.as_tensor(values), "float64")


def z_score(age: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike) -> Floats:
    """Standardised log age, z = (ln t - μ) / σ.

    Parameters
    ----------
    age : array_like
        Age t in months; at 0 the score is minus infinity.
    immediacy, longevity : array_like
        μ in log-months and σ.

    Returns
    -------
    ndarray
        Scores in the broadcast shape.
    """
    with np.errstate(divide="ignore"):
        log_age = np.log(as_floats(age))
    return (log_age - as_floats(immediacy)) / as_floats(longevity)


def z_score_pt(age: Tensor, immediacy: Tensor, longevity: Tensor) -> Tensor:
    """PyTensor form of `z_score`."""
    age = as_tensor(age)
    born = pt.gt(age, 0)
    # A stand-in keeps the infinity at age 0 out of the gradient.
    score = (pt.log(pt.switch(born, age, 1.0)) - as_tensor(immediacy)) / as_tensor(longevity)
    return pt.switch(born, score, -np.inf)


def attention_share(age: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike) -> Floats:
    """Share of all attention received by an age, F(t) = Φ(z).

    Parameters
    ----------
    age : array_like
        Age t in months.
    immediacy, longevity : array_like
        μ in log-months and σ.

    Returns
    -------
    ndarray
        Shares between 0 and 1.
    """
    return special.ndtr(z_score(age, immediacy, longevity))


def attention_share_pt(age: Tensor, immediacy: Tensor, longevity: Tensor) -> Tensor:
    """PyTensor form of `attention_share`."""
    return 0.5 * pt.erfc(-z_score_pt(age, immediacy, longevity) / _SQRT2)


def _split_increment(start: Floats, end: Floats) -> tuple[Floats, Floats]:
    """Φ(end) - Φ(start) as exp(exponent) * factor, exact to rounding in both tails.

    With both scores on one side of 0 they are moved to the left tail, where
    Φ(-x) = exp(-x²/2) erfcx(x/√2) / 2, and the larger exponential is taken out. With 0
    between them, the difference of two erf of opposite sign loses nothing.
    """
    astride = (start < 0) & (end > 0)
    # Distances from 0 into the tail: near <= far.
    near = np.where(astride, 0.0, np.clip(np.minimum(np.abs(start), np.abs(end)), 0, FAR))
    far = np.where(astride, 0.0, np.clip(np.maximum(np.abs(start), np.abs(end)), 0, FAR))
    drop = np.exp(-0.5 * (far - near) * (far + near))
    tail = 0.5 * (special.erfcx(near / _SQRT2) - drop * special.erfcx(far / _SQRT2))
    middle = 0.5 * (special.erf(end / _SQRT2) - special.erf(start / _SQRT2))
    return -0.5 * near**2, np.where(astride, middle, tail)


def _split_increment_pt(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """PyTensor form of `_split_increment`."""
    start, end = pt.clip(start, -FAR, FAR), pt.clip(end, -FAR, FAR)
    astride = pt.lt(start, 0) & pt.gt(end, 0)
    left = pt.le(end, 0)
    near = pt.switch(astride, 0.0, pt.switch(left, -end, start))
    far = pt.switch(astride, 0.0, pt.switch(left, -start, end))
    drop = pt.exp(-0.5 * (far - near) * (far + near))
    tail = 0.5 * (pt.erfcx(near / _SQRT2) - drop * pt.erfcx(far / _SQRT2))
    middle = 0.5 * (pt.erf(end / _SQRT2) - pt.erf(start / _SQRT2))
    return -0.5 * near**2, pt.switch(astride, middle, tail)


def attention_increment(
    start: ArrayLike, end: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike
) -> Floats:
    """Share of all attention received between two ages, ΔF = Φ(z(end)) - Φ(z(start)).

    Parameters
    ----------
    start, end : array_like
        Ages in months, ``start <= end``.
    immediacy, longevity : array_like
        μ in log-months and σ.

    Returns
    -------
    ndarray
        Shares between 0 and 1, with small relative error in both tails.
    """
    exponent, factor = _split_increment(
        z_score(start, immediacy, longevity), z_score(end, immediacy, longevity)
    )
    return np.exp(exponent) * factor


def attention_increment_pt(
    start: Tensor, end: Tensor, immediacy: Tensor, longevity: Tensor
) -> Tensor:
    """PyTensor form of `attention_increment`."""
    exponent, factor = _split_increment_pt(
        z_score_pt(start, immediacy, longevity), z_score_pt(end, immediacy, longevity)
    )
    return pt.exp(exponent) * factor


def log_attention_increment(
    start: ArrayLike, end: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike
) -> Floats:
    """Natural logarithm of `attention_increment`, finite where that is rounded to 0.

    Parameters
    ----------
    start, end : array_like
        Ages in months, ``start < end``; equal ages give minus infinity.
    immediacy, longevity : array_like
        μ in log-months and σ.

    Returns
    -------
    ndarray
        Logarithms, at most 0.
    """
    exponent, factor = _split_increment(
        z_score(start, immediacy, longevity), z_score(end, immediacy, longevity)
    )
    with np.errstate(divide="ignore"):
        return exponent + np.log(factor)


def log_attention_increment_pt(
    start: Tensor, end: Tensor, immediacy: Tensor, longevity: Tensor
) -> Tensor:
    """PyTensor form of `log_attention_increment`."""
    exponent, factor = _split_increment_pt(
        z_score_pt(start, immediacy, longevity), z_score_pt(end, immediacy, longevity)
    )
    return exponent + pt.log(factor)


def attention_peak(immediacy: ArrayLike, longevity: ArrayLike) -> Floats:
    """Age at which attention F'(t) peaks, exp(μ - σ²): the mode of the log-normal density.

    It comes before exp(μ), the age by which half of all attention has come.

    Parameters
    ----------
    immediacy, longevity : array_like
        μ in log-months and σ.

    Returns
    -------
    ndarray
        Ages in months.
    """
    return np.exp(as_floats(immediacy) - as_floats(longevity) ** 2)


def attention_peak_pt(immediacy: Tensor, longevity: Tensor) -> Tensor:
    """PyTensor form of `attention_peak`."""
    return pt.exp(as_tensor(immediacy) - as_tensor(longevity) ** 2)
