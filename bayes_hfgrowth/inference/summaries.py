"""Normal summaries of what each base model's months say of its growth parameters.

They are what `bayes_hfgrowth.inference.whitening` is adapted to, found first by Laplace's
method at the mode under a guess of the population, then from the draws of a mean-field ADVI, later
from those of a pilot run.
"""

from typing import NamedTuple

import numpy as np

from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.law import Floats, Observed, Shared

__all__ = [
    "Summaries",
    "curvatures",
    "laplace",
    "log_likelihood_gradients",
    "normal_summaries",
]

_LARGEST = 1e8  # precision of a summary in units of the prior's; keeps factorisations finite
_NEWTON_STEPS = 20  # at most


class Summaries(NamedTuple):
    """A normal stand-in for the likelihood of each base model.

    Parameters
    ----------
    precision : ndarray, shape (base models, parameters, parameters)
        Positive semidefinite.
    weighted : ndarray, shape (base models, parameters)
        Precision times centre.
    """

    precision: Floats
    weighted: Floats


def log_likelihood_gradients(
    observed: Observed, theta: Floats, shared: Shared
) -> tuple[Floats, Floats]:
    """Log likelihood of each base model and its gradient in the growth parameters.

    Parameters
    ----------
    observed : Observed
        The data.
    theta : ndarray, shape (base models, parameters)
        Growth parameters.
    shared : Shared
        What all base models share.

    Returns
    -------
    value : ndarray, shape (base models,)
    slope : ndarray, shape (base models, parameters)
    """
    value, slope, _, _ = gradients_of(observed, theta, shared)
    return np.nan_to_num(value, nan=-np.inf), np.nan_to_num(slope, posinf=0.0, neginf=0.0)


def _eigen(
    observed: Observed, theta: Floats, scales: Floats, shared: Shared
) -> tuple[Floats, Floats]:
    """Eigenvalues (at least 0) and vectors of minus the Hessian, in units of the scales."""
    step = 1e-4
    size = theta.shape[1]
    hessian = np.empty((len(theta), size, size))
    for k, shift in enumerate(step * np.eye(size)):
        up = log_likelihood_gradients(observed, theta + shift, shared)[1]
        down = log_likelihood_gradients(observed, theta - shift, shared)[1]
        hessian[:, :, k] = (down - up) / (2.0 * step)
    hessian = 0.5 * (hessian + hessian.transpose(0, 2, 1))
    hessian *= np.outer(scales, scales)
    values, vectors = np.linalg.eigh(np.nan_to_num(hessian, posinf=0.0, neginf=0.0))
    return np.clip(values, 0.0, _LARGEST), vectors


def curvatures(observed: Observed, theta: Floats, scales: Floats, shared: Shared) -> Floats:
    """Minus the Hessian of each base model's log density, months and population together.

    Parameters
    ----------
    observed : Observed
        The data.
    theta : ndarray, shape (base models, parameters)
        Where it is taken.
    scales : ndarray, shape (parameters,)
        Standard deviations of base models within their organization.
    shared : Shared
        What all base models share.

    Returns
    -------
    ndarray, shape (base models, parameters, parameters)
        Directions in which the months curve upwards count as flat.
    """
    values, vectors = _eigen(observed, theta, scales, shared)
    found = np.einsum("nij,nj,nkj->nik", vectors, values + 1.0, vectors)
    return np.asarray(found / np.outer(scales, scales))


def laplace(
    observed: Observed, prior: Floats, scales: Floats, shared: Shared
) -> tuple[Floats, Summaries]:
    """Summarise every base model at its mode under a population, by Newton steps.

    Parameters
    ----------
    observed, scales, shared
        As in `curvatures`.
    prior : ndarray, shape (base models, parameters)
        Mean of the organization of each base model.

    Returns
    -------
    modes : ndarray, shape (base models, parameters)
    summaries : Summaries
        Curvature of the log likelihood there, directions of negative curvature set to 0;
        centred so that the mode under that population stays where it is.
    """

    def density(points: Floats) -> Floats:
        distance = (points - prior) / scales
        value = log_likelihood_gradients(observed, points, shared)[0]
        return np.asarray(value - 0.5 * (distance**2).sum(axis=1))

    theta = prior.copy()
    current = density(theta)
    for _ in range(_NEWTON_STEPS):
        values, vectors = _eigen(observed, theta, scales, shared)
        slope = log_likelihood_gradients(observed, theta, shared)[1] * scales
        slope -= (theta - prior) / scales
        if np.abs(slope).max(initial=0.0) < 1e-4:
            break
        move = np.einsum("nij,nj,nkj,nk->ni", vectors, 1.0 / (values + 1.0), vectors, slope)
        length = np.sqrt((move**2).sum(axis=1, keepdims=True))
        move *= scales * np.minimum(1.0, 2.0 / np.maximum(length, 1e-12))
        better = np.zeros(len(theta), dtype=bool)
        for scale in 0.5 ** np.arange(8):
            trial = theta + scale * move
            value = density(trial)
            improved = ~better & (value > current)
            theta[improved], current[improved] = trial[improved], value[improved]
            better |= improved
        if not better.any():
            break
    values, vectors = _eigen(observed, theta, scales, shared)
    precision = np.einsum("nij,nj,nkj->nik", vectors, values, vectors)
    precision /= np.outer(scales, scales)
    weighted = np.einsum("nij,nj->ni", precision, theta) + (theta - prior) / scales**2
    return theta, Summaries(precision, weighted)


def normal_summaries(draws: Floats, mean: Floats, scales: Floats) -> Summaries:
    """Summarise what draws know beyond a normal prior.

    Parameters
    ----------
    draws : ndarray, shape (draws, members, parameters)
        Parameters of base models, or means of organizations.
    mean : ndarray, shape (members, parameters)
        Mean of the prior of each.
    scales : ndarray, shape (parameters,)
        Standard deviations of the prior.

    Returns
    -------
    Summaries
        What must be added to the prior's precision to give the covariance of the draws,
        directions in which the draws are wider than the prior set to 0.
    """
    centre = draws.mean(axis=0)
    deviation = (draws - centre) / scales
    covariance = np.einsum("sni,snj->nij", deviation, deviation) / len(draws)
    values, vectors = np.linalg.eigh(covariance)
    extra = np.clip(1.0 / np.maximum(values, 1.0 / _LARGEST) - 1.0, 0.0, _LARGEST)
    precision = np.einsum("nij,nj,nkj->nik", vectors, extra, vectors)
    precision /= np.outer(scales, scales)
    weighted = np.einsum("nij,nj->ni", precision, centre) + (centre - mean) / scales**2
    return Summaries(precision, weighted)
