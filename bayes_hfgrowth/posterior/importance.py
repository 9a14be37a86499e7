"""Importance sampling of one base model's parameters, or of the population without it."""

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from arviz_stats.base import array_stats
from scipy import special

from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.posterior.simulation import Floats, SharedDraws, flat, growth_parameters

__all__ = [
    "DEGREES",
    "GOOD_K",
    "Population",
    "Student",
    "log_normal_densities",
    "smoothed_weights",
    "student_constant",
]

GOOD_K = 0.7
"""Pareto k of importance weights up to which averages under them are reliable."""

DEGREES = 5.0
"""Degrees of freedom of the Student distributions that points are drawn from."""

_DEGENERATE = 5.0  # effective number of draws below which weights tell nothing of their tail
_EVEN = 0.7  # effective share of the draws above which weights need no smoothing


@dataclass(frozen=True, eq=False)
class Population:
    """Draws of the population that base models come from, on the scale that is normal.

    Parameters
    ----------
    means : ndarray, shape (draws, organizations, parameters)
        Organization means.
    scales : ndarray, shape (draws, parameters)
        Standard deviations of base models within their organization.
    shared : SharedDraws
        What all base models share.
    """

    means: Floats
    scales: Floats
    shared: SharedDraws

    @classmethod
    def from_posterior(cls, spec: GrowthSpec, posterior: xr.Dataset) -> "Population":
        """Take the population from posterior draws."""
        means = growth_parameters(spec, posterior, "organization_", "organization")
        scales = [flat(posterior, f"between_base_models_{name}") for name in spec.parameters]
        return cls(means, np.stack(scales, axis=-1), SharedDraws.of(spec, posterior))


def log_normal_densities(points: Floats, means: Floats, scales: Floats) -> Floats:
    """Log densities of points as growth parameters of a base model, under draws of the population.

    Parameters
    ----------
    points : ndarray, shape (points, parameters)
        On the scale that is normal.
    means, scales : ndarray, shape (draws, parameters)
        Mean and standard deviations of its organization.

    Returns
    -------
    ndarray, shape (draws, points)
    """
    # The square of a standardised distance, multiplied out: one product of matrices.
    precision = 1.0 / scales**2
    squares = precision @ (points**2).T - 2.0 * (precision * means) @ points.T
    squares += (precision * means**2).sum(axis=1, keepdims=True)
    squares *= -0.5
    height = np.log(scales).sum(axis=1) + 0.5 * points.shape[1] * np.log(2.0 * np.pi)
    squares -= height[:, None]
    return np.asarray(squares)


def smoothed_weights(log_weights: Floats) -> tuple[Floats, Floats]:
    """Pareto-smoothed importance weights (Vehtari, Simpson, Gelman, Yao and Gabry 2024).

    Parameters
    ----------
    log_weights : ndarray, shape (draws, columns)
        Raw ones, up to a constant for each column.

    Returns
    -------
    weights : ndarray, shape (draws, columns)
        Summing to 1 down each column.
    pareto_k : ndarray, shape (columns,)
        Shape of the tail; 0 where the weights are so even that there is none to speak of,
        infinite where too few draws carry all the weight to tell.
    """
    weights, k = special.softmax(log_weights, axis=0), np.zeros(log_weights.shape[1])
    effective = 1.0 / (weights**2).sum(axis=0)
    k[effective < _DEGENERATE] = np.inf
    thin = (effective >= _DEGENERATE) & (effective < _EVEN * len(weights))
    for column in np.flatnonzero(thin):
        # Weights that underflow to nought are alike, which the fit of a tail may refuse.
        with np.errstate(all="ignore"):
            try:
                smooth, shape = array_stats.psislw(-log_weights[:, column])
            except ValueError:
                shape = np.inf
        k[column] = shape if np.isfinite(shape) else np.inf
        if np.isfinite(shape):
            weights[:, column] = special.softmax(smooth)
    return weights, k


def student_constant(dimensions: int) -> float:
    """Log density of a Student distribution of scale 1 at its centre."""
    half = 0.5 * dimensions
    return (
        math.lgamma(0.5 * DEGREES + half)
        - math.lgamma(0.5 * DEGREES)
        - half * math.log(DEGREES * math.pi)
    )


class Student:
    """Multivariate Student distribution with 5 degrees of freedom.

    Parameters
    ----------
    centre : ndarray, shape (dimensions,)
        Its mean.
    scale : ndarray, shape (dimensions, dimensions)
        Its scale matrix, 3/5 of its covariance.
    """

    def __init__(self, centre: Floats, scale: Floats) -> None:
        self.centre, self.root = centre, np.linalg.cholesky(scale)
        self.inverse = np.linalg.inv(self.root)
        self.log_height = student_constant(len(centre)) - np.log(np.diag(self.root)).sum()

    def draw(self, number: int, rng: np.random.Generator) -> Floats:
        """Draw points; shape (number, dimensions)."""
        normal = rng.standard_normal((number, len(self.centre)))
        normal = np.einsum("ij,nj->ni", self.root, normal)
        chi2 = rng.chisquare(DEGREES, size=(number, 1))
        return np.asarray(self.centre + normal * np.sqrt(DEGREES / chi2))

    def log_density(self, points: Floats) -> Floats:
        """Log density at points of shape (number, dimensions)."""
        # Not the products of BLAS, whose threads cost more here than they save.
        apart = np.einsum("ij,nj->in", self.inverse, points - self.centre)
        power = 0.5 * (DEGREES + len(self.centre))
        logarithm = np.log1p((apart**2).sum(axis=0) / DEGREES)
        return np.asarray(self.log_height - power * logarithm)
