"""The ridge reparametrisation: base models with many fine-tunes become more nearly normal.

Their months say how much attention has come so far, so that the posterior follows the curve

    η = ln λ + ln Φ(z) = constant,    z = (ln T - μ) / σ,

with T the age at the last month: a curved ridge in (ln λ, μ, ln σ) and a straight one in
(η, z, ln σ). These coordinates are made to touch the growth parameters at a pivot θ*, where they
have the same place and slopes,

    ln λ̃ = ln λ + [ln Φ(z) - ln Φ(z*)] - r* (z - z*),    r* = φ(z*) / Φ(z*),
    μ̃ = μ* - σ* [(z - z*) + z* (ln σ - ln σ*)],
    ln σ̃ = ln σ,

so that a normal prior on θ is nearly one on θ̃, and all of `bayes_hfgrowth.inference.whitening`
holds as it stands, with the Jacobian |dθ/dθ̃| = σ/σ* beside it. Base models with few fine-tunes,
whose posterior is nearly their prior, stay as they are.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.special import log_ndtr
from scipy.stats import norm

from bayes_hfgrowth.growth.elementary import inner, mills
from bayes_hfgrowth.growth.law import Floats

__all__ = ["from_ridge", "from_ridge_back", "nearer_normal", "pivot_of", "pivots_at", "to_ridge"]

_DENSITY_0 = 1.0 / math.sqrt(2.0 * math.pi)

# Columns of a table of pivots; where 1/σ* is 0, the base model stays as it is.
_LOG_AGE, _Z, _INVERSE, _LOG_SHARE, _RATIO, _IMMEDIACY, _LOG_LONGEVITY = range(7)


@inner()
def _share(z: float) -> tuple[float, float]:
    """Ln Φ(z), and its slope φ(z) / Φ(z)."""
    size = abs(z)
    ratio = mills(size)
    if z < 0.0:
        return math.log(ratio) - 0.5 * z * z, _DENSITY_0 / ratio
    curve = math.exp(-0.5 * z * z)
    share = 1.0 - curve * ratio
    return math.log(share), _DENSITY_0 * curve / share


@njit(error_model="numpy")
def from_ridge(i: int, pivots: Floats, ridge: Floats, theta: Floats) -> float:
    """From θ̃ to θ.

    Parameters
    ----------
    i : int
        Position of the base model.
    pivots : ndarray, shape (base models, 7)
        Of `pivots_at`.
    ridge, theta : ndarray, shape (base models, parameters)
        θ̃, and what gets θ.

    Returns
    -------
    float
        ln |dθ/dθ̃|.
    """
    for k in range(theta.shape[1]):
        theta[i, k] = ridge[i, k]
    inverse = pivots[i, _INVERSE]
    if inverse == 0.0:
        return 0.0
    wider = ridge[i, 2] - pivots[i, _LOG_LONGEVITY]
    later = (ridge[i, 1] - pivots[i, _IMMEDIACY]) * inverse
    away = -later - pivots[i, _Z] * wider
    z = pivots[i, _Z] + away
    log_share, _ = _share(z)
    theta[i, 0] += pivots[i, _LOG_SHARE] + pivots[i, _RATIO] * away - log_share
    theta[i, 1] = pivots[i, _LOG_AGE] - math.exp(ridge[i, 2]) * z
    return wider


@njit(error_model="numpy")
def from_ridge_back(i: int, pivots: Floats, theta: Floats, by_theta: Floats) -> None:
    """Turn a derivative by θ into one by θ̃, that of ln |dθ/dθ̃| included.

    Parameters
    ----------
    i, pivots
        As in `from_ridge`.
    theta, by_theta : ndarray, shape (base models, parameters)
        Where it is taken, and the derivative.
    """
    inverse = pivots[i, _INVERSE]
    if inverse == 0.0:
        return
    longevity = math.exp(theta[i, 2])
    z = (pivots[i, _LOG_AGE] - theta[i, 1]) / longevity
    _, ratio = _share(z)
    by_immediacy = by_theta[i, 1] * longevity
    by_z = by_theta[i, 0] * (pivots[i, _RATIO] - ratio) - by_immediacy
    by_theta[i, 1] = -by_z * inverse
    by_theta[i, 2] += 1.0 - by_immediacy * z - by_z * pivots[i, _Z]


def pivots_at(log_age: Floats, centre: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
    """Pivots at given growth parameters.

    Parameters
    ----------
    log_age : ndarray, shape (base models,)
        ln of the age at the last month.
    centre : ndarray, shape (base models, parameters)
        θ*.
    chosen : ndarray of bool, shape (base models,)
        Base models that are reparametrised.

    Returns
    -------
    ndarray, shape (base models, 7)
    """
    immediacy, log_longevity = centre[:, 1], centre[:, 2]
    inverse = np.exp(-log_longevity)
    z = (log_age - immediacy) * inverse
    log_share = log_ndtr(z)
    ratio = np.exp(norm.logpdf(z) - log_share)
    columns = [log_age, z, inverse, log_share, ratio, immediacy, log_longevity]
    return np.where(chosen[:, None], np.stack(columns, axis=1), 0.0)


def pivot_of(log_age: Floats, theta: Floats) -> Floats:
    """Growth parameters in the middle of draws; immediacy where z has its mean.

    Parameters
    ----------
    log_age : ndarray, shape (base models,)
        ln of the age at the last month.
    theta : ndarray, shape (draws, base models, parameters)
        Draws of the growth parameters.

    Returns
    -------
    ndarray, shape (base models, parameters)
    """
    middle = theta.mean(axis=0)
    z = ((log_age - theta[..., 1]) * np.exp(-theta[..., 2])).mean(axis=0)
    middle[:, 1] = log_age - np.exp(middle[:, 2]) * z
    return np.asarray(middle)


def to_ridge(pivots: Floats, theta: Floats) -> Floats:
    """From θ to θ̃.

    Parameters
    ----------
    pivots : ndarray, shape (base models, 7)
        Of `pivots_at`.
    theta : ndarray, shape (…, base models, parameters)

    Returns
    -------
    ndarray, the same shape
    """
    ridge = theta.copy()
    own = np.flatnonzero(pivots[:, _INVERSE])
    log_age, z_there, inverse, log_share, ratio, immediacy, log_longevity = pivots[own].T
    z = (log_age - theta[..., own, 1]) * np.exp(-theta[..., own, 2])
    away = z - z_there
    ridge[..., own, 0] += log_ndtr(z) - log_share - ratio * away
    wider = theta[..., own, 2] - log_longevity
    ridge[..., own, 1] = immediacy - (away + z_there * wider) / inverse
    return ridge


def nearer_normal(log_age: Floats, theta: Floats, slopes: Floats) -> npt.NDArray[np.bool_]:
    """Tell base models whose posterior is more nearly normal in (η, z, ln σ).

    Parameters
    ----------
    log_age : ndarray, shape (base models,)
        ln of the age at the last month.
    theta : ndarray, shape (draws, base models, parameters)
        Draws of the growth parameters.
    slopes : ndarray, shape (draws, base models, parameters)
        Derivatives of the log density there.

    Returns
    -------
    ndarray of bool, shape (base models,)
        Where the trace of the draws' covariance times the mean outer product of the slopes is
        smaller. It is the mean curvature in standardised coordinates, at least the number of
        parameters, and that only for a normal distribution.
    """
    longevity = np.exp(theta[..., 2])
    z = (log_age - theta[..., 1]) / longevity
    log_share = log_ndtr(z)
    other, by_other = theta.copy(), slopes.copy()
    other[..., 0] += log_share
    other[..., 1] = z
    by_immediacy = longevity * slopes[..., 1]
    by_other[..., 1] = -np.exp(norm.logpdf(z) - log_share) * slopes[..., 0] - by_immediacy
    by_other[..., 2] += 1.0 - z * by_immediacy
    return np.asarray(_curvature(other, by_other) < _curvature(theta, slopes))


def _curvature(draws: Floats, slopes: Floats) -> Floats:
    deviation = draws - draws.mean(axis=0)
    covariance = np.einsum("sni,snj->nij", deviation, deviation) / len(draws)
    outer = np.einsum("sni,snj->nij", slopes, slopes) / len(slopes)
    return np.asarray(np.einsum("nij,nji->n", covariance, outer))
