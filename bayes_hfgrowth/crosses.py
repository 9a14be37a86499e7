"""Points at which a base model is averaged: crosses turned at random.

A cross has the points ±r_k q_k for the p columns q_k of a random rotation, with independent radii
r_k of a multivariate t distribution. Each point by itself has that distribution, so a mean over
points is unbiased; those of a cross together cancel all that is odd and much that is quadratic,
which is most of what a mean of independent points would get wrong.

Any point may be kept and the others drawn anew around it: the joint distribution is the same
whichever is called the first. So picking one in proportion to its weight and drawing the rest
anew leaves the distribution of population, points and pick as it is (conditional importance
sampling; Andrieu, Doucet and Holenstein 2010), and the pick is a draw of the base model's
posterior under the population.
"""

import math

import numpy as np
from numba import njit

from bayes_hfgrowth.growth.law import Floats

__all__ = [
    "CROSSES", "DEGREES", "SILENT_CROSSES", "WIDER", "fill_crosses", "fill_freely",
    "log_density_of",
]  # fmt: skip

CROSSES = 4
"""Crosses of a base model with fine-tunes."""

SILENT_CROSSES = 2
"""Crosses of one without: its months tell less, so that less is to be averaged."""

DEGREES = 8.0
"""Degrees of freedom of the t distribution: posteriors have heavier tails than the normal."""

WIDER = 1.1
"""Its scale, in standard deviations of the normal approximation of a base model."""


@njit(error_model="numpy")
def fill_crosses(kept: Floats, rng: np.random.Generator, points: Floats) -> None:
    """Draw the points of one base model.

    Parameters
    ----------
    kept : ndarray, shape (parameters,)
        The first of them.
    rng : numpy.random.Generator
        Source of randomness.
    points : ndarray, shape (parameters, 2 * parameters * crosses)
        Gets the points, opposite ones side by side.
    """
    size, number = points.shape
    axes = np.empty((size, size))
    for at in range(0, number, 2 * size):
        for r in range(size):
            for k in range(size):
                axes[r, k] = kept[k] if at + r == 0 else rng.standard_normal()
        for r in range(size):
            for b in range(r):
                shadow = 0.0
                for k in range(size):
                    shadow += axes[r, k] * axes[b, k]
                for k in range(size):
                    axes[r, k] -= shadow * axes[b, k]
            square = 0.0
            for k in range(size):
                square += axes[r, k] * axes[r, k]
            for k in range(size):
                axes[r, k] /= math.sqrt(square)
        for r in range(size):
            first = at + 2 * r
            radius = rng.chisquare(size) / (rng.chisquare(DEGREES) / DEGREES)
            radius = WIDER * math.sqrt(radius)
            for k in range(size):
                points[k, first] = kept[k] if first == 0 else radius * axes[r, k]
                points[k, first + 1] = -points[k, first]


@njit(error_model="numpy")
def fill_freely(rng: np.random.Generator, point: Floats) -> None:
    """Draw one point by itself.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    point : ndarray, shape (parameters,)
        Gets it.
    """
    scale = WIDER / math.sqrt(rng.chisquare(DEGREES) / DEGREES)
    for k in range(len(point)):
        point[k] = scale * rng.standard_normal()


@njit(error_model="numpy")
def log_density_of(square: float, size: int) -> float:
    """Log density of each point by itself.

    Parameters
    ----------
    square : float
        Sum of its squared coordinates.
    size : int
        Number of coordinates.
    """
    constant = math.lgamma(0.5 * (DEGREES + size)) - math.lgamma(0.5 * DEGREES)
    constant -= 0.5 * size * math.log(DEGREES * math.pi * WIDER * WIDER)
    return constant - 0.5 * (DEGREES + size) * math.log1p(square / (WIDER * WIDER * DEGREES))
