r"""Attention over the life of a base model: a log-normal in age.

The share of all attention that has come by age t is :math:`F(t) = \Phi(z)` with
:math:`z = (\ln t - \mu) / \sigma` and the standard normal distribution function
:math:`\Phi`: immediacy μ, longevity σ [1]_.

All arguments broadcast against each other, are taken as float64, and give results of the broadcast
shape. `bayes_hfgrowth.growth.attention_pt` has the same for PyTensor. Ages are in
months since creation, from 0 up; immediacy is in log-months; longevity is positive.

References
----------
.. [1] D. Wang, C. Song, A.-L. Barabási, "Quantifying long-term scientific impact",
   Science 342 (2013).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Floats", "as_floats", "attention_share", "z_score"]

type Floats = NDArray[np.float64]


def as_floats(values: ArrayLike) -> Floats:
    """Array of float64; draws may be stored in float32, where exp overflows from 89 on."""
    return np.asarray(values, dtype=np.float64)


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


def attention_share(age: ArrayLike, immediacy: ArrayLike, longevity: ArrayLike) -> Floats:
    """Share of all attention received by an age, F(t) = Φ(z).

    Parameters
    ----------
    age, immediacy, longevity : array_like
        As in `z_score`.

    Returns
    -------
    ndarray
        Shares between 0 and 1.
    """
    return special.ndtr(z_score(age, immediacy, longevity))
