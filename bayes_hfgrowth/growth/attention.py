r"""Attention over the life of a base model: a log-normal in age, in NumPy and in PyTensor.

The share of all attention that has come by age t is :math:`F(t) = \Phi(z)` with
:math:`z = (\ln t - \mu) / \sigma` and the standard normal distribution function
:math:`\Phi`: immediacy μ, longevity σ [1]_.

Formulas with the suffix ``_pt`` are for PyTensor tensors, with gradients that are finite where the
value is; the others are for arrays. All arguments broadcast
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
    "attention_share",
    "attention_share_pt",
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


def log_attention_increment_pt(
    start: Tensor, end: Tensor, immediacy: Tensor, longevity: Tensor
) -> Tensor:
    """Natural logarithm of the share of attention that comes between two ages.

    It is ln(Φ(z(end)) - Φ(z(start))), exact to rounding in both tails, and finite where the share
    itself is rounded to 0. With both scores on one side of 0 they are moved to the left tail, where
    Φ(-x) = exp(-x²/2) erfcx(x/√2) / 2, and the larger exponential is taken out. With 0 between
    them, the difference of two erf of opposite sign loses nothing.

    Parameters
    ----------
    start, end : tensor
        Ages in months, ``start < end``.
    immediacy, longevity : tensor
        μ in log-months and σ.
    """
    first = pt.clip(z_score_pt(start, immediacy, longevity), -FAR, FAR)
    last = pt.clip(z_score_pt(end, immediacy, longevity), -FAR, FAR)
    astride = pt.lt(first, 0) & pt.gt(last, 0)
    left = pt.le(last, 0)
    near = pt.switch(astride, 0.0, pt.switch(left, -last, first))
    far = pt.switch(astride, 0.0, pt.switch(left, -first, last))
    drop = pt.exp(-0.5 * (far - near) * (far + near))
    tail = 0.5 * (pt.erfcx(near / _SQRT2) - drop * pt.erfcx(far / _SQRT2))
    middle = 0.5 * (pt.erf(last / _SQRT2) - pt.erf(first / _SQRT2))
    return -0.5 * near**2 + pt.log(pt.switch(astride, middle, tail))
