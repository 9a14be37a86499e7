"""Normal summaries of what each base model's months say of its growth parameters.

They are what `bayes_hfgrowth.inference.whitening` is adapted to, found first by Laplace's
method at the mode under a guess of the population, then from the draws of a mean-field ADVI, later
from those of a pilot run.
"""

from dataclasses import dataclass

import numpy as np

from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.law import Floats, Integers, Observed, Shared

__all__ = [
    "PopulationValues",
    "Summaries",
    "curvatures",
    "laplace",
    "log_likelihood_gradients",
    "non_centred_draws",
    "normal_summaries",
]

_LARGEST = 1e8  # precision of a summary in units of the prior's; keeps factorisations finite


@dataclass(frozen=True, eq=False)
class PopulationValues:
    """One point of the population's parameters, on the scale on which they are normal.

    Parameters
    ----------
    means : ndarray, shape (organizations, parameters)
        Organization means.
    scales : ndarray, shape (parameters,)
        Standard deviations of base models within their organization.
    shared : Shared
        What all base models share.
    """

    means: Floats
    scales: Floats
    shared: Shared


@dataclass(frozen=True, eq=False)
class Summaries:
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
    observed: Observed, theta: Floats, population: PopulationValues
) -> tuple[Floats, Floats]:
    """Eigenvalues (at least 0) and vectors of minus the Hessian, in units of the scales."""
    step = 1e-4
    size, shared = theta.shape[1], population.shared
    hessian = np.empty((len(theta), size, size))
    for k in range(size):
        shift = np.zeros(size)
        shift[k] = step
        up = log_likelihood_gradients(observed, theta + shift, shared)[1]
        down = log_likelihood_gradients(observed, theta - shift, shared)[1]
        hessian[:, :, k] = (down - up) / (2.0 * step)
    hessian = 0.5 * (hessian + hessian.transpose(0, 2, 1))
    hessian *= np.outer(population.scales, population.scales)
    values, vectors = np.linalg.eigh(np.nan_to_num(hessian, posinf=0.0, neginf=0.0))
    return np.clip(values, 0.0, _LARGEST), vectors


def curvatures(observed: Observed, theta: Floats, population: PopulationValues) -> Floats:
    """Minus the Hessian of each base model's log density, months and population together.

    Parameters
    ----------
    observed : Observed
        The data.
    theta : ndarray, shape (base models, parameters)
        Where it is taken.
    population : PopulationValues
        Its scales are used, and what all base models share.

    Returns
    -------
    ndarray, shape (base models, parameters, parameters)
        Directions in which the months curve upwards count as flat.
    """
    values, vectors = _eigen(observed, theta, population)
    found = np.einsum("nij,nj,nkj->nik", vectors, values + 1.0, vectors)
    return np.asarray(found / np.outer(population.scales, population.scales))


def laplace(
    observed: Observed, group: Integers, population: PopulationValues, theta: Floats, steps: int
) -> tuple[Floats, Summaries]:
    """Summarise every base model at its mode under a population.

    Parameters
    ----------
    observed : Observed
        The data.
    group : ndarray of int64, shape (base models,)
        Organization of each base model.
    population : PopulationValues
        Where the population is taken to be.
    theta : ndarray, shape (base models, parameters)
        Where to start from.
    steps : int
        Largest number of Newton steps.

    Returns
    -------
    modes : ndarray, shape (base models, parameters)
    summaries : Summaries
        Curvature of the log likelihood there, directions of negative curvature set to 0;
        centred so that the mode under `population` stays where it is.
    """
    scales = population.scales
    prior, shared = population.means[group], population.shared

    def density(points: Floats) -> Floats:
        distance = (points - prior) / scales
        value = log_likelihood_gradients(observed, points, shared)[0]
        return np.asarray(value - 0.5 * (distance**2).sum(axis=1))

    theta = theta.copy()
    current = density(theta)
    for _ in range(steps):
        values, vectors = _eigen(observed, theta, population)
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
    values, vectors = _eigen(observed, theta, population)
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


def non_centred_draws(draws: Floats, means: Floats, scales: Floats, summaries: Summaries) -> Floats:
    """Coordinates of draws, as `bayes_hfgrowth.inference.whitening` has them.

    Parameters
    ----------
    draws, means : ndarray, shape (draws, base models, parameters)
        Growth parameters, and the means of their prior.
    scales : ndarray, shape (draws, parameters)
        Standard deviations of their prior.
    summaries : Summaries
        What the coordinates are adapted to.

    Returns
    -------
    ndarray, shape (draws, base models, parameters)
    """
    y = np.empty(draws.shape)
    for s, (own, mean, scale) in enumerate(zip(draws, means, scales, strict=True)):
        precision = summaries.precision + np.diag(scale**-2.0)
        weighted = summaries.weighted + mean * scale**-2.0
        root = np.linalg.cholesky(precision)
        centre = np.linalg.solve(precision, weighted[..., None])[..., 0]
        y[s] = np.einsum("nji,nj->ni", root, own - centre)
    return y
