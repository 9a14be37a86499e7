"""Mean-field ADVI: a normal distribution fitted to a posterior by variational inference.

The normal has independent coordinates and is moved so that the Kullback-Leibler divergence from it
to the posterior falls (Kucukelbir, Tran, Ranganath, Gelman and Blei 2017), with Adam's steps
(Kingma and Ba 2015) and pairs of draws opposite to each other. It finds where the mass of a
posterior lies, which for base models with a handful of fine-tunes is not where its mode is. It is
only where the sampler sets out from and enters no result.
"""

from collections.abc import Callable

import numpy as np

from bayes_hfgrowth.growth.law import Floats

__all__ = ["STEPS", "mean_field_advi"]

STEPS = 300
"""Steps of Adam."""

_RATE = 0.1  # of a standard deviation, in each step; falls off over the last fifth of the steps
_STEEP = 50.0  # a slope beyond this is cut off: one wild draw must not throw the rest off
_MEMORY = (0.9, 0.99)
_LOG_SCALES = (-6.0, 1.0)


def mean_field_advi(
    density: Callable[[Floats], tuple[float, Floats]], dimensions: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Fit a normal distribution with independent coordinates.

    Parameters
    ----------
    density : callable
        Log density at a point and its gradient.
    dimensions : int
        Length of a point. Coordinates should be of order 1.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    mean, scales : ndarray, shape (dimensions,)
        Of the normal distribution.
    """
    place = np.stack([np.zeros(dimensions), np.full(dimensions, -0.7)])
    first, second = np.zeros(place.shape), np.zeros(place.shape)
    for step in range(1, STEPS + 1):
        away = np.exp(place[1]) * rng.standard_normal(dimensions)
        slopes = np.stack([np.zeros(dimensions), np.ones(dimensions)])  # of the entropy
        for side in (away, -away):
            value, slope = density(place[0] + side)
            if np.isfinite(value) and np.isfinite(slope).all():
                slope = np.clip(slope, -_STEEP, _STEEP)
                slopes += 0.5 * np.stack([slope, slope * side])
        first += (1.0 - _MEMORY[0]) * (slopes - first)
        second += (1.0 - _MEMORY[1]) * (slopes**2 - second)
        unbiased = first / (1.0 - _MEMORY[0] ** step)
        size = np.sqrt(second / (1.0 - _MEMORY[1] ** step)) + 1e-8
        place += _RATE * min(1.0, 5.0 * (1.0 - step / STEPS) + 0.05) * unbiased / size
        place[1] = np.clip(place[1], *_LOG_SCALES)
    return place[0], np.exp(place[1])
